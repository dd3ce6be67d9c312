//! Whether a plan got better or worse, and whether that matters to the workload. Pure.

use serde::{Deserialize, Serialize};

use super::diff::diff;
use super::node::QueryPlan;
use super::text::Figures;
use crate::model::gate::Thresholds;

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
    /// Another one, as good as its rival: it may change back any day. Never blocks.
    Unstable,
    /// The circumstances differ, so that nothing can be said.
    NotComparable,
    /// A dearer one, or one that lost what made it fast.
    Regressed,
    /// The query worked before and does not now.
    Failed,
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
    /// A hash of the statistics of the tables that it reads; empty where nobody asked.
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
        (Outcome::Plan(before), Outcome::Plan(after)) => (&before.plan, &after.plan),
        (_, Outcome::Error(why) | Outcome::TimedOut(why)) => {
            let (verdict, reasons) = (Verdict::Failed, vec![why.clone()]);
            return Judgement { verdict, reasons, cost: None, buffers: None };
        }
        (Outcome::Error(why) | Outcome::TimedOut(why), Outcome::Plan(_)) => {
            let (verdict, reasons) = (Verdict::NotComparable, vec![why.clone()]);
            return Judgement { verdict, reasons, cost: None, buffers: None };
        }
    };
    let same = b.text(Figures::Without) == a.text(Figures::Without);
    let ratio = if b.cost() > 0.0 { a.cost() / b.cost() } else { 1.0 };
    let verdict = match ratio {
        ratio if same && (ratio - 1.0).abs() < thresholds.identical => Verdict::Identical,
        ratio if ratio >= thresholds.cost_ratio => Verdict::Regressed,
        ratio if ratio <= thresholds.improved_ratio => Verdict::Improved,
        _ if same => Verdict::SameShape,
        _ => Verdict::Changed,
    };
    let reasons = diff(b, a).causes().map(ToString::to_string).collect();
    Judgement { verdict, reasons, cost: Some((b.cost(), a.cost())), buffers: None }
}
