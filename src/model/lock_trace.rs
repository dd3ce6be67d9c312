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
    /// How often the table was read from end to end so far.
    pub scans: i64,
    /// How often it was when the transaction began.
    pub scans_before: i64,
    /// Whether a planner chose to do so.
    pub is_query: bool,
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
/// and the tables that it rewrote or read under one that was there. `files` are those of all tables
/// before.
pub fn traced(held: &[Held], files: &BTreeMap<QualifiedName, i64>) -> Vec<TracedLock> {
    let mut files = files.clone();
    let mut strongest: BTreeMap<(i64, &QualifiedName), LockMode> = BTreeMap::new();
    let mut scanned: BTreeMap<(i64, &QualifiedName), i64> = BTreeMap::new();
    let mut traced = Vec::new();
    let is_same = |a: &Held, b: &Held| {
        (a.transaction, &a.place, &a.table) == (b.transaction, &b.place, &b.table)
    };
    for group in held.chunk_by(is_same) {
        let (one, key) = (&group[0], (group[0].transaction, &group[0].table));
        let mode = group.iter().map(|one| one.mode).max().unwrap_or(one.mode);
        let scans = group.iter().map(|one| one.scans).max().unwrap_or_default();
        let known = strongest.insert(key, mode);
        let scans_before = scanned.insert(key, scans).unwrap_or(one.scans_before);
        let is_news = known.is_none_or(|known| known < mode);
        let rewrites =
            files.insert(one.table.clone(), one.file).is_some_and(|file| file != one.file);
        // Of a query it tells only that an index may have been built, or a check been made.
        let is_believed = !one.is_query || (is_news && mode >= LockMode::Share);
        let reads = scans > scans_before && is_believed;
        let work = match (rewrites, reads) {
            (true, _) => Work::Rewrite,
            (false, true) => Work::FullScan,
            (false, false) => Work::Instant,
        };
        if is_news || work > Work::Instant {
            let (place, table) = (one.place.clone(), one.table.clone());
            traced.push(TracedLock { place, table, mode, work });
        }
    }
    merged(traced)
}

/// Each statement and table once, in the order of the files: with what is done under a lock that
/// stops writers, else with the strongest lock.
pub fn merged(locks: Vec<TracedLock>) -> Vec<TracedLock> {
    let harm = |one: &TracedLock| {
        let work = if one.mode >= LockMode::Share { one.work } else { Work::Instant };
        (work, one.mode, one.work)
    };
    let mut kept: BTreeMap<(Place, QualifiedName), TracedLock> = BTreeMap::new();
    for one in locks {
        let key = (one.place.clone(), one.table.clone());
        if kept.get(&key).is_none_or(|known| harm(known) < harm(&one)) {
            kept.insert(key, one);
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
        let (scans, scans_before, is_query) = (0, 0, false);
        let table = table(name);
        Held { transaction, place, table, mode, file, scans, scans_before, is_query }
    }

    #[test]
    fn a_scan_is_the_statements_that_counted_it() {
        use LockMode::{AccessExclusive, AccessShare, RowExclusive, Share, ShareUpdateExclusive};
        let files = BTreeMap::from([(table("a"), 1)]);
        let held = |transaction, line, mode, scans, is_query| {
            let one = held(transaction, line, "a", mode, 1);
            Held { scans, scans_before: 3, is_query, ..one }
        };
        let told: Vec<(usize, LockMode, Work)> = traced(
            &[
                held(7, 1, AccessExclusive, 3, false),
                // Under the lock that is held.
                held(7, 2, ShareUpdateExclusive, 4, false),
                held(7, 2, AccessExclusive, 4, false),
                // Nobody knows how it would read rows.
                held(7, 3, AccessExclusive, 5, true),
                held(8, 4, RowExclusive, 4, true),
                held(9, 5, AccessShare, 4, true),
                held(9, 5, Share, 4, true),
                held(9, 6, Share, 4, false),
            ],
            &files,
        )
        .into_iter()
        .map(|one| (one.place.line, one.mode, one.work))
        .collect();
        let expected = [
            (1, AccessExclusive, Work::Instant),
            (2, AccessExclusive, Work::FullScan),
            (4, RowExclusive, Work::Instant),
            (5, Share, Work::FullScan),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn what_is_done_under_a_weak_lock_is_not_put_to_a_strong_one() {
        let lock = |mode, work| {
            let place = Place { path: "V1.sql".to_string(), line: 1 };
            TracedLock { place, table: table("a"), mode, work }
        };
        let build = lock(LockMode::ShareUpdateExclusive, Work::FullScan);
        let attach = lock(LockMode::AccessExclusive, Work::Instant);
        assert_eq!(merged(vec![build, attach.clone()]), std::slice::from_ref(&attach));
        let reads = lock(LockMode::Share, Work::FullScan);
        assert_eq!(merged(vec![attach, reads.clone()]), [reads]);
    }

    #[test]
    fn a_lock_is_the_statements_that_took_it_first() {
        use LockMode::{AccessExclusive, AccessShare, ShareRowExclusive};
        let files = BTreeMap::from([(table("a"), 1), (table("b"), 2)]);
        let told: Vec<(usize, String, LockMode, Work)> = traced(
            &[
                held(7, 1, "a", AccessShare, 1),
                held(7, 2, "a", AccessExclusive, 9),
                held(7, 2, "a", AccessShare, 9),
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
