//! What counts as a regression of a query's plan: the thresholds of `[gate]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What counts as a regression, for `--gate`. A query blocks when its plan got worse by these
/// measures, and when that matters to the workload.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Thresholds {
    /// Costs (or blocks, or rows) that differ by less than this share are the same.
    pub identical: f64,
    /// A cost after the change of at least this many times the one before is a regression.
    pub cost_ratio: f64,
    /// A cost (or blocks, or rows) of at most this many times the one before is an improvement.
    pub improved_ratio: f64,
    /// A cost that grew by less than this, in the planner's units, is no regression.
    pub cost_floor: f64,
    /// Measured: blocks read of at least this many times those before are a regression.
    pub buffers_ratio: f64,
    /// Measured: blocks that grew by less than this, in blocks of 8 kB, are no regression.
    pub buffers_floor: u64,
    /// Measured: rows processed of at least this many times those before are a regression.
    pub rows_ratio: f64,
    /// Measured: rows processed that grew by less than this are no regression.
    pub rows_floor: u64,
    /// Measured: a time of at least this many times the one before is a regression, where blocks
    /// and rows are the same and even the fastest run is slower than the slowest before.
    pub time_ratio: f64,
    /// Measured: a time that grew by less than this, in milliseconds, is no regression.
    pub time_floor: f64,
    /// Structure counts (an index not used any more, pruning lost, …) for tables of at least this
    /// many pages of 8 kB, or of `alarm_rows`.
    pub alarm_pages: u64,
    /// Structure counts for tables of at least this many rows, or of `alarm_pages`.
    pub alarm_rows: u64,
    /// Losing parallel workers counts for plans that read at least this many rows.
    pub parallel_rows: u64,
    /// A plan whose best rival costs less than this share more is unstable, and never blocks.
    pub tie: f64,
    /// A query blocks when it costs the workload at least this share more (calls × loss / total).
    pub workload_impact: f64,
    /// A query blocks when one execution costs at least this share more (loss / before).
    pub statement_impact: f64,
}

impl Default for Thresholds {
    fn default() -> Thresholds {
        Thresholds {
            identical: 0.01,
            cost_ratio: 1.1,
            improved_ratio: 0.9,
            cost_floor: 100.0,
            buffers_ratio: 1.1,
            buffers_floor: 100,
            rows_ratio: 1.1,
            rows_floor: 1_000,
            time_ratio: 1.5,
            time_floor: 10.0,
            alarm_pages: 1_000,
            alarm_rows: 10_000,
            parallel_rows: 1_000_000,
            tie: 0.02,
            workload_impact: 0.01,
            statement_impact: 0.05,
        }
    }
}
