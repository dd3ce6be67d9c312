//! What a bench has to say to people. Pure: an outcome in, a report out.

use std::time::Duration;

use crate::bench::outcome::{Outcome, QueriesRun, QueryOutcome};
use crate::model::units::{Millis, human_count, human_duration, plural};
use crate::report::{Report, Table};

use super::queries;

/// The report.
pub fn report(outcome: &Outcome) -> Report {
    let title = format!("bench of {}", outcome.subject);
    let mut facts = vec![("server".to_string(), format!("PostgreSQL {}", outcome.server))];
    if let Some(run) = &outcome.queries {
        facts.push(("load".to_string(), queries::summary(run)));
        facts.push(("errors".to_string(), error_summary(run)));
    }
    let report = Report::new(&title).facts("", facts);
    match &outcome.queries {
        None => report,
        Some(run) => {
            let errors = errors(run);
            let report = report.table(latencies(run));
            if errors.rows.is_empty() { report } else { report.table(errors) }
        }
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

/// Failures by query and SQLSTATE.
fn errors(run: &QueriesRun) -> Table {
    let mut table =
        Table::new("errors", &["query", "SQLSTATE", "count", "message"]).right_aligned(&[2]);
    for query in &run.queries {
        for error in &query.errors {
            let code = match error.sqlstate.as_str() {
                "" => "connection".to_string(),
                code => code.to_string(),
            };
            let count = human_count(error.count);
            table.rows.push(vec![query.name.clone(), code, count, error.message.clone()]);
        }
    }
    table
}

/// Milliseconds for people.
pub fn human_ms(ms: f64) -> String {
    human_duration(Duration::try_from_secs_f64(ms / 1e3).unwrap_or_default())
}
