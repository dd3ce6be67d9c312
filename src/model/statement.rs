//! A statement of the application, as the server counts it.

use serde::{Deserialize, Serialize};

/// A statement that differs in constants alone, whoever ran it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CountedStatement {
    /// A digest of its text, the same on every server.
    pub name: String,
    /// Its text with `$n` for constants, as pg_stat_statements has it.
    pub sql: String,
    /// How often it ran.
    pub calls: i64,
    /// How long that took in all, in milliseconds.
    pub total_ms: f64,
}
