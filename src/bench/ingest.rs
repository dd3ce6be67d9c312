//! What came of writing rows, and what each way of writing loses in a crash.

use serde::{Deserialize, Serialize};

use super::outcome::{ErrorCount, Verdict, errors};
use super::tally::{Latency, Tally};

/// So much of a rate counts as reaching it.
const REACHED: f64 = 0.95;

/// What came of one way of writing.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct IngestOutcome {
    /// Its name.
    pub name: String,
    /// The table written into.
    pub table: String,
    /// How: "insert", "batch", "copy" or "copy-and-flush".
    pub shape: String,
    /// Sessions at work.
    pub clients: u32,
    /// Rows in one statement.
    pub batch: u32,
    /// At the rate that was offered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offered: Option<Pace>,
    /// As fast as it went.
    pub free: Pace,
    /// What 95 of 100 statements shall not exceed; 0 where there is no target.
    pub target_ms: f64,
    /// Rows a second to reach; 0 where there is no target.
    pub target_rows_per_second: f64,
    /// Whether the targets are met.
    pub verdict: Verdict,
    /// What a crash of the server takes.
    pub lost_in_a_crash: String,
}

/// What was written in one run.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Pace {
    /// Rows a second that were offered; none where as many as possible were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows_per_second_offered: Option<f64>,
    /// Rows written.
    pub rows: u64,
    /// How long it took, until the last row was where it belongs.
    pub seconds: f64,
    /// Rows a second in that time.
    pub rows_per_second: f64,
    /// Of the statements that succeeded.
    pub latency: Latency,
    /// Statements that failed.
    pub errors: Vec<ErrorCount>,
    /// Where rows were moved on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flush: Option<FlushOutcome>,
}

/// How rows were moved on from the staging table.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct FlushOutcome {
    /// How often.
    pub count: u64,
    /// Of the flushes that succeeded.
    pub latency: Latency,
    /// Flushes that failed.
    pub errors: Vec<ErrorCount>,
    /// The most rows that waited in the staging table.
    pub backlog_rows_greatest: u64,
    /// Rows that waited when writing ended.
    pub backlog_rows_end: u64,
    /// How long it took to move them.
    pub drain_seconds: f64,
}

/// What was seen of the flushes.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Flushes {
    /// Each flush.
    pub tally: Tally,
    /// The most rows that waited in the staging table.
    pub backlog_greatest: u64,
    /// Rows that waited when writing ended.
    pub backlog_end: u64,
    /// How long it took to move them.
    pub drain_seconds: f64,
}

/// Puts the figures of a run together.
pub fn pace(offered: Option<f64>, writes: &Tally, flushes: Option<&Flushes>, seconds: f64) -> Pace {
    let flush = flushes.map(|flushes| FlushOutcome {
        count: flushes.tally.count(),
        latency: flushes.tally.latency(),
        errors: errors(&flushes.tally),
        backlog_rows_greatest: flushes.backlog_greatest,
        backlog_rows_end: flushes.backlog_end,
        drain_seconds: flushes.drain_seconds,
    });
    Pace {
        rows_per_second_offered: offered,
        rows: writes.rows,
        seconds,
        rows_per_second: if seconds > 0.0 { writes.rows as f64 / seconds } else { 0.0 },
        latency: writes.latency(),
        errors: errors(writes),
        flush,
    }
}

impl Pace {
    /// Statements that failed, flushes too.
    pub fn error_count(&self) -> u64 {
        let flushes = self.flush.iter().flat_map(|flush| &flush.errors);
        self.errors.iter().chain(flushes).map(|error| error.count).sum()
    }
}

impl IngestOutcome {
    /// The run that targets are for: the one at the rate that was offered, if there was one.
    pub fn judged(&self) -> &Pace {
        self.offered.as_ref().unwrap_or(&self.free)
    }

    /// Judges it. An error is never accepted: rows are missing.
    pub fn judge(mut self) -> IngestOutcome {
        let pace = self.judged();
        let failed = pace.error_count() + self.free.error_count() > 0;
        let slow = self.target_ms > 0.0 && pace.latency.p95_ms > self.target_ms;
        let few = pace.rows_per_second < self.target_rows_per_second * REACHED;
        let has_target = self.target_ms > 0.0 || self.target_rows_per_second > 0.0;
        self.verdict = match (failed || slow || few, has_target) {
            (true, _) => Verdict::Missed,
            (false, true) => Verdict::Met,
            (false, false) => Verdict::None,
        };
        self
    }
}

/// What decides about a crash, as the server said it to the writing session.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Durability {
    /// `fsync`.
    pub fsync: bool,
    /// `synchronous_commit`, of any kind but off.
    pub synchronous_commit: bool,
    /// `wal_writer_delay`, in milliseconds.
    pub wal_writer_delay_ms: u64,
    /// Whether the table, or one of its partitions, is UNLOGGED.
    pub unlogged: bool,
}

/// What a crash of the server takes of rows whose writing was confirmed. `backlog` is set where
/// rows are moved on: how many waited at most.
pub fn lost_in_a_crash(durability: &Durability, backlog: Option<u64>) -> String {
    let mut lost = Vec::new();
    if !durability.fsync {
        lost.push("anything, and maybe the database: fsync is off".to_string());
    }
    match (durability.unlogged, backlog) {
        (true, Some(rows)) => lost.push(format!("rows not flushed yet, here {rows} at most")),
        (true, None) => lost.push("every row of the table: it is UNLOGGED".to_string()),
        (false, _) => {}
    }
    if !durability.synchronous_commit {
        // Manual, "Asynchronous Commit": the risk lasts at most three times the delay.
        let ms = durability.wal_writer_delay_ms * 3;
        lost.push(format!("what was confirmed in the last {ms} ms"));
    }
    match lost.is_empty() {
        true => "nothing that was confirmed".to_string(),
        false => lost.join("; "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn written(statements: u64, ms: u64) -> Tally {
        let mut tally = Tally::default();
        (0..statements).for_each(|_| tally.succeeded(Duration::from_millis(ms), 100));
        tally
    }

    fn verdict(offered: &Tally, free: &Tally) -> Verdict {
        let outcome = IngestOutcome {
            offered: Some(pace(Some(1_000.0), offered, None, 1.0)),
            free: pace(None, free, None, 1.0),
            target_ms: 50.0,
            target_rows_per_second: 1_000.0,
            ..IngestOutcome::default()
        };
        outcome.judge().verdict
    }

    #[test]
    fn targets_are_for_the_rate_that_was_offered() {
        assert_eq!(verdict(&written(10, 5), &written(50, 500)), Verdict::Met);
        assert_eq!(verdict(&written(10, 51), &written(50, 5)), Verdict::Missed);
        assert_eq!(verdict(&written(9, 5), &written(50, 5)), Verdict::Missed);
        let mut failed = written(50, 5);
        failed.failed("23514", "violates check");
        assert_eq!(verdict(&written(10, 5), &failed), Verdict::Missed);
        let none =
            IngestOutcome { free: pace(None, &written(1, 1), None, 1.0), ..Default::default() };
        assert_eq!(none.judge().verdict, Verdict::None);
    }

    #[test]
    fn a_flush_that_fails_is_an_error() {
        let mut flushes = Flushes::default();
        flushes.tally.failed("23514", "no partition");
        let outcome = IngestOutcome {
            free: pace(None, &written(10, 1), Some(&flushes), 2.0),
            ..IngestOutcome::default()
        };
        assert_eq!(outcome.free.rows_per_second, 500.0);
        assert_eq!(outcome.judge().verdict, Verdict::Missed);
    }

    #[test]
    fn what_a_crash_takes() {
        let safe = Durability {
            fsync: true,
            synchronous_commit: true,
            wal_writer_delay_ms: 200,
            unlogged: false,
        };
        assert_eq!(lost_in_a_crash(&safe, None), "nothing that was confirmed");
        let lazy = Durability { synchronous_commit: false, ..safe.clone() };
        assert_eq!(lost_in_a_crash(&lazy, None), "what was confirmed in the last 600 ms");
        let staging = Durability { unlogged: true, ..safe };
        assert_eq!(lost_in_a_crash(&staging, Some(7)), "rows not flushed yet, here 7 at most");
        let worst = Durability { unlogged: true, ..Durability::default() };
        assert_eq!(lost_in_a_crash(&worst, None).matches(';').count(), 2);
    }
}
