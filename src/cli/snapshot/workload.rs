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
use crate::query_plan::parameters::{Comparison, Use, columns, otherwise_compared, uses};
use crate::sql::compared::{Parameterised, as_parameters};
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
    /// Queries that compare them otherwise: with arrays, with patterns, within expressions.
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
                    // Not every value may be a parameter.
                    let with_inside = match inside.values.is_empty() {
                        true => None,
                        false => explain::generic(session, &inside.text, version_num).ok(),
                    };
                    workload.note_inside(query, inside, with_inside.as_ref().unwrap_or(&json));
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

    /// Notes the values that a query compares with columns: the parameters of its sets. Of arrays
    /// and patterns there are none: what is in them has no rank.
    fn note(&mut self, query: &Query, uses: &BTreeSet<Use>, sets: &[Vec<String>]) {
        let is_single = |one: &&Use| match one.comparison {
            Comparison::Equal | Comparison::From | Comparison::UpTo => true,
            Comparison::Any | Comparison::Like => false,
        };
        for one in uses.iter().filter(is_single) {
            let Some(at) = one.parameter.checked_sub(1) else { continue };
            for (set, values) in sets.iter().enumerate() {
                let Some(value) = values.get(at).cloned() else { continue };
                let place = Substitute {
                    query: query.name.clone(),
                    sql_digest: sql_digest(&query.sql),
                    set,
                    parameter: one.parameter,
                    value: String::new(),
                };
                let column = (one.relation.clone(), one.column.clone());
                self.bindings.push(Binding { column, place, value });
            }
        }
    }

    /// Notes the values inside a query's text, whose generic plan this is, and what it compares
    /// with columns in other ways. What takes its values from the statistics has those that are
    /// there.
    fn note_inside(&mut self, query: &Query, inside: Parameterised, json: &str) {
        let Parameterised { own, values, .. } = inside;
        if query.parameters.is_empty() && own > 0 {
            return;
        }
        let mut uses = uses(json);
        uses.retain(|one| one.parameter > own);
        self.note(query, &uses, &[[vec![String::new(); own], values].concat()]);
        let others = otherwise_compared(json).into_iter();
        self.unranked.extend(others.map(|column| (query.name.clone(), column)));
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
