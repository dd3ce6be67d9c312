//! Reads what is remembered of plans around index changes.

use postgres::types::Type;

use super::failure::Failure;
use super::session::Session;
use crate::error::Result;
use crate::runbook::plans::PLAN_HISTORY_TABLE;

/// One query around one change.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// How long ago, in seconds by the server's clock.
    pub age_s: f64,
    /// What changed.
    pub change: String,
    /// The query.
    pub query: String,
    /// Which of its sets of values; 0 where there is one.
    pub set: i32,
    /// What the set shows, where it was chosen; else its number, or nothing where there is one.
    pub set_label: String,
    /// What became of its plan.
    pub verdict: String,
    /// When: RFC 3339, UTC.
    pub taken_at: String,
    /// The cost before and after; `None` without a plan.
    pub costs: [Option<f64>; 2],
    /// The milliseconds before and after; `None` where it was not run.
    pub times_ms: [Option<f64>; 2],
    /// The first digits of both digests; empty without a plan.
    pub digests: [String; 2],
}

/// The newest entries, oldest first; none where nothing is remembered.
pub fn entries(session: &mut Session, query: Option<&str>, limit: u32) -> Result<Vec<Entry>> {
    let explain = |failure: Failure| failure.explain(&format!("cannot read {PLAN_HISTORY_TABLE}"));
    let known = session
        .query("select to_regclass($1) is not null", &[(&PLAN_HISTORY_TABLE, Type::TEXT)])
        .map_err(explain)?;
    if !known.first().is_some_and(|row| row.get(0)) {
        return Ok(Vec::new());
    }
    let limit = i64::from(limit);
    session
        .each(
            include_str!("sql/plan_history.sql"),
            &[(&query, Type::TEXT), (&limit, Type::INT8)],
            |row| Entry {
                age_s: row.get(0),
                change: row.get(1),
                query: row.get(2),
                set: row.get(3),
                verdict: row.get(4),
                costs: [row.get(5), row.get(6)],
                digests: [row.get(7), row.get(8)],
                taken_at: row.get(9),
                times_ms: [row.get(10), row.get(11)],
                set_label: match (row.get::<_, String>(12), row.get::<_, i32>(3)) {
                    (name, 0) => name,
                    (name, set) if name.is_empty() => set.to_string(),
                    (name, _) => name,
                },
            },
        )
        .map_err(explain)
}
