//! How much room the database's tables and indexes take, measured on disk.

use super::session::Session;
use crate::error::{Error, Kind, Result};

/// Tables and indexes outside the system's schemas; partitions count, their parents do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sizes {
    /// How many tables.
    pub tables: u64,
    /// Their data, TOAST and maps included.
    pub tables_bytes: u64,
    /// How many indexes.
    pub indexes: u64,
    /// Their data.
    pub indexes_bytes: u64,
}

/// Measures them.
pub fn look(session: &mut Session) -> Result<Sizes> {
    let rows = session
        .query(include_str!("sql/sizes.sql"), &[])
        .map_err(|failure| failure.explain("cannot measure tables and indexes"))?;
    let row = rows.first().ok_or_else(|| Error::new(Kind::Database, "the server said nothing"))?;
    let number = |column| row.get::<_, i64>(column).unsigned_abs();
    Ok(Sizes {
        tables: number(0),
        tables_bytes: number(1),
        indexes: number(2),
        indexes_bytes: number(3),
    })
}
