//! By how much a plan got cheaper or dearer: by its estimate, and by what was measured. Pure.

use super::node::{Node, QueryPlan};
use super::text::{head, rounded};
use super::verdict::Capture;
use crate::model::gate::Thresholds;

/// A figure before and after.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measure {
    /// What is counted: "cost", "blocks".
    pub what: &'static str,
    /// Before.
    pub before: f64,
    /// After.
    pub after: f64,
    /// What that means.
    pub moved: Moved,
}

/// What two figures mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moved {
    /// They are the same.
    Not,
    /// They differ, but not by what the thresholds want.
    Little,
    /// Clearly less.
    Better,
    /// Clearly more.
    Worse,
}

impl Measure {
    /// "cost 120 → 4.5 (-96 %)"; nothing where it is the same.
    pub fn told(&self) -> Option<String> {
        let (before, after) = (rounded(self.before), rounded(self.after));
        let share = percent(self.before, self.after);
        (self.moved != Moved::Not).then(|| format!("{} {before} → {after} ({share})", self.what))
    }
}

/// "+12 %", "-96 %", "+0.4 %", "24 x".
pub fn percent(before: f64, after: f64) -> String {
    let ratio = after / before;
    if !ratio.is_finite() {
        return "from nothing".to_string();
    }
    if ratio >= 10.0 {
        return format!("{} x", rounded(ratio));
    }
    let share = (ratio - 1.0) * 100.0;
    match share {
        -100.0 => "-100 %".to_string(),
        share if share < -99.9 => format!("{share:.3} %"),
        share if share < -99.0 || share.abs() < 10.0 => format!("{share:+.1} %"),
        share => format!("{share:+.0} %"),
    }
}

/// "1 row", "4,140 rows".
pub fn rows(rows: f64) -> String {
    let figure = rounded(rows);
    if figure == "1" { "1 row".to_string() } else { format!("{figure} rows") }
}

/// What a figure has to do to count.
struct Limits {
    /// Times the one before to be worse.
    worse: f64,
    /// By how much it has to grow to be worse.
    floor: f64,
}

fn moved(before: f64, after: f64, limits: &Limits, thresholds: &Thresholds) -> Moved {
    if (after - before).abs() <= before * thresholds.identical {
        return Moved::Not;
    }
    if after >= before * limits.worse && after - before >= limits.floor {
        Moved::Worse
    } else if after <= before * thresholds.improved_ratio {
        Moved::Better
    } else {
        Moved::Little
    }
}

/// By the planner's estimate.
pub fn estimated(before: &QueryPlan, after: &QueryPlan, thresholds: &Thresholds) -> Measure {
    let (before, after) = (before.cost(), after.cost());
    let limits = Limits { worse: thresholds.cost_ratio, floor: thresholds.cost_floor };
    Measure { what: "cost", before, after, moved: moved(before, after, &limits, thresholds) }
}

/// By what was measured, if both were: blocks decide, then rows, then time.
pub fn measured(before: &Capture, after: &Capture, thresholds: &Thresholds) -> Option<Measure> {
    let (b, a) = (before.plan.measured?, after.plan.measured?);
    let blocks = b.buffers.zip(a.buffers).map(|(b, a)| {
        let (before, after) = (b.all() as f64, a.all() as f64);
        let floor = thresholds.buffers_floor as f64;
        let limits = Limits { worse: thresholds.buffers_ratio, floor };
        Measure { what: "blocks", before, after, moved: moved(before, after, &limits, thresholds) }
    });
    let (before_rows, after_rows) = (b.rows_processed, a.rows_processed);
    let limits = Limits { worse: thresholds.rows_ratio, floor: thresholds.rows_floor as f64 };
    let rows = Measure {
        what: "rows processed",
        before: before_rows,
        after: after_rows,
        moved: moved(before_rows, after_rows, &limits, thresholds),
    };
    let decides = |measure: &Measure| matches!(measure.moved, Moved::Better | Moved::Worse);
    let first = blocks.filter(decides).or(Some(rows).filter(decides));
    first.or_else(|| timed(before, after, thresholds)).or(blocks).or(Some(rows))
}

/// By time, where it is beyond doubt: at least three runs each, and the slowest of one side faster
/// than the fastest of the other.
fn timed(before: &Capture, after: &Capture, thresholds: &Thresholds) -> Option<Measure> {
    const SAMPLES_MIN: usize = 3;
    let (b, a) = (&before.samples_ms, &after.samples_ms);
    if b.len() < SAMPLES_MIN || a.len() < SAMPLES_MIN {
        return None;
    }
    let ends = |samples: &[f64]| {
        let fastest = samples.iter().copied().fold(f64::INFINITY, f64::min);
        (fastest, samples.iter().copied().fold(0.0, f64::max))
    };
    let ((fastest_b, slowest_b), (fastest_a, slowest_a)) = (ends(b), ends(a));
    let (before, after) = (median(b), median(a));
    let moved = if fastest_a > slowest_b
        && after >= before * thresholds.time_ratio
        && after - before >= thresholds.time_floor
    {
        Moved::Worse
    } else if slowest_a < fastest_b
        && before >= after * thresholds.time_ratio
        && before - after >= thresholds.time_floor
    {
        Moved::Better
    } else {
        return None;
    };
    Some(Measure { what: "milliseconds", before, after, moved })
}

/// The middle one.
fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

/// For plans of the same shape: the lowest node whose expected rows moved most, as what made the
/// cost move.
pub fn moved_estimate(before: &Node, after: &Node) -> Option<String> {
    let factor = |(b, a): &(&Node, &Node)| {
        let (b, a) = (b.estimate.rows.max(1.0), a.estimate.rows.max(1.0));
        (b / a).max(a / b)
    };
    let pairs = before.walk().zip(after.walk());
    let (b, a) = pairs.max_by(|x, y| factor(x).total_cmp(&factor(y)))?;
    let (before, after) = (rounded(b.estimate.rows), rows(a.estimate.rows));
    (factor(&(b, a)) > 1.05).then(|| format!("{after} expected instead of {before} of {}", head(a)))
}
