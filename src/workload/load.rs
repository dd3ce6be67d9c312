//! Sends a workload's generated data to a database with COPY.

use std::sync::atomic::{AtomicBool, Ordering};

use chrono::{DateTime, Utc};

use super::Workload;
use crate::error::{Error, Kind, Result};
use crate::pg::session::Session;

/// Which data to generate.
#[derive(Debug, Clone, Copy)]
pub struct Generated {
    /// Of what.
    pub workload: Workload,
    /// How many [units](Workload::unit).
    pub rows: u64,
    /// Equal seeds give equal data.
    pub seed: u64,
    /// Times lie before it: the time of loading.
    pub now: DateTime<Utc>,
}

/// How far the loading is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loading {
    /// The table at work.
    pub table: &'static str,
    /// Rows sent so far, of all tables.
    pub rows: u64,
    /// Rows of all tables.
    pub total: u64,
}

/// Loads the data into the workload's empty tables and gathers statistics. Returns how many rows
/// there are now.
///
/// Each table is one COPY. Ends with [`Kind::Interrupted`] soon after `stopped` becomes true.
pub fn load(
    session: &mut Session,
    data: &Generated,
    stopped: &AtomicBool,
    observe: &mut dyn FnMut(&Loading),
) -> Result<u64> {
    let mut tables = data.workload.tables(data.rows, data.seed, data.now);
    let total = tables.iter().map(|table| table.rows).sum();
    let mut rows = 0;
    for table in &mut tables {
        let (name, sql) = (table.table, table.copy_sql());
        let next = |chunk: &mut Vec<u8>| {
            let more = !stopped.load(Ordering::Relaxed) && table.next_chunk(chunk);
            if more {
                // COPY's text format escapes newlines, so each ends a row.
                rows += chunk.iter().filter(|byte| **byte == b'\n').count() as u64;
                observe(&Loading { table: name, rows, total });
            }
            more
        };
        session
            .copy(&sql, next)
            .map_err(|failure| failure.explain(&format!("cannot load {name}")))?;
        if stopped.load(Ordering::Relaxed) {
            return Err(Error::new(Kind::Interrupted, format!("interrupted while loading {name}")));
        }
    }
    for sql in data.workload.after_load_sql() {
        session.run(&sql).map_err(|failure| failure.explain(&format!("cannot run: {sql}")))?;
    }
    Ok(rows)
}
