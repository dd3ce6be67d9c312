//! Indexes that are dropped although production scans them, while no query of the workload does.
//! Pure.

use super::blame::is_used;
use super::lint::world::{Index, World};
use crate::model::finding::{Finding, Severity};
use crate::model::ident::{Ident, QualifiedName};
use crate::query_plan::captures::{Captured, Captures};
use crate::sql::index_shape::{IndexKey, IndexShape};

/// The check that such an index fails.
pub const DROPPED_SCANNED: &str = "dropped-index-scanned";

/// Fewer scans are those of people who looked, and of `pgtune snapshot take`.
const SCANS_MIN: u64 = 100;

/// A finding for each index that pending migrations drop, that the server of the snapshot scanned
/// (`pg_stat_user_indexes.idx_scan`, counted since `since`), that no plan of `before` has, and that
/// no other index can stand in for. Where a plan has it, the plans without it say more.
pub fn scanned(world: &World, before: &Captures, since: Option<&str>) -> Vec<Finding> {
    let plans = || before.queries.iter().filter_map(Captured::capture).map(|one| &one.plan);
    let each = world.dropped.iter().filter_map(|(name, index, place)| {
        let is_known = plans().any(|plan| is_used(plan, name, index));
        if index.scans < SCANS_MIN || is_known || is_replaced(world, index) {
            return None;
        }
        let finding = finding(name, index.scans, since);
        Some(finding.at(place.path.clone(), place.line))
    });
    each.collect()
}

/// Whether another index can do its work, or there is none to do.
fn is_replaced(world: &World, dropped: &Index) -> bool {
    let Some(table) = world.tables.get(&dropped.table) else { return true };
    let is_column = |key: &&IndexKey| key.is_column && !table.columns.is_empty();
    let first = dropped.shape.keys.first().filter(is_column);
    let first = first.and_then(|key| Ident::new(&key.expression).ok());
    if first.is_some_and(|column| !table.columns.contains_key(&column)) {
        return true;
    }
    world.indexes_of(&dropped.table).any(|(_, other)| stands_in(&other.shape, &dropped.shape))
}

/// Whether an index finds the rows that another found, be it with more of them to skip, or from its
/// other end.
fn stands_in(other: &IndexShape, dropped: &IndexShape) -> bool {
    let forwards = |shape: &IndexShape| IndexShape {
        // A b-tree answers what a hash index does.
        method: shape.method.replace("hash", "btree"),
        keys: shape.keys.iter().map(IndexKey::in_any_order).collect(),
        ..shape.clone()
    };
    let (other, dropped) = match other.method.as_str() {
        "btree" => (forwards(other), forwards(dropped)),
        _ => (other.clone(), dropped.clone()),
    };
    let predicate = dropped.predicate.clone().filter(|_| other.predicate.is_some());
    let dropped = IndexShape { predicate, ..dropped };
    dropped == other || dropped.is_prefix_of(&other)
}

fn finding(name: &QualifiedName, scans: u64, since: Option<&str>) -> Finding {
    let since = since.map(|since| format!(" since {since}")).unwrap_or_default();
    let message = format!(
        "it is dropped, was scanned {scans} times{since}, and no query that was looked at uses it"
    );
    let help = "give the query that uses it to the profile, or take the snapshot with \
                --statements: then its plan without the index is told";
    Finding::new(DROPPED_SCANNED, Severity::Warning, name.to_string(), message).help(help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_stands_in_for_another_that_finds_the_same_rows() {
        let read = |tail| IndexShape::read(tail).unwrap();
        let stands_in = |other, dropped| super::stands_in(&read(other), &read(dropped));
        for (other, dropped) in [
            ("(a)", "(a)"),
            ("(a, b)", "(a)"),
            ("(a desc nulls last)", "(a)"),
            ("(a)", "(a) where b"),
            ("(a, c)", "using hash (a)"),
            ("using hash (a)", "using hash (a)"),
            ("using gin (a)", "using gin (a)"),
        ] {
            assert!(stands_in(other, dropped), "{other} for {dropped}");
        }
        for (other, dropped) in [
            ("(b, a)", "(a)"),
            ("(a) where b", "(a)"),
            ("using hash (a)", "(a)"),
            ("using brin (a)", "(a)"),
            ("(a text_pattern_ops)", "(a)"),
            ("(a)", "using gin (a)"),
        ] {
            assert!(!stands_in(other, dropped), "{other} for {dropped}");
        }
    }
}
