//! Whether a plan got better or worse. Pure.
//!
//! The rules, in their order: what failed; what cannot be compared; what was measured (blocks, then
//! rows, then time); what was estimated; what the plan lost, on large tables.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::alarm::alarms;
use super::cause::Cause;
use super::diff::{PlanDiff, diff};
use super::measure::{Measure, Moved, estimated, measured, moved_estimate, percent, rows};
use super::node::QueryPlan;
use super::text::{Figures, rounded};
use crate::model::gate::Thresholds;
use crate::model::units::plural;

/// What became of a query's plan, from good to bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The same plan at the same cost.
    Identical,
    /// The same plan, its cost a little different.
    SameShape,
    /// A cheaper one.
    Improved,
    /// Another one, neither clearly better nor clearly worse: somebody should look.
    Changed,
    /// Another one, hardly better than its rival: it may change back any day. Never blocks.
    Unstable,
    /// The circumstances differ, so that nothing can be said.
    NotComparable,
    /// A dearer one, or one that lost what made it fast.
    Regressed,
    /// The query worked before and does not now.
    Failed,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verdict::Identical => "identical",
            Verdict::SameShape => "same shape",
            Verdict::Improved => "improved",
            Verdict::Changed => "changed",
            Verdict::Unstable => "unstable",
            Verdict::NotComparable => "not comparable",
            Verdict::Regressed => "regressed",
            Verdict::Failed => "failed",
        })
    }
}

/// A query explained, or why that failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was explained.
    Plan(Box<Capture>),
    /// It has no plan: its text is wrong, a parameter is missing, a right.
    Error(String),
    /// It ran out of time.
    TimedOut(String),
    /// It was not planned: somebody held a lock on one of its tables.
    Locked(String),
}

/// A plan and the circumstances it was made in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Capture {
    /// The plan; with ANALYZE, that of the median run.
    pub plan: QueryPlan,
    /// How it was asked for.
    pub mode: Mode,
    /// The server's major version.
    pub server_major: u32,
    /// A digest of when statistics were made of the tables that it reads; empty where nobody asked.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub statistics: String,
    /// The cost of the best other plan, where it was looked for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rival_cost: Option<f64>,
    /// Execution times of all warm runs, in milliseconds.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub samples_ms: Vec<f64>,
}

/// How a plan was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Planned for each set of values, and not run
    Estimate,
    /// Planned for any values, as a prepared statement that is often run
    Generic,
    /// Run for each set of values, and rolled back
    Analyze,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Mode::Estimate => "estimate",
            Mode::Generic => "generic",
            Mode::Analyze => "analyze",
        })
    }
}

/// A verdict with its reasons and what it was measured by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// Why, in words; the most important first.
    pub reasons: Vec<String>,
    /// Estimated cost before and after, where both are plans.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cost: Option<(f64, f64)>,
    /// Blocks before and after, where both were measured.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub buffers: Option<(f64, f64)>,
}

/// Judges one query with one set of parameters.
pub fn judge(before: &Outcome, after: &Outcome, thresholds: &Thresholds) -> Judgement {
    let (b, a) = match (before, after) {
        (Outcome::Plan(before), Outcome::Plan(after)) => (before, after),
        (Outcome::Plan(_), Outcome::Error(why)) => {
            return without_plan(Verdict::Failed, format!("fails now: {why}"));
        }
        (Outcome::Plan(_), Outcome::TimedOut(why)) => {
            return without_plan(Verdict::Regressed, format!("runs out of time now: {why}"));
        }
        // That says nothing of the query.
        (Outcome::Plan(_), Outcome::Locked(why)) => {
            return without_plan(Verdict::NotComparable, format!("not planned now: {why}"));
        }
        (Outcome::Locked(why), _) => {
            return without_plan(Verdict::NotComparable, format!("not planned before: {why}"));
        }
        (Outcome::TimedOut(why), Outcome::Plan(_)) => {
            return without_plan(Verdict::Improved, format!("ran out of time before: {why}"));
        }
        (Outcome::Error(why), Outcome::Plan(_)) => {
            return without_plan(Verdict::NotComparable, format!("failed before: {why}"));
        }
        (
            Outcome::Error(_) | Outcome::TimedOut(_),
            Outcome::Error(why) | Outcome::TimedOut(why) | Outcome::Locked(why),
        ) => {
            let reason = format!("failed before as well: {why}");
            return without_plan(Verdict::NotComparable, reason);
        }
    };
    let (verdict, reasons) = judge_plans(b, a, thresholds);
    let blocks = |plan: &QueryPlan| Some(plan.measured?.buffers?.all() as f64);
    Judgement {
        verdict,
        reasons,
        cost: Some((b.plan.cost(), a.plan.cost())),
        buffers: blocks(&b.plan).zip(blocks(&a.plan)),
    }
}

/// The judgement where one plan is missing.
fn without_plan(verdict: Verdict, reason: String) -> Judgement {
    Judgement { verdict, reasons: vec![reason], cost: None, buffers: None }
}

/// Judges two plans.
fn judge_plans(b: &Capture, a: &Capture, thresholds: &Thresholds) -> (Verdict, Vec<String>) {
    let same = b.plan.text(Figures::Without) == a.plan.text(Figures::Without);
    let differ = circumstances(b, a);
    if !differ.is_empty() {
        let verdict = match estimated(&b.plan, &a.plan, thresholds).moved {
            _ if !same => Verdict::NotComparable,
            Moved::Not => Verdict::Identical,
            Moved::Little | Moved::Better | Moved::Worse => Verdict::SameShape,
        };
        return (verdict, differ);
    }
    let cost = estimated(&b.plan, &a.plan, thresholds);
    let run = measured(b, a, thresholds);
    let mut reasons: Vec<String> = run.iter().chain([&cost]).filter_map(Measure::told).collect();
    let plan_diff = diff(&b.plan, &a.plan);
    reasons.extend(causes_told(&plan_diff));
    let only_partitions = plan_diff.causes().all(|cause| matches!(cause, Cause::Partitions { .. }));
    let verdict = if same {
        same_shape(b, a, &cost, run.as_ref(), &mut reasons)
    } else if only_partitions {
        same_shape(b, a, &cost, run.as_ref(), &mut reasons).max(Verdict::SameShape)
    } else {
        let lost = alarms(&plan_diff, &b.plan, &a.plan, thresholds);
        let verdict = other_shape(&cost, run.as_ref(), &lost);
        if let (Some(Moved::Worse), Moved::Better) | (Some(Moved::Better), Moved::Worse) =
            (run.map(|run| run.moved), cost.moved)
        {
            reasons.push("the planner expected the opposite".to_string());
        }
        let lost = lost.into_iter().filter(|lost| !reasons.contains(lost)).collect::<Vec<_>>();
        reasons.extend(lost);
        only_estimated_better(verdict, b, a, run.is_some(), &mut reasons)
    };
    let close = a.rival_cost.filter(|rival| {
        let is_tie = (rival / a.plan.cost() - 1.0).abs() <= thresholds.tie;
        is_tie && run.is_none() && is_open(verdict, (b.plan.cost(), a.plan.cost()), thresholds)
    });
    match close {
        Some(rival) => {
            let close = percent(a.plan.cost(), rival);
            reasons.insert(0, format!("another plan costs nearly the same ({close})"));
            (Verdict::Unstable, reasons)
        }
        None => (verdict, reasons),
    }
}

/// Whether a verdict hangs on the shape of the plan alone: a rival at the same cost would turn it.
/// What clearly got dearer did so whichever of the two is chosen.
fn is_open(verdict: Verdict, (before, after): (f64, f64), thresholds: &Thresholds) -> bool {
    let clearly =
        after >= before * thresholds.cost_ratio || after <= before * thresholds.improved_ratio;
    match verdict {
        Verdict::Changed | Verdict::Regressed => !clearly,
        Verdict::Identical
        | Verdict::SameShape
        | Verdict::Improved
        | Verdict::Unstable
        | Verdict::NotComparable
        | Verdict::Failed => false,
    }
}

/// Whether it is worth asking for the rival of the plan after.
pub fn is_undecided(judgement: &Judgement, thresholds: &Thresholds) -> bool {
    judgement.cost.is_some_and(|cost| is_open(judgement.verdict, cost, thresholds))
}

/// The causes of all changes, what explains most first.
fn causes_told(diff: &PlanDiff) -> Vec<String> {
    let mut causes: Vec<&Cause> = diff.causes().collect();
    causes.sort_by_key(|cause| cause.rank());
    let mut told: Vec<String> = Vec::new();
    for cause in causes.into_iter().map(ToString::to_string) {
        if !told.contains(&cause) {
            told.push(cause);
        }
    }
    let more = told.len().saturating_sub(CAUSES_MAX);
    told.truncate(CAUSES_MAX);
    told.extend((more > 0).then(|| format!("and {}", plural(more, "thing more", "things more"))));
    told
}

/// More causes than these are counted only; the diff has all.
const CAUSES_MAX: usize = 8;

/// What makes two captures tell nothing about the change between them.
fn circumstances(b: &Capture, a: &Capture) -> Vec<String> {
    let mut differ = Vec::new();
    if b.mode != a.mode {
        differ.push(format!("captured in another way: {}, then {}", b.mode, a.mode));
    }
    if b.server_major != a.server_major {
        let (before, after) = (b.server_major, a.server_major);
        differ.push(format!("PostgreSQL {after} instead of {before}"));
    }
    if !b.statistics.is_empty() && b.statistics != a.statistics {
        differ.extend(estimates_moved(&b.plan, &a.plan));
    }
    let (set_b, set_a) = (&b.plan.settings, &a.plan.settings);
    let names = set_b.keys().chain(set_a.keys().filter(|name| !set_b.contains_key(*name)));
    for name in names.filter(|name| set_b.get(*name) != set_a.get(*name)) {
        let shown =
            |value: Option<&String>| value.map_or("its default", String::as_str).to_string();
        let (before, after) = (shown(set_b.get(name)), shown(set_a.get(name)));
        differ.push(format!("{name} is {after} instead of {before}"));
    }
    differ
}

/// What new statistics made the planner believe, if that is something else than before: then a cost
/// that moved is their doing. Most ANALYZEs find what the one before found: the same rows of a
/// table up to a few per cent, and of a rare value up to a half.
fn estimates_moved(b: &QueryPlan, a: &QueryPlan) -> Option<String> {
    const OF_TABLE: f64 = 1.1;
    const OF_RESULT: f64 = 2.0;
    let told = |what: &str, before: f64, after: f64, factor: f64| {
        // More rows make nothing cheaper, and fewer nothing dearer.
        let is_their_doing = (after > before) == (a.cost() > b.cost());
        let (low, high) = (before.min(after).max(1.0), before.max(after).max(1.0));
        let (before, after) = (rounded(before), rounded(after));
        let text = format!("new statistics: {what} has {after} rows instead of {before}");
        (is_their_doing && high / low >= factor).then_some(text)
    };
    let grown = b.relations.iter().find_map(|(name, facts)| {
        told(name, facts.size?.rows, a.relations.get(name)?.size?.rows, OF_TABLE)
    });
    grown.or_else(|| told("the result", b.rows(), a.rows(), OF_RESULT))
}

/// The verdict on a plan that is what it was.
fn same_shape(
    b: &Capture,
    a: &Capture,
    cost: &Measure,
    run: Option<&Measure>,
    reasons: &mut Vec<String>,
) -> Verdict {
    if cost.moved != Moved::Not {
        reasons.extend(moved_estimate(&b.plan.root, &a.plan.root));
    }
    match run.unwrap_or(cost).moved {
        Moved::Worse if run.is_none() => match grown(&b.plan, &a.plan) {
            Some(told) => {
                reasons.insert(0, told);
                Verdict::Changed
            }
            None => Verdict::Regressed,
        },
        Moved::Worse => Verdict::Regressed,
        Moved::Better => Verdict::Improved,
        Moved::Little => Verdict::SameShape,
        Moved::Not if cost.moved == Moved::Not => Verdict::Identical,
        Moved::Not => Verdict::SameShape,
    }
}

/// The table that grew most, by a tenth at least: the same plan costs more then, and no index is to
/// blame.
fn grown(b: &QueryPlan, a: &QueryPlan) -> Option<String> {
    let rows = |plan: &QueryPlan, name: &str| Some(plan.relations.get(name)?.size?.rows.max(1.0));
    let growth = |name: &&String| rows(a, name).zip(rows(b, name)).map_or(0.0, |(a, b)| a / b);
    let most = a.relations.keys().max_by(|x, y| growth(x).total_cmp(&growth(y)))?;
    if growth(&most) < 1.1 {
        return None;
    }
    let (before, after) = (rounded(rows(b, most)?), rounded(rows(a, most)?));
    Some(format!("{most} has {after} rows instead of {before}"))
}

/// The verdict on another plan. What was measured decides, and an estimate that says the opposite
/// makes it something to look at; so does what the plan lost, where it is cheaper all the same.
fn other_shape(cost: &Measure, run: Option<&Measure>, lost: &[String]) -> Verdict {
    match (run.map(|run| run.moved), cost.moved) {
        (Some(Moved::Worse), _) => Verdict::Regressed,
        (Some(Moved::Better), Moved::Worse) => Verdict::Changed,
        (Some(Moved::Better), Moved::Better | Moved::Little | Moved::Not) => Verdict::Improved,
        (Some(Moved::Little | Moved::Not), _) => Verdict::Changed,
        (None, Moved::Worse) => Verdict::Regressed,
        (None, Moved::Better) if lost.is_empty() => Verdict::Improved,
        (None, Moved::Little | Moved::Not) if !lost.is_empty() && cost.after >= cost.before => {
            Verdict::Regressed
        }
        (None, Moved::Better | Moved::Little | Moved::Not) => Verdict::Changed,
    }
}

/// An improvement that comes with half the rows at the top or fewer is the statistics' doing, not
/// the index's: the rows of a query do not depend on its plan.
fn only_estimated_better(
    verdict: Verdict,
    b: &Capture,
    a: &Capture,
    was_run: bool,
    reasons: &mut Vec<String>,
) -> Verdict {
    let (before, after) = (b.plan.rows().max(1.0), a.plan.rows().max(1.0));
    let moved = before / after >= 2.0;
    if verdict != Verdict::Improved || was_run || !moved {
        return verdict;
    }
    let (before, after) = (rounded(before), rows(after));
    reasons.insert(0, format!("{after} expected instead of {before}: look at the statistics"));
    Verdict::Changed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query_plan::workload::shapes;
    use crate::query_plan::{Names, read};

    /// A capture of a scan of `app.t`, of that cost; with blocks, rows and times if it was run.
    fn capture(kind: &str, cost: f64, run: Option<(u64, u64, [f64; 3])>) -> Capture {
        let index = if kind.starts_with("Index") { r#""Index Name": "i","# } else { "" };
        let actual = run.map_or_else(String::new, |(blocks, rows, _)| {
            format!(r#", "Actual Rows": {rows}, "Actual Loops": 1, "Shared Hit Blocks": {blocks}"#)
        });
        let json = format!(
            r#"[{{"Plan": {{"Node Type": "{kind}", {index} "Schema": "app", "Relation Name": "t",
            "Alias": "t", "Total Cost": {cost}, "Plan Rows": 10, "Filter": "(a = 1)"{actual}}}}}]"#
        );
        Capture {
            plan: read(&json, &Names::default()).unwrap(),
            mode: Mode::Estimate,
            server_major: 17,
            statistics: String::new(),
            rival_cost: None,
            samples_ms: run.map(|(_, _, samples)| samples.to_vec()).unwrap_or_default(),
        }
    }

    fn outcome(capture: Capture) -> Outcome {
        Outcome::Plan(Box::new(capture))
    }

    fn verdict(before: Capture, after: Capture) -> Verdict {
        judge(&outcome(before), &outcome(after), &Thresholds::default()).verdict
    }

    #[test]
    fn the_estimate_decides_where_nothing_was_run() {
        let seq = |cost| capture("Seq Scan", cost, None);
        let index = |cost| capture("Index Scan", cost, None);
        for (before, after, expected) in [
            (seq(1000.0), seq(1005.0), Verdict::Identical),
            (seq(1000.0), seq(1080.0), Verdict::SameShape),
            (seq(1000.0), seq(1150.0), Verdict::Regressed),
            // Grown by half, but by less than the floor.
            (seq(100.0), seq(150.0), Verdict::SameShape),
            (seq(1000.0), index(10.0), Verdict::Improved),
            (seq(1000.0), index(990.0), Verdict::Changed),
            (index(1000.0), seq(1200.0), Verdict::Regressed),
            // No dearer by the thresholds, but a large table lost its index.
            (index(1000.0), seq(1050.0), Verdict::Regressed),
            (index(1000.0), seq(500.0), Verdict::Changed),
            // A small one did.
            (index(20.0), seq(21.0), Verdict::Changed),
        ] {
            let told = format!("{} {} {}", before.plan.cost(), after.plan.cost(), expected);
            assert_eq!(verdict(before, after), expected, "{told}");
        }
    }

    #[test]
    fn what_was_measured_decides_over_the_estimate() {
        let run =
            |cost, blocks, rows, samples| capture("Seq Scan", cost, Some((blocks, rows, samples)));
        let index = |cost, blocks| capture("Index Scan", cost, Some((blocks, 10, [1.0; 3])));
        let base = || run(1000.0, 1000, 10, [10.0, 11.0, 12.0]);
        for (after, expected) in [
            (run(1000.0, 1005, 10, [10.0, 11.0, 12.0]), Verdict::Identical),
            (run(1000.0, 1300, 10, [10.0, 11.0, 12.0]), Verdict::Regressed),
            (run(1000.0, 1000, 50_000, [10.0, 11.0, 12.0]), Verdict::Regressed),
            (run(1000.0, 1000, 10, [30.0, 31.0, 32.0]), Verdict::Regressed),
            // One run overlaps: noise.
            (run(1000.0, 1000, 10, [11.5, 31.0, 32.0]), Verdict::Identical),
            (run(1500.0, 1000, 10, [10.0, 11.0, 12.0]), Verdict::SameShape),
            (index(10.0, 50_000), Verdict::Regressed),
            (index(10.0, 5), Verdict::Improved),
            (index(5000.0, 5), Verdict::Changed),
        ] {
            let told = format!("{:?}", after.plan.measured);
            assert_eq!(verdict(base(), after), expected, "{told}");
        }
    }

    #[test]
    fn circumstances_and_ties() {
        let base = || capture("Seq Scan", 1000.0, None);
        let index = || capture("Index Scan", 500.0, None);
        let newer = Capture { server_major: 18, ..index() };
        assert_eq!(verdict(base(), newer), Verdict::NotComparable);
        let analyzed = Capture { statistics: "other".to_string(), ..base() };
        assert_eq!(verdict(base(), analyzed), Verdict::Identical);
        let generic = Capture { mode: Mode::Generic, ..capture("Seq Scan", 2000.0, None) };
        assert_eq!(verdict(base(), generic), Verdict::SameShape);
        // Neither cheaper nor dearer: the rival could be chosen as well.
        let near = |rival| {
            let capture = capture("Index Scan", 1005.0, None);
            Capture { rival_cost: Some(rival), ..capture }
        };
        assert_eq!(verdict(base(), near(1010.0)), Verdict::Unstable);
        assert_eq!(verdict(base(), near(1100.0)), Verdict::Changed);
        // Twice as cheap, and twice as dear, whichever is chosen.
        let cheaper = Capture { rival_cost: Some(505.0), ..index() };
        assert_eq!(verdict(base(), cheaper), Verdict::Improved);
        let dearer = Capture { rival_cost: Some(1010.0), ..base() };
        assert_eq!(verdict(index(), dearer), Verdict::Regressed);
    }

    #[test]
    fn failures_on_one_side_and_on_both() {
        let plan = || outcome(capture("Seq Scan", 1.0, None));
        let (error, late) =
            (Outcome::Error("no".to_string()), Outcome::TimedOut("30s".to_string()));
        let judged = |before: &Outcome, after: &Outcome| {
            judge(before, after, &Thresholds::default()).verdict
        };
        assert_eq!(judged(&plan(), &error), Verdict::Failed);
        assert_eq!(judged(&plan(), &late), Verdict::Regressed);
        assert_eq!(judged(&late, &plan()), Verdict::Improved);
        assert_eq!(judged(&error, &plan()), Verdict::NotComparable);
        assert_eq!(judged(&error, &late), Verdict::NotComparable);
        // Somebody's lock says nothing of the query.
        let locked = Outcome::Locked("lock timeout".to_string());
        for (before, after) in [(&plan(), &locked), (&locked, &plan()), (&locked, &error)] {
            assert_eq!(judged(before, after), Verdict::NotComparable);
        }
        assert_eq!(shapes(&[plan(), error, plan(), outcome(capture("Index Scan", 1.0, None))]), 2);
    }
}
