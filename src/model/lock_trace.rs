//! What a statement of a migration took, as it was seen on a server without rows.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::finding::Place;
use super::ident::QualifiedName;
use super::lock::LockMode;

/// A lock that a transaction held after a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The transaction: those of one share a number.
    pub transaction: i64,
    /// The statement.
    pub place: Place,
    /// On what.
    pub table: QualifiedName,
    /// How strong.
    pub mode: LockMode,
    /// The table's file: another one than before means that it was rewritten.
    pub file: i64,
}

/// A lock that a statement takes on a table which was there before.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TracedLock {
    /// The statement.
    pub place: Place,
    /// On what.
    pub table: QualifiedName,
    /// How strong.
    pub mode: LockMode,
    /// What is done under it.
    pub work: Work,
}

/// What is done under a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// The catalog alone is changed, however large the table is.
    Instant,
    /// The table is read from its first page to its last.
    FullScan,
    /// The table is written anew.
    Rewrite,
}

impl Work {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Work::Rewrite => "rewrites the table",
            Work::FullScan => "reads the whole table",
            Work::Instant => "instant",
        }
    }
}

/// The locks that each statement was the first of its transaction to take, or to make stronger,
/// and the tables that it rewrote. `files` are those of all tables before.
pub fn traced(held: &[Held], files: &BTreeMap<QualifiedName, i64>) -> Vec<TracedLock> {
    let mut files = files.clone();
    let mut strongest: BTreeMap<(i64, &QualifiedName), LockMode> = BTreeMap::new();
    let mut traced = Vec::new();
    for one in held {
        let known = strongest.get(&(one.transaction, &one.table)).copied();
        let rewrites =
            files.insert(one.table.clone(), one.file).is_some_and(|file| file != one.file);
        let is_news = known.is_none_or(|known| known < one.mode);
        if is_news {
            strongest.insert((one.transaction, &one.table), one.mode);
        }
        if is_news || rewrites {
            let (place, table, mode) = (one.place.clone(), one.table.clone(), one.mode);
            let work = match (rewrites, mode) {
                (true, _) => Work::Rewrite,
                // `CREATE INDEX` takes it, and nothing else that a migration does.
                (false, LockMode::Share) => Work::FullScan,
                (false, _) => Work::Instant,
            };
            traced.push(TracedLock { place, table, mode, work });
        }
    }
    merged(traced)
}

/// Each statement and table once, in the order of the files: with the strongest lock, and all that
/// is done under it.
pub fn merged(locks: Vec<TracedLock>) -> Vec<TracedLock> {
    let mut kept: BTreeMap<(Place, QualifiedName), TracedLock> = BTreeMap::new();
    for one in locks {
        match kept.get_mut(&(one.place.clone(), one.table.clone())) {
            Some(known) => {
                known.mode = known.mode.max(one.mode);
                known.work = known.work.max(one.work);
            }
            None => drop(kept.insert((one.place.clone(), one.table.clone()), one)),
        }
    }
    kept.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ident::Ident;

    fn table(name: &str) -> QualifiedName {
        let ident = |name| Ident::new(name).unwrap();
        QualifiedName::new(ident("app"), ident(name))
    }

    fn held(transaction: i64, line: usize, name: &str, mode: LockMode, file: i64) -> Held {
        let place = Place { path: "V1.sql".to_string(), line };
        Held { transaction, place, table: table(name), mode, file }
    }

    #[test]
    fn a_lock_is_the_statements_that_took_it_first() {
        use LockMode::{AccessExclusive, AccessShare, ShareRowExclusive};
        let files = BTreeMap::from([(table("a"), 1), (table("b"), 2)]);
        let told: Vec<(usize, String, LockMode, Work)> = traced(
            &[
                held(7, 1, "a", AccessShare, 1),
                held(7, 2, "a", AccessShare, 1),
                held(7, 2, "a", AccessExclusive, 9),
                held(7, 2, "b", ShareRowExclusive, 2),
                held(7, 3, "a", AccessExclusive, 9),
                held(8, 4, "a", AccessExclusive, 9),
            ],
            &files,
        )
        .into_iter()
        .map(|one| (one.place.line, one.table.to_string(), one.mode, one.work))
        .collect();
        let expected = [
            (1, "app.a", AccessShare, Work::Instant),
            (2, "app.a", AccessExclusive, Work::Rewrite),
            (2, "app.b", ShareRowExclusive, Work::Instant),
            (4, "app.a", AccessExclusive, Work::Instant),
        ];
        assert_eq!(
            told,
            expected.map(|(line, name, mode, work)| (line, name.to_string(), mode, work))
        );
    }
}
