//! Asks for the best other plan of queries whose plan changed without a clear gain or loss.

use std::collections::BTreeMap;

use crate::error::Result;
use crate::model::gate::Thresholds;
use crate::pg::explain::{self, Asking};
use crate::pg::failure::Verdict as FailureVerdict;
use crate::profile::Query;
use crate::query_plan::captures::{Captures, compare};
use crate::query_plan::rival::{Variant, rival_cost, variants};
use crate::query_plan::verdict::{Mode, Outcome, is_undecided};
use crate::query_plan::{self, QueryPlan};
use crate::sql::query::look;

use super::take::{Side, Terms};
use super::values::with_values;

/// Notes in `after` what the best rival of each plan costs, where that decides about the verdict:
/// a handful of plans for each query that changed undecidedly, none for all others.
pub fn note_rivals(
    side: &mut Side<'_>,
    queries: &[Query],
    before: &Captures,
    after: &mut Captures,
    terms: &Terms,
    thresholds: &Thresholds,
) -> Result<()> {
    let compared = compare(before, after, thresholds);
    let undecided = compared.iter().filter(|one| is_undecided(&one.judgement, thresholds));
    let undecided: Vec<(String, usize)> =
        undecided.map(|one| (one.after.query.clone(), one.after.set)).collect();
    if undecided.is_empty() || terms.mode == Mode::Analyze {
        return Ok(());
    }
    let asked = with_values(side, queries, terms, Some(after))?;
    for one in &asked {
        for set in one.sets.iter().filter(|set| {
            undecided
                .iter()
                .any(|(query, number)| (query, *number) == (&one.query.name, set.number))
        }) {
            let captured = after
                .queries
                .iter_mut()
                .find(|known| (&known.query, known.set) == (&one.query.name, set.number));
            if let Some(Outcome::Plan(capture)) = captured.map(|captured| &mut captured.outcome) {
                capture.rival_cost =
                    best_rival(side, one.query, &set.values, &capture.plan, terms, thresholds)?;
            }
        }
    }
    explain::end(side.session)
}

/// The cost of the cheapest other plan that is found under some setting.
fn best_rival(
    side: &mut Side<'_>,
    query: &Query,
    values: &[String],
    plan: &QueryPlan,
    terms: &Terms,
    thresholds: &Thresholds,
) -> Result<Option<f64>> {
    let mut best: Option<f64> = None;
    for variant in variants(plan, thresholds.tie) {
        let other = under(side, query, values, &variant, terms)?;
        let cost = other.and_then(|other| rival_cost(plan, &variant, &other));
        best = best.into_iter().chain(cost).reduce(f64::min);
    }
    Ok(best)
}

/// The plan under a variant; `None` where there is none.
fn under(
    side: &mut Side<'_>,
    query: &Query,
    values: &[String],
    variant: &Variant,
    terms: &Terms,
) -> Result<Option<QueryPlan>> {
    let Ok(looked) = look(&query.sql) else { return Ok(None) };
    let settings = BTreeMap::from([(variant.name.to_string(), variant.value.clone())]);
    let asking = Asking { settings, ..side.asking(terms) };
    let json = explain::set_up(side.session, query, &asking).and_then(|()| match terms.mode {
        Mode::Generic => explain::generic(side.session, looked.text, side.server.version_num),
        Mode::Estimate | Mode::Analyze => explain::estimate(side.session, looked.text, values),
    });
    let json = match json {
        Ok(json) => json,
        Err(failure) if failure.verdict() == FailureVerdict::Gone => {
            return Err(failure.explain(&format!("cannot plan {}", query.name)));
        }
        Err(_) => return Ok(None),
    };
    let names = explain::names(side.session, &query_plan::relations(&json))?;
    Ok(query_plan::read(&json, &names).ok())
}
