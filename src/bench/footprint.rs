//! What one run of a query touched, from EXPLAIN (ANALYZE, BUFFERS): the same each time, whatever
//! the machine is busy with.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Error, Kind, Result};

/// Rows and pages of one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Footprint {
    /// Rows that the statement returned.
    pub rows: u64,
    /// Pages of tables and indexes that it looked at, each time it did.
    pub buffers: u64,
    /// How many of them PostgreSQL had to ask the operating system for.
    pub buffers_read: u64,
    /// Pages of temporary files: sorts and hashes that did not fit into memory.
    pub buffers_temporary: u64,
}

/// Reads the answer to `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON)`.
///
/// The root's buffers include those of all nodes below it.
pub fn read(json: &str) -> Result<Footprint> {
    let refused = |why: String| Error::new(Kind::Database, format!("cannot read a plan: {why}"));
    let plan: Value = serde_json::from_str(json).map_err(|error| refused(error.to_string()))?;
    let root = plan.pointer("/0/Plan").ok_or_else(|| refused("it has no node".to_string()))?;
    let number = |key: &str| root[key].as_f64().unwrap_or(0.0).round() as u64;
    let read = number("Shared Read Blocks") + number("Local Read Blocks");
    let hit = number("Shared Hit Blocks") + number("Local Hit Blocks");
    Ok(Footprint {
        rows: number("Actual Rows"),
        buffers: hit + read,
        buffers_read: read,
        buffers_temporary: number("Temp Read Blocks") + number("Temp Written Blocks"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_knows_it_all() {
        let plan = r#"[{"Plan": {"Node Type": "Sort", "Actual Rows": 7.00, "Shared Hit Blocks": 40,
            "Shared Read Blocks": 2, "Temp Written Blocks": 3, "Plans": [
            {"Node Type": "Seq Scan", "Actual Rows": 9, "Shared Hit Blocks": 40}]}}]"#;
        let expected = Footprint { rows: 7, buffers: 42, buffers_read: 2, buffers_temporary: 3 };
        assert_eq!(read(plan).unwrap(), expected);
        assert!(read("[]").is_err() && read("Sort").is_err());
    }
}
