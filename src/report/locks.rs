//! Which locks statements take, on what, and for how long: a value, and its table. Pure.

use std::time::Duration;

use serde::Serialize;

use super::Table;
use crate::model::finding::Place;
use crate::model::lock::LockMode;
use crate::model::lock_trace::Work;
use crate::model::units::{human_bytes, human_duration};

/// A lock that a statement takes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LockRow {
    /// The statement, or its first words; empty where its place is enough.
    pub statement: String,
    /// Where it is written.
    pub place: Place,
    /// What it locks.
    pub table: String,
    /// How large that is, in bytes.
    pub size_bytes: u64,
    /// How strong the lock is.
    pub mode: LockMode,
    /// Whom it stops; it follows from the mode.
    pub blocks: Blocks,
    /// What is done under it.
    pub work: Work,
    /// About how long that takes, in milliseconds, where it can be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_ms: Option<u64>,
}

/// Whom a lock stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Blocks {
    /// Nobody that reads or writes, nor changes of the schema.
    Nothing,
    /// Other changes of the schema.
    SchemaChanges,
    /// Those who write.
    Writes,
    /// Everybody.
    ReadsAndWrites,
}

impl LockRow {
    /// A lock, with what follows from its mode.
    pub fn new(
        place: Place,
        table: String,
        size_bytes: u64,
        mode: LockMode,
        work: Work,
    ) -> LockRow {
        let (statement, blocks) = (String::new(), Blocks::of(mode));
        LockRow { statement, place, table, size_bytes, mode, blocks, work, expected_ms: None }
    }
}

impl Blocks {
    /// Whom a mode stops.
    pub fn of(mode: LockMode) -> Blocks {
        match mode {
            LockMode::AccessShare | LockMode::RowShare | LockMode::RowExclusive => Blocks::Nothing,
            LockMode::ShareUpdateExclusive => Blocks::SchemaChanges,
            LockMode::Share | LockMode::ShareRowExclusive | LockMode::Exclusive => Blocks::Writes,
            LockMode::AccessExclusive => Blocks::ReadsAndWrites,
        }
    }

    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Blocks::Nothing => "nobody",
            Blocks::SchemaChanges => "schema changes",
            Blocks::Writes => "writes",
            Blocks::ReadsAndWrites => "reads and writes",
        }
    }
}

/// What is done and how long it takes: "rewrites the table, about 20 s".
pub fn work(row: &LockRow) -> String {
    let about = |ms| format!(", about {}", human_duration(Duration::from_millis(ms)));
    row.work.words().to_string() + &row.expected_ms.map_or_else(String::new, about)
}

/// The columns of the table.
pub const HEADER: [&str; 6] = ["statement", "table", "size", "lock", "stops", "work"];

/// The rows as a table.
pub fn table(rows: &[LockRow]) -> Table {
    let mut table = Table::new("locks", &HEADER).right_aligned(&[2]);
    table.rows = rows
        .iter()
        .map(|row| {
            let place = format!("{}:{}", row.place.path, row.place.line);
            let statement = format!("{place} {}", row.statement);
            vec![
                statement.trim_end().to_string(),
                row.table.clone(),
                human_bytes(row.size_bytes),
                row.mode.to_string(),
                row.blocks.words().to_string(),
                work(row),
            ]
        })
        .collect();
    table
}

/// Rows of each kind, for the renderers' tests.
#[cfg(test)]
pub mod tests {
    use super::*;

    /// A rewrite, a scan and one that is over at once.
    pub fn example() -> Vec<LockRow> {
        let row = |line, mode, work| {
            let place = Place { path: "migrations/V2__wide.sql".to_string(), line };
            LockRow::new(place, "app.orders".to_string(), 3 << 30, mode, work)
        };
        let rewrite = LockRow {
            statement: "alter table orders alter id type bigint".to_string(),
            expected_ms: Some(64_000),
            ..row(3, LockMode::AccessExclusive, Work::Rewrite)
        };
        let scan = LockRow {
            expected_ms: Some(8_000),
            ..row(5, LockMode::ShareRowExclusive, Work::FullScan)
        };
        vec![rewrite, scan, row(7, LockMode::ShareUpdateExclusive, Work::Instant)]
    }

    #[test]
    fn a_row_says_who_is_stopped_by_what_and_for_how_long() {
        let table = table(&example());
        let first = "migrations/V2__wide.sql:3 alter table orders alter id type bigint";
        let lock = ["ACCESS EXCLUSIVE", "reads and writes", "rewrites the table, about 1 min 4 s"];
        let size = human_bytes(3 << 30);
        assert_eq!(table.rows[0][..3], [first, "app.orders", &size]);
        assert_eq!(table.rows[0][3..], lock);
        assert_eq!(table.rows[2][0], "migrations/V2__wide.sql:7");
        assert_eq!(table.rows[2][4..], ["schema changes", "instant"]);
    }

    #[test]
    fn whom_a_mode_stops_is_what_the_lock_itself_says() {
        let modes = [LockMode::RowExclusive, LockMode::ShareUpdateExclusive, LockMode::Exclusive];
        for mode in modes.into_iter().chain([LockMode::AccessExclusive]) {
            let words = match Blocks::of(mode) {
                Blocks::Nothing => "no rows",
                Blocks::SchemaChanges => "schema changes, no rows",
                Blocks::Writes | Blocks::ReadsAndWrites => Blocks::of(mode).words(),
            };
            assert!(mode.stops().ends_with(words), "{mode}: {words}");
        }
    }
}
