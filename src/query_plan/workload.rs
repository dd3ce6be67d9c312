//! Whether what became of single queries matters: over several parameters, and weighed by how often
//! each query is called. Pure.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::measure::percent;
use super::verdict::{Capture, Judgement, Outcome, Verdict};
use crate::model::gate::Thresholds;

/// The judgement over several sets of parameters of one query, by their names.
///
/// The worst decides; figures are summed. The first reason tells of how many sets it is true.
pub fn judge_sets(sets: &[(String, Judgement)]) -> Judgement {
    let Some((name, worst)) = sets.iter().rev().max_by_key(|(_, judgement)| judgement.verdict)
    else {
        let reasons = vec!["there are no parameters to plan it with".to_string()];
        return Judgement { verdict: Verdict::NotComparable, reasons, cost: None, buffers: None };
    };
    // Where nothing got worse for any of them, what got better for some counts.
    let improved = sets.iter().find(|(_, judgement)| judgement.verdict == Verdict::Improved);
    let (name, told) = match improved {
        Some((name, judgement)) if worst.verdict < Verdict::Improved => (name, judgement),
        Some(_) | None => (name, worst),
    };
    let mut reasons = told.reasons.clone();
    if sets.len() > 1 {
        reasons.insert(0, spread(sets, name));
    }
    let sum = |pick: fn(&Judgement) -> Option<(f64, f64)>| {
        let figures = sets.iter().map(|(_, judgement)| pick(judgement));
        figures.collect::<Option<Vec<_>>>().map(|figures| {
            figures.iter().fold((0.0, 0.0), |sum, figure| (sum.0 + figure.0, sum.1 + figure.1))
        })
    };
    Judgement {
        verdict: told.verdict,
        reasons,
        cost: sum(|judgement| judgement.cost),
        buffers: sum(|judgement| judgement.buffers),
    }
}

/// "regressed with 1 of 4 parameter sets (rare), improved with 2, identical with 1".
fn spread(sets: &[(String, Judgement)], worst: &str) -> String {
    let verdicts: BTreeSet<Verdict> = sets.iter().map(|(_, judgement)| judgement.verdict).collect();
    let count = |verdict: &Verdict| sets.iter().filter(|(_, j)| j.verdict == *verdict).count();
    let mut parts = verdicts.iter().rev().map(|verdict| (verdict, count(verdict)));
    let first = parts.next().map(|(verdict, count)| {
        format!("{verdict} with {count} of {} parameter sets ({worst})", sets.len())
    });
    let rest = parts.map(|(verdict, count)| format!("{verdict} with {count}"));
    first.into_iter().chain(rest).collect::<Vec<_>>().join(", ")
}

/// How many plans (whatever their constants) a query has over its sets of parameters: with more
/// than one it is sensitive to them.
pub fn shapes(outcomes: &[Outcome]) -> usize {
    let plan = |outcome: &Outcome| match outcome {
        Outcome::Plan(capture) => {
            let capture: &Capture = capture;
            Some(capture.plan.shape())
        }
        Outcome::Error(_) | Outcome::TimedOut(_) | Outcome::Locked(_) => None,
    };
    outcomes.iter().filter_map(plan).collect::<BTreeSet<_>>().len()
}

/// A query of the workload, judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Weighed {
    /// Its name.
    pub name: String,
    /// How often it is called, in any one unit of time; 1 where nobody knows.
    pub calls: f64,
    /// What became of it.
    pub judgement: Judgement,
}

/// What became of the workload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkloadJudgement {
    /// The worst verdict among the queries that block; without one, improved where the workload
    /// got cheaper by what the thresholds want, else the mildest that is true.
    pub verdict: Verdict,
    /// What the sums count: `cost` or `blocks`.
    pub unit: String,
    /// Calls times cost (or blocks) of all queries before.
    pub before: f64,
    /// The same after.
    pub after: f64,
    /// Each query, what hurts the workload most first.
    pub queries: Vec<Impact>,
}

/// What became of one query, and what that means.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Impact {
    /// Its name.
    pub name: String,
    /// What became of it.
    pub verdict: Verdict,
    /// By which share the workload got dearer because of it; negative where it got cheaper.
    pub on_workload: f64,
    /// By which share one call got dearer.
    pub on_statement: f64,
    /// Whether it stops a gate.
    pub blocks: bool,
    /// Why, in words.
    pub reasons: Vec<String>,
}

impl WorkloadJudgement {
    /// Whether a gate stops.
    pub fn blocks(&self) -> bool {
        self.queries.iter().any(|query| query.blocks)
    }
}

/// Weighs judgements by calls. A query blocks when it failed, or when both the workload and the
/// statement lose at least what the thresholds say: one bad rare query does not, a small loss of
/// the top query does. What it lost without a higher cost counts with its share of the workload.
pub fn judge_workload(queries: &[Weighed], thresholds: &Thresholds) -> WorkloadJudgement {
    let all_measured = queries
        .iter()
        .all(|query| query.judgement.buffers.is_some() || query.judgement.cost.is_none())
        && queries.iter().any(|query| query.judgement.buffers.is_some());
    let unit = if all_measured { "blocks" } else { "cost" };
    let figures = |query: &Weighed| {
        let judgement = &query.judgement;
        if all_measured { judgement.buffers } else { judgement.cost }
    };
    let total = |side: fn((f64, f64)) -> f64| {
        let each = queries.iter().filter_map(|q| Some(q.calls * side(figures(q)?)));
        each.sum::<f64>()
    };
    let (before, after) = (total(|figures| figures.0), total(|figures| figures.1));
    let mut impacts: Vec<Impact> =
        queries.iter().map(|query| impact(query, figures(query), before, thresholds)).collect();
    impacts.sort_by(|x, y| y.blocks.cmp(&x.blocks).then(y.on_workload.total_cmp(&x.on_workload)));
    let blocking = impacts.iter().filter(|impact| impact.blocks).map(|impact| impact.verdict);
    let verdict = blocking.max().unwrap_or_else(|| {
        if impacts.iter().all(|impact| impact.verdict == Verdict::Identical) {
            Verdict::Identical
        } else if impacts.iter().all(|impact| impact.verdict <= Verdict::SameShape) {
            Verdict::SameShape
        } else if after <= before * thresholds.improved_ratio {
            Verdict::Improved
        } else {
            Verdict::Changed
        }
    });
    // A query that blocks by its weight alone makes a regression of the workload.
    let verdict = if impacts.iter().any(|impact| impact.blocks) {
        verdict.max(Verdict::Regressed)
    } else {
        verdict
    };
    WorkloadJudgement { verdict, unit: unit.to_string(), before, after, queries: impacts }
}

/// What one query means to the workload.
fn impact(
    query: &Weighed,
    figures: Option<(f64, f64)>,
    total: f64,
    thresholds: &Thresholds,
) -> Impact {
    let share = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
    let (before, after) = figures.unwrap_or_default();
    let on_workload = share(query.calls * (after - before), total);
    let on_statement = share(after - before, before);
    let verdict = query.judgement.verdict;
    let dearer =
        on_workload >= thresholds.workload_impact && on_statement >= thresholds.statement_impact;
    let matters = share(query.calls * before, total) >= thresholds.workload_impact;
    let blocks = match verdict {
        Verdict::Failed => true,
        // Out of time.
        Verdict::Regressed if figures.is_none() => true,
        // By an alarm, without a higher cost: its weight counts.
        Verdict::Regressed if after <= before * (1.0 + thresholds.statement_impact) => matters,
        Verdict::Regressed | Verdict::Changed | Verdict::SameShape => dearer,
        Verdict::Identical | Verdict::Improved | Verdict::Unstable | Verdict::NotComparable => {
            false
        }
    };
    let mut reasons = query.judgement.reasons.clone();
    if blocks && figures.is_some() {
        let (one, all) = (percent(before, after), percent(total, total * (1.0 + on_workload)));
        reasons.insert(0, format!("one call {one}, the workload {all}"));
    }
    Impact { name: query.name.clone(), verdict, on_workload, on_statement, blocks, reasons }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(verdict: Verdict, before: f64, after: f64) -> Judgement {
        let reasons = vec![format!("because {verdict}")];
        Judgement { verdict, reasons, cost: Some((before, after)), buffers: None }
    }

    fn weighed(name: &str, calls: f64, judgement: Judgement) -> Weighed {
        Weighed { name: name.to_string(), calls, judgement }
    }

    fn blocked(queries: &[Weighed]) -> (Verdict, Vec<String>) {
        let judgement = judge_workload(queries, &Thresholds::default());
        let names = judgement.queries.iter().filter(|query| query.blocks);
        (judgement.verdict, names.map(|query| query.name.clone()).collect())
    }

    #[test]
    fn a_bad_rare_query_does_not_block_and_a_small_loss_of_the_top_one_does() {
        let top = weighed("top", 10_000.0, judged(Verdict::Identical, 100.0, 100.0));
        let rare = weighed("rare", 1.0, judged(Verdict::Regressed, 500.0, 5_000.0));
        assert_eq!(blocked(&[top.clone(), rare.clone()]), (Verdict::Changed, vec![]));
        let slower = weighed("top", 10_000.0, judged(Verdict::SameShape, 100.0, 106.0));
        let expected = (Verdict::Regressed, vec!["top".to_string()]);
        assert_eq!(blocked(&[slower, rare]), expected);
    }

    #[test]
    fn what_has_no_higher_cost_counts_with_its_weight() {
        let lost = |calls| weighed("lost", calls, judged(Verdict::Regressed, 100.0, 101.0));
        let other = weighed("other", 1_000.0, judged(Verdict::Identical, 100.0, 100.0));
        assert_eq!(blocked(&[lost(1.0), other.clone()]).1, Vec::<String>::new());
        assert_eq!(blocked(&[lost(500.0), other]).1, ["lost"]);
    }

    #[test]
    fn failures_block_and_unstable_plans_never_do() {
        let failed = Judgement { cost: None, ..judged(Verdict::Failed, 0.0, 0.0) };
        let other = weighed("other", 1.0, judged(Verdict::Unstable, 100.0, 1_000.0));
        let expected = (Verdict::Failed, vec!["failed".to_string()]);
        assert_eq!(blocked(&[weighed("failed", 1.0, failed), other.clone()]), expected);
        assert_eq!(blocked(&[other]), (Verdict::Changed, vec![]));
        let better = weighed("better", 1.0, judged(Verdict::Improved, 100.0, 10.0));
        assert_eq!(blocked(&[better]), (Verdict::Improved, vec![]));
        assert_eq!(blocked(&[]).0, Verdict::Identical);
        let judgement = judge_workload(&[], &Thresholds::default());
        assert!(!judgement.blocks());
    }

    #[test]
    fn blocks_are_weighed_where_all_were_measured() {
        let measured =
            |verdict, buffers| Judgement { buffers: Some(buffers), ..judged(verdict, 100.0, 50.0) };
        let query = weighed("a", 2.0, measured(Verdict::Regressed, (100.0, 400.0)));
        let judgement = judge_workload(std::slice::from_ref(&query), &Thresholds::default());
        assert_eq!(
            (judgement.unit.as_str(), judgement.before, judgement.after),
            ("blocks", 200.0, 800.0)
        );
        assert_eq!(judgement.queries[0].reasons[0], "one call +300 %, the workload +300 %");
        let only_estimated = weighed("b", 1.0, judged(Verdict::Identical, 1.0, 1.0));
        let judgement = judge_workload(&[query, only_estimated], &Thresholds::default());
        assert_eq!(judgement.unit, "cost");
    }

    #[test]
    fn the_worst_of_several_parameters_decides() {
        let sets = |verdicts: &[Verdict]| {
            let set = |(at, verdict): (usize, &Verdict)| {
                (format!("set {at}"), judged(*verdict, 10.0, 20.0))
            };
            judge_sets(&verdicts.iter().enumerate().map(set).collect::<Vec<_>>())
        };
        use Verdict::{Identical, Improved, Regressed, SameShape};
        let judgement = sets(&[Identical, Regressed, Improved, Identical]);
        assert_eq!(judgement.verdict, Regressed);
        assert_eq!(judgement.cost, Some((40.0, 80.0)));
        let told =
            "regressed with 1 of 4 parameter sets (set 1), improved with 1, identical with 2";
        assert_eq!(judgement.reasons, [told, "because regressed"]);
        assert_eq!(sets(&[Identical, Improved, SameShape]).verdict, Improved);
        assert_eq!(sets(&[Identical]).reasons, ["because identical"]);
        assert_eq!(sets(&[]).verdict, Verdict::NotComparable);
    }
}
