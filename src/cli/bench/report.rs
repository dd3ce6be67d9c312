//! What a bench has to say to people. Pure: an outcome in, a report out.

use crate::bench::chart::{self, Chart, human_ms};
use crate::bench::compare::{Comparison, Side};
use crate::bench::ingest::{IngestOutcome, Pace};
use crate::bench::outcome::{ErrorCount, Outcome, QueriesRun, QueryOutcome};
use crate::model::units::{Millis, human_count, plural};
use crate::report::chart::draw;
use crate::report::{Report, Table};

use super::queries;

/// The report.
pub fn report(outcome: &Outcome) -> Report {
    let title = title(outcome);
    let mut facts = vec![("server".to_string(), format!("PostgreSQL {}", outcome.server))];
    if let Some(run) = &outcome.queries {
        facts.push(("load".to_string(), queries::summary(run)));
        facts.push(("errors".to_string(), error_summary(run)));
    }
    facts.extend(outcome.left_out.iter().map(|why| ("left out".to_string(), why.clone())));
    let mut report = Report::new(&title).facts("", facts);
    if let Some(run) = &outcome.queries {
        report = report.table(latencies(run));
    }
    let ways = &outcome.ingest;
    let written = [offered(ways), free(ways), flushes(ways)];
    let compared = outcome.comparisons.iter().map(comparison);
    let tables = compared.chain(written).chain([errors(outcome)]);
    let report = tables.filter(|table| !table.rows.is_empty()).fold(report, Report::table);
    let drawn = charts(outcome).into_iter().map(|chart| (chart.title.clone(), draw(&chart)));
    let drawn = drawn.filter(|(_, body)| !body.is_empty());
    drawn.fold(report, |report, (title, body)| report.text(&title, body))
}

/// What it is about.
pub fn title(outcome: &Outcome) -> String {
    format!("bench of {}", outcome.subject)
}

/// The pictures.
pub fn charts(outcome: &Outcome) -> Vec<Chart> {
    let queries = outcome.queries.as_ref().map(|run| chart::latencies(&run.queries));
    queries.into_iter().chain([chart::rates(&outcome.ingest)]).collect()
}

/// The same questions, answered twice.
fn comparison(comparison: &Comparison) -> Table {
    let (old, new) = (&comparison.old, &comparison.new);
    let of = |what: &str, whose: &str| format!("{what} {whose}");
    let header = [
        "question".to_string(),
        of("p50", old),
        of("p50", new),
        "speed-up".to_string(),
        of("p95", old),
        of("p95", new),
        of("buffers", old),
        of("buffers", new),
    ];
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    let title = match comparison.alone.as_slice() {
        [] => format!("{old} and {new}"),
        alone => format!("{old} and {new} (without partner: {})", alone.join(", ")),
    };
    let mut table = Table::new(&title, &header).right_aligned(&[1, 2, 3, 4, 5, 6, 7]);
    let buffers = |side: &Side| side.buffers.map_or_else(|| "-".to_string(), human_count);
    for pair in &comparison.pairs {
        table.rows.push(vec![
            pair.question.clone(),
            human_ms(pair.old.p50_ms),
            human_ms(pair.new.p50_ms),
            times(pair.speed_up),
            human_ms(pair.old.p95_ms),
            human_ms(pair.new.p95_ms),
            buffers(&pair.old),
            buffers(&pair.new),
        ]);
    }
    if comparison.pairs.len() > 1 {
        let mut mean = vec![String::new(); 8];
        mean[0] = "geometric mean".to_string();
        mean[3] = times(comparison.mean_speed_up);
        table.rows.push(mean);
    }
    table
}

/// "6.1x", "36x"; unknown where one never ran.
fn times(ratio: f64) -> String {
    match ratio {
        ratio if ratio <= 0.0 => "-".to_string(),
        ratio if ratio < 9.95 => format!("{ratio:.1}x"),
        ratio => format!("{ratio:.0}x"),
    }
}

/// "none", or "3 of 1,000 runs (0.3 %)".
fn error_summary(run: &QueriesRun) -> String {
    let (runs, errors) = run.runs_and_errors();
    if errors == 0 {
        return "none".to_string();
    }
    let percent = errors as f64 * 100.0 / runs as f64;
    format!("{} of {} ({percent:.2} %)", human_count(errors), plural(runs as usize, "run", "runs"))
}

/// Each query.
fn latencies(run: &QueriesRun) -> Table {
    let columns = [
        "query",
        "runs",
        "errors",
        "p50",
        "p95",
        "p99",
        "a second",
        "rows",
        "buffers",
        "p95 target",
    ];
    let mut table = Table::new("latencies", &columns).right_aligned(&[1, 2, 3, 4, 5, 6, 7, 8]);
    table.rows = run.queries.iter().map(row).collect();
    table
}

fn row(query: &QueryOutcome) -> Vec<String> {
    let latency = |ms: f64| match query.per_second > 0.0 {
        true => human_ms(ms),
        false => "-".to_string(),
    };
    let footprint = |read: fn(&crate::bench::footprint::Footprint) -> u64| {
        query.footprint.as_ref().map_or_else(|| "-".to_string(), |it| human_count(read(it)))
    };
    let errors: u64 = query.errors.iter().map(|error| error.count).sum();
    vec![
        query.name.clone(),
        human_count(query.runs),
        human_count(errors),
        latency(query.latency.p50_ms),
        latency(query.latency.p95_ms),
        latency(query.latency.p99_ms),
        human_count(query.per_second.round() as u64),
        footprint(|it| it.rows),
        footprint(|it| it.buffers),
        target(query),
    ]
}

/// "10ms met".
fn target(query: &QueryOutcome) -> String {
    match Millis(query.target_ms as u64) {
        Millis(0) => query.verdict.word().to_string(),
        target => format!("{target} {}", query.verdict.word()),
    }
}

/// Ways of writing at the rate that was offered.
fn offered(ways: &[IngestOutcome]) -> Table {
    let columns = ["way", "offered", "rows a second", "p50", "p95", "p99", "errors", "target"];
    let mut table = Table::new("writing at a rate", &columns).right_aligned(&[1, 2, 3, 4, 5, 6]);
    for way in ways {
        let Some(pace) = &way.offered else { continue };
        let offered = human_rate(pace.rows_per_second_offered.unwrap_or(0.0));
        let figures = figures(pace);
        let cells = [way.name.clone(), offered].into_iter().chain(figures);
        table.rows.push(cells.chain([write_target(way)]).collect());
    }
    table
}

/// Ways of writing as fast as they went, against the first.
fn free(ways: &[IngestOutcome]) -> Table {
    let columns = ["way", "rows a second", "p50", "p95", "p99", "errors", "times", "a crash loses"];
    let mut table =
        Table::new("writing as fast as it goes", &columns).right_aligned(&[1, 2, 3, 4, 5, 6]);
    let first = ways.first().map_or(0.0, |way| way.free.rows_per_second);
    for way in ways {
        let times = match first > 0.0 {
            true => format!("{:.1}", way.free.rows_per_second / first),
            false => "-".to_string(),
        };
        let cells = [way.name.clone()].into_iter().chain(figures(&way.free));
        table.rows.push(cells.chain([times, way.lost_in_a_crash.clone()]).collect());
    }
    table
}

/// Rows a second, p50, p95, p99 and errors.
fn figures(pace: &Pace) -> [String; 5] {
    let latency = &pace.latency;
    [
        human_rate(pace.rows_per_second),
        human_ms(latency.p50_ms),
        human_ms(latency.p95_ms),
        human_ms(latency.p99_ms),
        human_count(pace.error_count()),
    ]
}

/// "10,000 a second, 50ms met".
fn write_target(way: &IngestOutcome) -> String {
    let rate = (way.target_rows_per_second > 0.0)
        .then(|| format!("{} a second", human_rate(way.target_rows_per_second)));
    let time = (way.target_ms > 0.0).then(|| Millis(way.target_ms as u64).to_string());
    let parts: Vec<String> = rate.into_iter().chain(time).collect();
    format!("{} {}", parts.join(", "), way.verdict.word()).trim().to_string()
}

/// How staging tables were emptied.
fn flushes(ways: &[IngestOutcome]) -> Table {
    let columns =
        ["way", "run", "flushes", "p50", "p95", "most rows waiting", "at the end", "moved in"];
    let mut table = Table::new("flushes", &columns).right_aligned(&[2, 3, 4, 5, 6, 7]);
    for way in ways {
        let runs = [("at a rate", way.offered.as_ref()), ("free", Some(&way.free))];
        for (name, pace) in runs {
            let Some(flush) = pace.and_then(|pace| pace.flush.as_ref()) else { continue };
            table.rows.push(vec![
                way.name.clone(),
                name.to_string(),
                human_count(flush.count),
                human_ms(flush.latency.p50_ms),
                human_ms(flush.latency.p95_ms),
                human_count(flush.backlog_rows_greatest),
                human_count(flush.backlog_rows_end),
                human_ms(flush.drain_seconds * 1e3),
            ]);
        }
    }
    table
}

fn human_rate(rate: f64) -> String {
    human_count(rate.round() as u64)
}

/// Failures by query or way of writing, and SQLSTATE.
fn errors(outcome: &Outcome) -> Table {
    let mut table =
        Table::new("errors", &["of", "SQLSTATE", "count", "message"]).right_aligned(&[2]);
    let queries = outcome.queries.iter().flat_map(|run| &run.queries);
    let queries = queries.map(|query| (query.name.clone(), query.errors.as_slice()));
    let mut all: Vec<(String, &[ErrorCount])> = queries.collect();
    for way in &outcome.ingest {
        for pace in way.offered.iter().chain([&way.free]) {
            all.push((way.name.clone(), &pace.errors));
            let flush = pace.flush.as_ref().map_or(&[][..], |flush| &flush.errors);
            all.push((format!("flush of {}", way.name), flush));
        }
    }
    for (name, errors) in all {
        for error in errors {
            let code = match error.sqlstate.as_str() {
                "" => "connection".to_string(),
                code => code.to_string(),
            };
            let count = human_count(error.count);
            table.rows.push(vec![name.clone(), code, count, error.message.clone()]);
        }
    }
    table
}
