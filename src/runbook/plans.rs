//! Plans of the application's queries around index changes, as the database remembers them.

use serde::{Deserialize, Serialize};

use super::history::create_state_schema;
use crate::model::ident::literal;

/// Where plans are remembered.
pub const PLAN_HISTORY_TABLE: &str = "pgtune_state.plan_history";

/// The plan of one query with one set of values, right before or right after a change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanRow {
    /// What changed: a stage's title, "V3__indexes: build on 8 leaves".
    pub change: String,
    /// Otherwise before.
    pub after: bool,
    /// The query's name.
    pub query: String,
    /// Which of its sets of values, from 1; 0 where there is one.
    pub set: usize,
    /// What the set shows, where it was chosen from the statistics: `rare`.
    pub set_name: String,
    /// How the plan was asked for: `estimate`, `generic`, `analyze`.
    pub mode: String,
    /// What became of the plan, once both are known: `improved`, `regressed`, …
    pub verdict: String,
    /// The plan's digest; empty where there is none.
    pub digest: String,
    /// Estimated cost of the whole.
    pub cost: Option<f64>,
    /// Measured time in milliseconds.
    pub time_ms: Option<f64>,
    /// The plan, or why there is none, as JSON; only of what changed.
    pub outcome: Option<String>,
}

fn outcome(row: &PlanRow) -> String {
    row.outcome.as_ref().map_or("NULL".to_string(), |json| format!("{}::jsonb", literal(json)))
}

/// Writes plans down; makes the table where there is none.
pub fn record(rows: &[PlanRow]) -> Vec<String> {
    let number = |number: Option<f64>| number.map_or("NULL".to_string(), |n| n.to_string());
    let values = rows.iter().map(|row| {
        format!(
            "(now(), {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {})",
            literal(&row.change),
            literal(if row.after { "after" } else { "before" }),
            literal(&row.query),
            row.set,
            literal(&row.set_name),
            literal(&row.mode),
            literal(&row.verdict),
            literal(&row.digest),
            number(row.cost),
            number(row.time_ms),
            outcome(row),
        )
    });
    let values = values.collect::<Vec<_>>().join(",\n  ");
    vec![
        create_state_schema(),
        format!(
            "CREATE TABLE IF NOT EXISTS {PLAN_HISTORY_TABLE}(\n  taken_at timestamptz NOT NULL,\n  \
             change text NOT NULL,\n  moment text NOT NULL,\n  query text NOT NULL,\n  parameters \
             int NOT NULL,\n  parameters_name text NOT NULL,\n  mode text NOT NULL,\n  \
             verdict text NOT NULL,\n  digest text NOT NULL,\n  cost float8,\n  time_ms float8,\n  \
             outcome jsonb)"
        ),
        // The first tables had no names of sets, and all plans.
        format!(
            "ALTER TABLE {PLAN_HISTORY_TABLE}\n  ADD COLUMN IF NOT EXISTS parameters_name text NOT \
             NULL DEFAULT '',\n  ALTER COLUMN outcome DROP NOT NULL"
        ),
        format!(
            "INSERT INTO {PLAN_HISTORY_TABLE}\n  (taken_at, change, moment, query, parameters, \
             parameters_name, mode, verdict, digest, cost, time_ms, outcome)\n  VALUES {values}"
        ),
    ]
}
