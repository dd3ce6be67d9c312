//! What came of many runs of one statement: latencies of those that succeeded, failures by
//! SQLSTATE.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::histogram::Histogram;

/// Runs of one statement, added up by each client for itself and merged in the end.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally {
    /// Latencies of the runs that succeeded.
    pub latencies: Histogram,
    /// Rows that those runs returned or wrote.
    pub rows: u64,
    /// Failures by SQLSTATE; the empty one is a broken connection.
    pub errors: BTreeMap<String, Failed>,
}

/// Failures of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// How many.
    pub count: u64,
    /// What the server said to the first.
    pub message: String,
}

impl Tally {
    /// A run succeeded.
    pub fn succeeded(&mut self, latency: Duration, rows: u64) {
        self.latencies.add(latency);
        self.rows += rows;
    }

    /// A run failed.
    pub fn failed(&mut self, code: &str, message: &str) {
        match self.errors.get_mut(code) {
            Some(failed) => failed.count += 1,
            None => {
                let failed = Failed { count: 1, message: message.to_string() };
                self.errors.insert(code.to_string(), failed);
            }
        }
    }

    /// Adds what another client saw.
    pub fn merge(&mut self, other: Tally) {
        self.latencies.merge(&other.latencies);
        self.rows += other.rows;
        for (code, failed) in other.errors {
            match self.errors.get_mut(&code) {
                Some(known) => known.count += failed.count,
                None => drop(self.errors.insert(code, failed)),
            }
        }
    }

    /// How many runs failed.
    pub fn error_count(&self) -> u64 {
        self.errors.values().map(|failed| failed.count).sum()
    }

    /// How many runs there were, failed ones too.
    pub fn count(&self) -> u64 {
        self.latencies.count() + self.error_count()
    }

    /// The figures of the runs that succeeded.
    pub fn latency(&self) -> Latency {
        let ms = |duration: Duration| duration.as_secs_f64() * 1e3;
        let percentile = |percent| ms(self.latencies.percentile(percent));
        Latency {
            p50_ms: percentile(50.0),
            p95_ms: percentile(95.0),
            p99_ms: percentile(99.0),
            mean_ms: ms(self.latencies.mean()),
            least_ms: ms(self.latencies.least()),
            greatest_ms: ms(self.latencies.greatest()),
        }
    }
}

/// What is said of many latencies, in milliseconds; all zero without samples.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Latency {
    /// Half of all were at most as long.
    pub p50_ms: f64,
    /// 95 of 100 were.
    pub p95_ms: f64,
    /// 99 of 100 were.
    pub p99_ms: f64,
    /// The mean.
    pub mean_ms: f64,
    /// The shortest.
    pub least_ms: f64,
    /// The longest.
    pub greatest_ms: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_counted_by_code_and_are_no_latencies() {
        let mut one = Tally::default();
        one.succeeded(Duration::from_millis(2), 3);
        one.failed("57014", "canceling statement");
        let mut other = Tally::default();
        other.failed("57014", "another wording");
        other.failed("40001", "could not serialize");
        one.merge(other);
        assert_eq!((one.count(), one.error_count(), one.rows), (4, 3, 3));
        assert_eq!(one.errors["57014"], Failed { count: 2, message: "canceling statement".into() });
        assert_eq!(one.errors["40001"].count, 1);
        assert_eq!(one.latency().p99_ms, 2.0);
        assert_eq!(Tally::default().latency(), Latency::default());
    }
}
