//! The outcome of a bench: what is printed, saved as JSON, and compared with later.

use serde::{Deserialize, Serialize};

use super::compare::Comparison;
use super::footprint::Footprint;
use super::ingest::IngestOutcome;
use super::tally::{Latency, Tally};

/// What a bench measured.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Outcome {
    /// What was measured: a database without secrets, or a workload.
    pub subject: String,
    /// The server's version: `15.13`.
    pub server: String,
    /// Whether somebody stopped it before its end.
    pub interrupted: bool,
    /// The queries' run, where queries were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queries: Option<QueriesRun>,
    /// Ways of writing, where they were asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ingest: Vec<IngestOutcome>,
    /// Two designs, or two runs, side by side, where that was asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub comparisons: Vec<Comparison>,
    /// What was asked for and left out, with the reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
}

/// A run of queries by some clients.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct QueriesRun {
    /// Sessions at work.
    pub clients: u32,
    /// How long they were, without the warm-up.
    pub seconds: f64,
    /// Queries a second that were asked for; none means as fast as the clients could.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// Sessions that broke.
    pub clients_lost: u32,
    /// Errors below so many percent of a query's runs are accepted; 0 accepts none.
    pub error_limit_percent: u32,
    /// Each query, in the profile's order.
    pub queries: Vec<QueryOutcome>,
}

/// What came of one query.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct QueryOutcome {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub tags: Vec<String>,
    /// What 95 of 100 runs shall not exceed; 0 where there is no target.
    pub target_ms: f64,
    /// Whether target and error limit are kept.
    pub verdict: Verdict,
    /// Runs, failed ones too.
    pub runs: u64,
    /// Runs a second that succeeded.
    pub per_second: f64,
    /// Latencies of the runs that succeeded.
    pub latency: Latency,
    /// Failures by SQLSTATE.
    pub errors: Vec<ErrorCount>,
    /// What one run touched; none where it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub footprint: Option<Footprint>,
}

/// Failures of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorCount {
    /// SQLSTATE; empty where the connection broke.
    pub sqlstate: String,
    /// How many.
    pub count: u64,
    /// What the server said to one of them.
    pub message: String,
}

/// Whether it was good enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// There is no target, and there were no errors.
    #[default]
    None,
    /// The target is met.
    Met,
    /// It is not, or too many runs failed.
    Missed,
}

impl Verdict {
    /// As shown.
    pub fn word(self) -> &'static str {
        match self {
            Verdict::None => "none",
            Verdict::Met => "met",
            Verdict::Missed => "missed",
        }
    }
}

/// What a query was measured against.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub tags: Vec<String>,
    /// What 95 of 100 runs shall not exceed; 0 means no target.
    pub target_ms: f64,
    /// Errors below so many percent are accepted; 0 accepts none.
    pub error_limit_percent: u32,
    /// What one run touched.
    pub footprint: Option<Footprint>,
}

/// Judges what came of a query's runs in so many seconds.
pub fn judge(query: Measured, tally: &Tally, seconds: f64) -> QueryOutcome {
    let latency = tally.latency();
    let (runs, failed) = (tally.count(), tally.error_count());
    let too_many = match query.error_limit_percent {
        0 => failed > 0,
        percent => failed * 100 >= runs.max(1) * u64::from(percent),
    };
    let succeeded = runs - failed;
    let verdict = if too_many || query.target_ms > 0.0 && latency.p95_ms > query.target_ms {
        Verdict::Missed
    } else if query.target_ms > 0.0 && succeeded > 0 {
        Verdict::Met
    } else {
        // One that never ran is no success.
        Verdict::None
    };
    QueryOutcome {
        name: query.name,
        tags: query.tags,
        target_ms: query.target_ms,
        verdict,
        runs,
        per_second: if seconds > 0.0 { succeeded as f64 / seconds } else { 0.0 },
        latency,
        errors: errors(tally),
        footprint: query.footprint,
    }
}

/// The failures of a tally, most frequent first.
pub fn errors(tally: &Tally) -> Vec<ErrorCount> {
    let mut errors: Vec<ErrorCount> = tally
        .errors
        .iter()
        .map(|(code, failed)| ErrorCount {
            sqlstate: code.clone(),
            count: failed.count,
            message: failed.message.clone(),
        })
        .collect();
    errors.sort_by_key(|error| std::cmp::Reverse(error.count));
    errors
}

impl QueriesRun {
    /// All runs, and how many of them failed.
    pub fn runs_and_errors(&self) -> (u64, u64) {
        let runs = self.queries.iter().map(|query| query.runs).sum();
        let errors = self.queries.iter().flat_map(|query| &query.errors);
        (runs, errors.map(|error| error.count).sum())
    }

    /// Runs a second that succeeded.
    pub fn per_second(&self) -> f64 {
        self.queries.iter().map(|query| query.per_second).sum()
    }
}

impl Outcome {
    /// Names of what missed its target.
    pub fn missed(&self) -> Vec<&str> {
        let queries = self.queries.iter().flat_map(|run| &run.queries);
        let missed = queries.filter(|query| query.verdict == Verdict::Missed);
        let missed = missed.map(|query| query.name.as_str());
        let ways = self.ingest.iter().filter(|way| way.verdict == Verdict::Missed);
        missed.chain(ways.map(|way| way.name.as_str())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn verdict(target_ms: f64, error_limit_percent: u32, succeeded: u64, failed: u64) -> Verdict {
        let mut tally = Tally::default();
        (0..succeeded).for_each(|_| tally.succeeded(Duration::from_millis(10), 1));
        (0..failed).for_each(|_| tally.failed("57014", "cancelled"));
        let name = "q".to_string();
        let (tags, footprint) = (Vec::new(), None);
        let query = Measured { name, tags, target_ms, error_limit_percent, footprint };
        judge(query, &tally, 1.0).verdict
    }

    #[test]
    fn targets_are_for_95_of_100_runs_and_errors_never_pass_unseen() {
        assert_eq!(verdict(10.0, 0, 100, 0), Verdict::Met);
        assert_eq!(verdict(9.0, 0, 100, 0), Verdict::Missed);
        assert_eq!(verdict(0.0, 0, 100, 0), Verdict::None);
        assert_eq!(verdict(0.0, 0, 100, 1), Verdict::Missed);
        assert_eq!(verdict(10.0, 0, 100, 1), Verdict::Missed);
        assert_eq!(verdict(10.0, 1, 1_000, 1), Verdict::Met);
        assert_eq!(verdict(10.0, 1, 99, 1), Verdict::Missed);
        assert_eq!(verdict(10.0, 0, 0, 0), Verdict::None);
        assert_eq!(verdict(10.0, 0, 0, 5), Verdict::Missed);
    }

    #[test]
    fn figures_add_up() {
        let mut tally = Tally::default();
        (0..6).for_each(|_| tally.succeeded(Duration::from_millis(1), 1));
        tally.failed("40001", "one");
        tally.failed("57014", "two");
        tally.failed("57014", "two");
        let query = Measured {
            name: "q".to_string(),
            tags: Vec::new(),
            target_ms: 0.0,
            error_limit_percent: 0,
            footprint: None,
        };
        let outcome = judge(query, &tally, 2.0);
        assert_eq!(outcome.errors[0].sqlstate, "57014");
        assert_eq!(outcome.per_second, 3.0);
        let run = QueriesRun { queries: vec![outcome], ..QueriesRun::default() };
        assert_eq!(run.runs_and_errors(), (9, 3));
        let all = Outcome { queries: Some(run), ..Outcome::default() };
        assert_eq!(all.missed(), ["q"]);
    }
}
