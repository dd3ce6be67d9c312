//! The plans between the pending migrations, as far as it takes to know which one changed which
//! query.

use std::collections::BTreeSet;

use crate::checks::plans::Steps;
use crate::cli::interrupt;
use crate::cli::plan::take::{Side, take};
use crate::cli::shadow;
use crate::error::Result;
use crate::model::gate::Thresholds;
use crate::pg::session::Session;
use crate::profile::Query;
use crate::query_plan::captures::{Captures, compare};
use crate::query_plan::verdict::Verdict;
use crate::report::{Report, Table};

use super::Examination;

/// How many databases between the first and the last are made. Each takes a second or so.
const DATABASES_MAX: usize = 16;

/// Halves the pending migrations until each change of a plan lies between two that are neighbours.
/// `before` is the session that plans as production does. Queries whose plans are the same in the
/// end are not asked for.
pub fn between(
    examination: &Examination<'_>,
    shadow: &mut shadow::Shadow<'_>,
    before: &mut Session,
    (first, last): (Captures, Captures),
) -> Result<Steps> {
    let (pending, gate) = (examination.pending, &examination.profile.gate);
    let changed = changed(&first, &last, gate);
    let queries: Vec<Query> =
        examination.queries.iter().filter(|one| changed.contains(&one.name)).cloned().collect();
    let known = first.clone();
    let mut steps = Steps::from([(0, first), (pending.len(), last)]);
    let mut open = vec![(0, pending.len())];
    while let Some((low, high)) = open.pop() {
        let is_settled = high - low < 2 || steps.len() >= DATABASES_MAX + 2;
        if is_settled || is_same(&steps, (low, high), &queries, gate) {
            continue;
        }
        let middle = low + (high - low) / 2;
        let database = shadow.copy(super::ORIGIN, &format!("after_{middle}"))?;
        shadow.migrate(&database, &pending[..middle])?;
        let foretold = shadow.foretell(before, &database)?;
        let (mut session, facts) = shadow.imitate_as(&database, &foretold.snapshot)?;
        let side = Side::new(&mut session, &facts);
        let stopped = examination.stopped;
        let captures =
            take(side, &queries, &shadow::TERMS, Some(&known), |_, _| interrupt::check(stopped))?;
        steps.insert(middle, captures);
        open.extend([(middle, high), (low, middle)]);
    }
    Ok(steps)
}

/// The queries whose plans are not the same.
fn changed(before: &Captures, after: &Captures, gate: &Thresholds) -> BTreeSet<String> {
    let compared = compare(before, after, gate).into_iter();
    let changed = compared.filter(|one| one.judgement.verdict != Verdict::Identical);
    changed.map(|one| one.before.query.clone()).collect()
}

fn is_same(
    steps: &Steps,
    (low, high): (usize, usize),
    queries: &[Query],
    gate: &Thresholds,
) -> bool {
    let Some((low, high)) = steps.get(&low).zip(steps.get(&high)) else { return true };
    let changed = changed(low, high, gate);
    !queries.iter().any(|query| changed.contains(&query.name))
}

/// Which migration changed which query, where there are several.
pub fn told(examination: &Examination<'_>, steps: &Steps) -> Report {
    let pending = examination.pending;
    let header = ["migration", "query", "verdict", "cost before", "after", "why"];
    let mut table = Table::new("plans by migration", &header).right_aligned(&[3, 4]);
    for step in crate::checks::plans::changes(steps, &examination.profile.gate) {
        let name = |at: usize| pending.get(at).map_or_else(String::new, |one| one.id.to_string());
        let migration = match step.to - step.from {
            1 => name(step.from),
            _ => format!("{} to {}", name(step.from), name(step.to - 1)),
        };
        table.rows.extend(step.changed.iter().map(|one| {
            let cost = one.judgement.cost;
            let [before, after] = cost.map_or_else(Default::default, |(before, after)| {
                [format!("{before:.2}"), format!("{after:.2}")]
            });
            let why = one.judgement.reasons.first().cloned().unwrap_or_default();
            let verdict = one.judgement.verdict.to_string();
            vec![migration.clone(), one.before.label(), verdict, before, after, why]
        }));
    }
    let is_worth_it = pending.len() > 1 && !table.rows.is_empty();
    if is_worth_it { Report::new("").table(table) } else { Report::new("") }
}
