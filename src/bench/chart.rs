//! What a chart of an outcome shows, before anybody decided how it is drawn: places from 0 to 1.

use std::time::Duration;

use super::axis::Axis;
use super::ingest::IngestOutcome;
use super::outcome::{QueryOutcome, Verdict};
use crate::model::units::{human_count, human_duration};

/// Bars above an axis.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Chart {
    /// What the bars are.
    pub title: String,
    /// What the parts of a bar and its mark mean, darkest part first.
    pub parts: Vec<String>,
    /// What the mark means.
    pub mark: String,
    /// Places on the axis.
    pub ticks: Vec<Tick>,
    /// From top to bottom.
    pub bars: Vec<Bar>,
}

/// A place on the axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Tick {
    /// Where, from 0 to 1.
    pub at: f64,
    /// What it is.
    pub label: String,
}

/// One bar.
#[derive(Debug, Clone, PartialEq)]
pub struct Bar {
    /// What it is of.
    pub label: String,
    /// Where each part ends, from 0 to 1, in the order of [`Chart::parts`].
    pub ends: Vec<f64>,
    /// Where the mark is.
    pub mark: Option<f64>,
    /// Whether the target is missed.
    pub missed: bool,
    /// The figures in words.
    pub figures: String,
}

/// The shortest time that has a place.
const LEAST_MS: f64 = 0.001;

/// Latencies with their targets, on an axis of powers of ten: a count of microseconds and a report
/// of seconds fit on it. Queries that never succeeded have an empty bar.
pub fn latencies(queries: &[QueryOutcome]) -> Chart {
    let ran = || queries.iter().filter(|query| query.latency.p50_ms > 0.0);
    let targets = queries.iter().map(|query| query.target_ms).filter(|ms| *ms > 0.0);
    let places = ran().flat_map(|query| [query.latency.p50_ms, query.latency.p99_ms]);
    let Some(axis) = Axis::powers(places.chain(targets), LEAST_MS) else {
        return Chart::default();
    };
    let place = |ms: f64| axis.place(ms);
    let bar = |query: &QueryOutcome| {
        let latency = &query.latency;
        let ends = match latency.p50_ms > 0.0 {
            true => [latency.p50_ms, latency.p95_ms, latency.p99_ms].map(place).to_vec(),
            false => Vec::new(),
        };
        Bar {
            label: query.name.clone(),
            ends,
            mark: (query.target_ms > 0.0).then(|| place(query.target_ms)),
            missed: query.verdict == Verdict::Missed,
            figures: format!("p95 {}", human_ms(latency.p95_ms)),
        }
    };
    Chart {
        title: "latencies, on an axis of powers of ten".to_string(),
        parts: ["p50", "p95", "p99"].map(str::to_string).to_vec(),
        mark: "target".to_string(),
        ticks: axis.ticks(axis_ms),
        bars: queries.iter().map(bar).collect(),
    }
}

/// Rows a second of the ways of writing, as fast as they went, with the rate that was offered
/// before.
pub fn rates(ways: &[IngestOutcome]) -> Chart {
    let rate = |way: &IngestOutcome| way.free.rows_per_second;
    let offered = |way: &IngestOutcome| way.offered.as_ref()?.rows_per_second_offered;
    let rates = ways.iter().flat_map(|way| [Some(rate(way)), offered(way)]).flatten();
    let Some(axis) = Axis::even(rates) else {
        return Chart::default();
    };
    let bar = |way: &IngestOutcome| Bar {
        label: way.name.clone(),
        ends: vec![axis.place(rate(way))],
        mark: offered(way).map(|offered| axis.place(offered)),
        missed: way.verdict == Verdict::Missed,
        figures: format!("{} a second", human_count(rate(way).round() as u64)),
    };
    Chart {
        title: "rows a second, as fast as it goes".to_string(),
        parts: vec!["rows a second".to_string()],
        mark: "rate offered before".to_string(),
        ticks: axis.ticks(|rate| human_count(rate.round() as u64)),
        bars: ways.iter().map(bar).collect(),
    }
}

/// "0.01 ms", "1 ms", "10 s".
fn axis_ms(ms: f64) -> String {
    if ms >= 1_000.0 { format!("{} s", (ms / 1e3).round()) } else { format!("{ms} ms") }
}

/// Milliseconds for people.
pub fn human_ms(ms: f64) -> String {
    human_duration(Duration::try_from_secs_f64(ms / 1e3).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::ingest::Pace;
    use crate::bench::tally::Latency;
    use proptest::prelude::*;

    fn query(p50_ms: f64, p95_ms: f64, p99_ms: f64, target_ms: f64) -> QueryOutcome {
        let latency = Latency { p50_ms, p95_ms, p99_ms, ..Latency::default() };
        QueryOutcome { latency, target_ms, ..QueryOutcome::default() }
    }

    #[test]
    fn places_are_powers_of_ten() {
        let chart = latencies(&[query(1.0, 10.0, 100.0, 1_000.0), query(0.0, 0.0, 0.0, 0.0)]);
        let labels: Vec<&str> = chart.ticks.iter().map(|tick| tick.label.as_str()).collect();
        assert_eq!(labels, ["0.1 ms", "1 ms", "10 ms", "100 ms", "1 s"]);
        assert_eq!(chart.bars[0].ends, [0.25, 0.5, 0.75]);
        assert_eq!(chart.bars[0].mark, Some(1.0));
        assert_eq!((chart.bars[1].ends.len(), chart.bars[1].mark), (0, None));
        assert_eq!(latencies(&[]), Chart::default());
    }

    proptest! {
        #[test]
        fn every_place_is_on_the_axis(
            queries in prop::collection::vec((0.0..1e7_f64, 1.0..9.0_f64, 0.0..1e7_f64), 1..5)
        ) {
            let queries: Vec<QueryOutcome> = queries
                .into_iter()
                .map(|(p50, by, target)| query(p50, p50 * by, p50 * by * by, target))
                .collect();
            let chart = latencies(&queries);
            for bar in &chart.bars {
                prop_assert!(bar.ends.iter().chain(&bar.mark).all(|at| (0.0..=1.0).contains(at)));
                prop_assert!(bar.ends.is_sorted());
            }
            prop_assert!(chart.ticks.iter().all(|tick| (-1e-9..=1.0 + 1e-9).contains(&tick.at)));
        }
    }

    #[test]
    fn rates_begin_at_nothing() {
        let way = |free: f64| IngestOutcome {
            free: Pace { rows_per_second: free, ..Pace::default() },
            offered: Some(Pace { rows_per_second_offered: Some(10_000.0), ..Pace::default() }),
            ..IngestOutcome::default()
        };
        let chart = rates(&[way(9_000.0), way(90_000.0)]);
        let labels: Vec<&str> = chart.ticks.iter().map(|tick| tick.label.as_str()).collect();
        assert_eq!(labels, ["0", "20,000", "40,000", "60,000", "80,000", "100,000"]);
        assert_eq!(chart.bars[0].ends, [0.09]);
        assert_eq!(chart.bars[1].mark, Some(0.1));
        assert_eq!(rates(&[]), Chart::default());
    }
}
