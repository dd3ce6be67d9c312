//! The values that queries are planned with: those given, those of an earlier capture, or some that
//! the statistics offer.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::Result;
use crate::model::disclosure::Column;
use crate::pg::column_values::column_values;
use crate::pg::explain::{self, Asking};
use crate::profile::Query;
use crate::query_plan::captures::Captures;
use crate::query_plan::parameters::{Use, uses};
use crate::query_plan::values::{ChosenSet, ColumnValues, choose};
use crate::query_plan::verdict::Mode;
use crate::sql::query::{self, look};

use super::refusal::Refusal;
use super::take::{Side, Terms};

/// A query with the values to plan it with.
pub struct Asked<'a> {
    /// The query.
    pub query: &'a Query,
    /// At least one set.
    pub sets: Vec<Set>,
    /// Why no values could be chosen; `None` where none had to be.
    pub lacks: Option<Refusal>,
}

/// One set of values.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Set {
    /// Which of several, from 1; 0 where there is one.
    pub number: usize,
    /// What it shows, where it was chosen: `rare`.
    name: String,
    /// The values.
    pub values: Vec<String>,
}

impl Set {
    /// The set, where it was chosen.
    pub fn chosen(&self) -> Option<ChosenSet> {
        let set = ChosenSet { name: self.name.clone(), values: self.values.clone() };
        (!set.name.is_empty()).then_some(set)
    }
}

/// A query that needs values, and the columns that its parameters are compared with.
struct Wanting<'a> {
    query: &'a Query,
    looked: query::Query<'a>,
    uses: std::result::Result<BTreeSet<Use>, Refusal>,
}

/// Gives each query its sets of values. Where some have to be chosen, these queries are planned
/// once, and the statistics are asked once for all.
pub fn with_values<'a>(
    side: &mut Side<'_>,
    queries: &'a [Query],
    terms: &Terms,
    known: Option<&Captures>,
) -> Result<Vec<Asked<'a>>> {
    let mut wanting = BTreeMap::new();
    for (at, query) in queries.iter().enumerate() {
        let looked = match look(&query.sql) {
            Ok(looked) if terms.mode != Mode::Generic && query.parameters.is_empty() => looked,
            Ok(_) | Err(_) => continue,
        };
        let is_known = known.is_some_and(|known| known.chosen_for(&query.name).next().is_some());
        if looked.parameters > 0 && !is_known {
            wanting.insert(
                at,
                Wanting { query, uses: compared(side, query, &looked, terms)?, looked },
            );
        }
    }
    let values = statistics(side, &wanting)?;
    let asked = queries.iter().enumerate().map(|(at, query)| match wanting.get(&at) {
        Some(wanting) => chosen(wanting, &values),
        None => given(query, terms.mode, known),
    });
    Ok(asked.collect())
}

/// What the statistics know of all columns beside parameters.
fn statistics(
    side: &mut Side<'_>,
    wanting: &BTreeMap<usize, Wanting<'_>>,
) -> Result<BTreeMap<Column, ColumnValues>> {
    if wanting.is_empty() {
        return Ok(BTreeMap::new());
    }
    explain::end(side.session)?;
    let uses = wanting.values().filter_map(|one| one.uses.as_ref().ok()).flatten();
    let columns = uses.map(|one| (one.relation.clone(), one.column.clone())).collect();
    column_values(side.session, &columns)
}

/// The columns that a query's parameters are compared with, or why the server does not plan it.
fn compared(
    side: &mut Side<'_>,
    query: &Query,
    looked: &query::Query<'_>,
    terms: &Terms,
) -> Result<std::result::Result<BTreeSet<Use>, Refusal>> {
    let settings = explain::without_pruning();
    let asking = Asking { runs: false, is_generic: true, settings, ..side.asking(terms) };
    let plan = explain::set_up(side.session, query, &asking)
        .and_then(|()| explain::generic(side.session, looked.text, side.server.version_num));
    match plan {
        Ok(json) => Ok(Ok(uses(&json))),
        Err(failure) => Ok(Err(Refusal::of(failure, &query.name)?)),
    }
}

fn chosen<'a>(wanting: &Wanting<'a>, values: &BTreeMap<Column, ColumnValues>) -> Asked<'a> {
    let Wanting { query, looked, uses } = wanting;
    let sets = uses.clone().and_then(|uses| {
        choose(looked.parameters, &looked.pages, &uses, values)
            .map_err(|lacks| Refusal::values(looked.parameters, 0, &lacks))
    });
    match sets {
        Ok(sets) => Asked { query, sets: numbered(sets), lacks: None },
        Err(lacks) => Asked { query, sets: vec![Set::default()], lacks: Some(lacks) },
    }
}

fn numbered(sets: impl IntoIterator<Item = ChosenSet>) -> Vec<Set> {
    let sets = sets.into_iter().enumerate();
    sets.map(|(at, set)| Set { number: at + 1, name: set.name, values: set.values }).collect()
}

/// The sets that were given, or those of an earlier capture.
fn given<'a>(query: &'a Query, mode: Mode, known: Option<&Captures>) -> Asked<'a> {
    let known = known.map(|known| numbered(known.chosen_for(&query.name).cloned()));
    let sets = match (mode, query.parameters.as_slice()) {
        (Mode::Generic, _) => vec![Set::default()],
        (Mode::Estimate | Mode::Analyze, []) => {
            known.filter(|sets| !sets.is_empty()).unwrap_or_else(|| vec![Set::default()])
        }
        (Mode::Estimate | Mode::Analyze, [values]) => {
            vec![Set { values: values.clone(), ..Set::default() }]
        }
        (Mode::Estimate | Mode::Analyze, several) => {
            let sets = several.iter().enumerate();
            sets.map(|(at, values)| Set {
                number: at + 1,
                name: String::new(),
                values: values.clone(),
            })
            .collect()
        }
    };
    Asked { query, sets, lacks: None }
}
