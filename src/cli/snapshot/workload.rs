//! What the queries of a profile tell of columns: which ones they need, and the values that they
//! compare with them.

use std::collections::BTreeSet;

use crate::cli::context::Context;
use crate::error::Result;
use crate::model::disclosure::Column;
use crate::model::finding::{Finding, Severity};
use crate::model::snapshot::Snapshot;
use crate::model::substitution::{Substitute, Which, sql_digest};
use crate::model::units::Millis;
use crate::pg::explain::{self, Asking};
use crate::pg::session::Session;
use crate::pg::snapshot;
use crate::pg::substitution::Binding;
use crate::profile::Query;
use crate::query_plan::parameters::{Comparison, Use, columns, uses};
use crate::sql::compared::as_parameters;
use crate::sql::query::{Does, look};
use crate::sql::tokens::names;

/// How long planning a query may take.
const PLAN_TIMEOUT: Millis = Millis(5_000);

/// What queries tell of columns.
#[derive(Default)]
pub struct Workload {
    /// Those that they filter, join, group or sort by.
    pub used: BTreeSet<Column>,
    /// The values that they compare with them.
    pub bindings: Vec<Binding>,
    /// Queries that compare them with arrays and patterns: what is in these has no rank.
    unranked: BTreeSet<(String, Column)>,
}

impl Workload {
    /// What the plans of these queries say of columns. Those that have none are told.
    ///
    /// Errors where the server is gone.
    pub fn of(
        context: &Context,
        session: &mut Session,
        version_num: u32,
        queries: &[Query],
    ) -> Result<Workload> {
        let asking = Asking {
            is_generic: true,
            statement_timeout: PLAN_TIMEOUT,
            settings: explain::without_indexes(),
            ..Asking::default()
        };
        let (mut workload, mut named) = (Workload::default(), Vec::new());
        for query in queries {
            let Ok(looked) = look(&query.sql) else { continue };
            // Planning it would take ROW EXCLUSIVE: what it names counts.
            if looked.does != Does::Reads {
                named.push(names(looked.text));
                continue;
            }
            let plan = explain::set_up(session, query, &asking)
                .and_then(|()| explain::generic(session, looked.text, version_num));
            match plan {
                Ok(json) => {
                    workload.used.extend(columns(&json));
                    workload.note(query, &uses(&json), &query.parameters);
                    let inside = as_parameters(looked.text);
                    let own: Vec<String> = vec![String::new(); inside.own];
                    // Not every value may be a parameter.
                    if !inside.values.is_empty()
                        && let Ok(json) = explain::generic(session, &inside.text, version_num)
                    {
                        let mut uses = uses(&json);
                        uses.retain(|one| one.parameter > inside.own);
                        workload.note(query, &uses, &[[own, inside.values].concat()]);
                    }
                }
                Err(failure) => {
                    context.ui.warn(&format!(
                        "{}: {}; none of its columns count",
                        query.name, failure.message
                    ));
                }
            }
        }
        explain::end(session)?;
        let columns = snapshot::columns_named(session, named.iter().flatten())?;
        workload.used.extend(columns.into_iter().filter(|(table, column)| {
            named.iter().any(|names| names.contains(&table.name) && names.contains(column))
        }));
        Ok(workload)
    }

    /// Notes what a query compares with columns: the parameters of its sets of values.
    fn note(&mut self, query: &Query, uses: &BTreeSet<Use>, sets: &[Vec<String>]) {
        for (one, (set, values)) in
            uses.iter().flat_map(|one| sets.iter().enumerate().map(move |set| (one, set)))
        {
            let column = (one.relation.clone(), one.column.clone());
            let value = one.parameter.checked_sub(1).and_then(|at| values.get(at));
            let Some(value) = value.cloned() else { continue };
            match one.comparison {
                Comparison::Any | Comparison::Like => {
                    self.unranked.insert((query.name.clone(), column));
                }
                Comparison::Equal | Comparison::From | Comparison::UpTo => {
                    let place = Substitute {
                        query: query.name.clone(),
                        sql_digest: sql_digest(&query.sql),
                        set,
                        parameter: one.parameter,
                        value: String::new(),
                    };
                    self.bindings.push(Binding { column, place, value });
                }
            }
        }
    }

    /// What is to be told of queries that compare redacted columns with something for which nothing
    /// stands: with arrays and patterns, and with values that they compare with other columns too.
    pub fn unranked(&self, snapshot: &Snapshot) -> Vec<Finding> {
        let replaced = snapshot.columns.iter().filter(|one| one.is_substituted);
        let replaced: BTreeSet<Column> =
            replaced.map(|one| (one.relation.clone(), one.column.clone())).collect();
        let known: BTreeSet<Which<'_>> =
            snapshot.substitutes.iter().map(Substitute::which).collect();
        let alone = self.bindings.iter().filter(|one| !known.contains(&one.place.which()));
        let alone = alone.map(|one| (one.place.query.clone(), one.column.clone()));
        let mut unranked: BTreeSet<(String, Column)> = self.unranked.clone();
        unranked.extend(alone);
        let told = unranked.iter().filter(|(_, column)| replaced.contains(column));
        let finding = |(query, (table, column)): &(String, Column)| {
            let message = format!(
                "nothing stands for all that it compares with {table}.{column}, which is redacted: \
                 its plan may be another one"
            );
            let finding = Finding::new("values-unknown", Severity::Info, query, message);
            finding.help("compare single values, or take the column out of snapshot.redact")
        };
        told.map(finding).collect()
    }
}
