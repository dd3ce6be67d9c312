//! How a query fared over changes: its cost, time and plan after each, as points and as a chart.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::bench::axis::Axis;
use crate::bench::chart::{Bar, Chart, human_ms};
use crate::model::units::human_count;

/// The smallest cost that has a place of its own.
const LEAST_COST: f64 = 0.01;
/// How much of a change's name stands before its bar: the table above has the whole.
const LABEL_MAX: usize = 28;

/// How one query fared.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Course {
    /// The query.
    pub query: String,
    /// One course for each of its sets of values.
    pub sets: Vec<SetCourse>,
}

/// How a query fared with one set of values.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct SetCourse {
    /// Which of several sets, from 1; 0 where there is one.
    pub set: i32,
    /// What it is called: its number, or what it shows; empty where there is one.
    pub label: String,
    /// One for each change, oldest first.
    pub points: Vec<Point>,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Point {
    /// When: RFC 3339, UTC.
    pub taken_at: String,
    /// What changed.
    pub change: String,
    /// What became of the plan.
    pub verdict: String,
    /// Right before it.
    pub before: Seen,
    /// Right after it.
    pub after: Seen,
    /// Whether the plan became another one.
    pub plan_changed: bool,
}

/// What was seen of a plan.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Seen {
    /// Its cost; `None` where there was no plan.
    pub cost: Option<f64>,
    /// How long the query ran, where it was run.
    pub time_ms: Option<f64>,
    /// The first digits of its digest; empty where there was no plan.
    pub digest: String,
}

impl Point {
    /// What was seen before and after a change.
    pub fn new(
        (taken_at, change, verdict): (String, String, String),
        before: Seen,
        after: Seen,
    ) -> Point {
        let has_plans = !before.digest.is_empty() && !after.digest.is_empty();
        let plan_changed = has_plans && before.digest != after.digest;
        Point { taken_at, change, verdict, before, after, plan_changed }
    }
}

impl Course {
    /// The points of all sets of values, in their order, as one course each.
    pub fn new(query: String, points: impl IntoIterator<Item = ((i32, String), Point)>) -> Course {
        let mut sets: BTreeMap<(i32, String), Vec<Point>> = BTreeMap::new();
        for (set, point) in points {
            sets.entry(set).or_default().push(point);
        }
        let sets = sets.into_iter();
        let sets = sets.map(|((set, label), points)| SetCourse { set, label, points }).collect();
        Course { query, sets }
    }

    /// A bar for each change: the cost after it, with a mark where it was before. All sets of
    /// values have one axis. Nothing where no cost is known.
    pub fn chart(&self) -> Chart {
        let points = self.sets.iter().flat_map(|set| &set.points);
        let costs: Vec<f64> =
            points.flat_map(|point| [point.before.cost, point.after.cost]).flatten().collect();
        let Some(axis) = Axis::of(&costs, LEAST_COST) else { return Chart::default() };
        let of_set = |set: &SetCourse| {
            let bars = set.points.iter().map(|point| bar(&set.label, point, &axis));
            bars.collect::<Vec<_>>()
        };
        let scale = match axis {
            Axis::Powers { .. } => ", on an axis of powers of ten",
            Axis::Even { .. } => "",
        };
        Chart {
            title: format!("cost of {} after each change{scale}", self.query),
            parts: vec!["cost".to_string()],
            mark: "before".to_string(),
            ticks: axis.ticks(human_cost),
            bars: self.sets.iter().flat_map(of_set).collect(),
        }
    }
}

fn bar(set: &str, point: &Point, axis: &Axis) -> Bar {
    let Seen { cost, time_ms, digest } = &point.after;
    let mut figures = vec![cost.map_or_else(|| "no plan".to_string(), |cost| format!("{cost:.2}"))];
    figures.extend(time_ms.map(human_ms));
    if point.plan_changed {
        figures.push(format!("new plan {digest}"));
    } else if cost.is_some() {
        figures.push("same plan".to_string());
    }
    let set = if set.is_empty() { String::new() } else { format!("({set}) ") };
    Bar {
        label: format!("{set}{}", shortened(&point.change)),
        ends: cost.map(|cost| axis.place(cost)).into_iter().collect(),
        mark: point.before.cost.map(|cost| axis.place(cost)),
        missed: false,
        figures: figures.join(", "),
    }
}

/// Its first characters.
fn shortened(change: &str) -> String {
    match change.char_indices().nth(LABEL_MAX) {
        Some((end, _)) => format!("{}…", change[..end].trim_end()),
        None => change.to_string(),
    }
}

/// "0.01", "100", "1,000,000".
fn human_cost(cost: f64) -> String {
    if cost < 1.0 { format!("{cost}") } else { human_count(cost.round() as u64) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(cost: Option<f64>, time_ms: Option<f64>, digest: &str) -> Seen {
        Seen { cost, time_ms, digest: digest.to_string() }
    }

    /// Two sets of values and two changes, the second of which one set does not know.
    fn example() -> Course {
        let point = |change: &str, before: Seen, after: Seen| {
            let words = ["2026-01-02T03:04:05.678Z", change, "improved"].map(str::to_string);
            Point::new(words.into(), before, after)
        };
        let index = "V1__index: build concurrently, (customer)";
        let plan = |cost, time_ms, digest: &str| seen(Some(cost), time_ms, digest);
        let first = point(index, plan(1e4, Some(1500.0), "aaaa"), plan(10.0, Some(0.5), "bbbb"));
        let rise = point("V2__more", plan(10.0, None, "bbbb"), plan(100.0, None, "bbbb"));
        let lost = point(index, plan(1.0, None, "aaaa"), seen(None, None, ""));
        Course::new(
            "by_customer".to_string(),
            [
                ((1, "common".to_string()), first),
                ((2, "2".to_string()), lost),
                ((1, "common".to_string()), rise),
            ],
        )
    }

    #[test]
    fn each_change_has_a_bar_with_a_mark_where_the_cost_was() {
        let chart = example().chart();
        let title = "cost of by_customer after each change, on an axis of powers of ten";
        assert_eq!(chart.title, title);
        let ticks: Vec<&str> = chart.ticks.iter().map(|tick| tick.label.as_str()).collect();
        assert_eq!(ticks, ["0.1", "1", "10", "100", "1,000", "10,000"]);
        let bars: Vec<_> = chart
            .bars
            .iter()
            .map(|bar| (bar.label.as_str(), bar.ends.as_slice(), bar.mark, bar.figures.as_str()))
            .collect();
        let cut = "V1__index: build concurrentl…";
        let (first, last) = (format!("(common) {cut}"), format!("(2) {cut}"));
        let expected: [(&str, &[f64], Option<f64>, &str); 3] = [
            (&first, &[0.4], Some(1.0), "10.00, 0.5 ms, new plan bbbb"),
            ("(common) V2__more", &[0.6], Some(0.4), "100.00, same plan"),
            (&last, &[], Some(0.2), "no plan"),
        ];
        assert_eq!(bars, expected);
    }

    #[test]
    fn costs_that_are_near_each_other_have_even_steps() {
        let mut course = example();
        course.sets.truncate(1);
        course.sets[0].label.clear();
        course.sets[0].points.remove(0);
        course.sets[0].points[0].before.cost = Some(80.0);
        let chart = course.chart();
        assert_eq!(chart.title, "cost of by_customer after each change");
        assert_eq!((chart.bars[0].label.as_str(), chart.bars[0].mark), ("V2__more", Some(0.8)));
        course.sets[0].points.clear();
        assert_eq!(course.chart(), Chart::default());
    }
}
