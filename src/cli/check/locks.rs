//! The locks that were traced, as rows for people.

use crate::model::finding::Place;
use crate::model::lock::LockMode;
use crate::model::lock_trace::TracedLock;
use crate::model::table_bytes::TableBytes;
use crate::planner::{Migration, statements_at};
use crate::report::locks::LockRow;

/// How much of a statement is told.
const STATEMENT_MAX: usize = 80;

/// The locks that stop somebody, statement by statement, on tables as large as they are there.
pub fn rows(locks: &[TracedLock], sizes: &TableBytes<'_>, pending: &[Migration]) -> Vec<LockRow> {
    let statement = |place: &Place| {
        let here = statements_at(pending, place);
        let texts: Vec<&str> = here.map(|one| one.text.as_str()).collect();
        let words = texts.join("; ").split_whitespace().collect::<Vec<_>>().join(" ");
        let is_long = words.chars().count() > STATEMENT_MAX;
        let short: String = words.chars().take(STATEMENT_MAX).collect();
        if is_long { format!("{}…", short.trim_end()) } else { short }
    };
    // Nobody waits for what is new, or for an index alone.
    let stops = |one: &&TracedLock| one.mode >= LockMode::ShareUpdateExclusive;
    let stopping = locks.iter().filter(stops).filter(|one| sizes.has(&one.table));
    stopping
        .map(|one| {
            let TracedLock { place, table, mode, work } = one;
            let bytes = sizes.worked_on(table, *work);
            LockRow {
                statement: statement(place),
                expected_ms: sizes.expected_ms(table, *work),
                ..LockRow::new(place.clone(), table.to_string(), bytes, *mode, *work)
            }
        })
        .collect()
}
