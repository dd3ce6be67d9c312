//! Indexes that are dropped although production scans them, while no query of the workload does.
//! Pure.

use super::blame::is_used;
use super::lint::world::{Index, World};
use crate::model::finding::{Finding, Severity};
use crate::model::ident::QualifiedName;
use crate::model::snapshot::Snapshot;
use crate::query_plan::captures::{Captured, Captures};

/// The check that such an index fails.
const DROPPED_SCANNED: &str = "dropped-index-scanned";

/// Fewer scans are those of people who looked, and of `pgtune snapshot take`.
const SCANS_MIN: u64 = 100;

/// A finding for each index that pending migrations drop, that the server of the snapshot scanned
/// (`pg_stat_user_indexes.idx_scan`), that no plan of `before` has, and that no other index can
/// stand in for. Where a plan has it, the plans without it say more.
pub fn scanned(world: &World, before: &Captures, snapshot: &Snapshot) -> Vec<Finding> {
    let plans = || before.queries.iter().filter_map(Captured::capture).map(|one| &one.plan);
    let each = world.dropped.iter().filter_map(|(name, index, place)| {
        let scans = snapshot.relations.iter().find(|one| one.name == *name)?.counters.idx_scan?;
        let is_known = plans().any(|plan| is_used(plan, name, index));
        if scans < SCANS_MIN || is_known || is_replaced(world, index) {
            return None;
        }
        let finding = finding(name, scans, snapshot.counters_since.as_deref());
        Some(finding.at(place.path.clone(), place.line))
    });
    each.collect()
}

/// Whether another index can do its work, or there is none to do.
fn is_replaced(world: &World, dropped: &Index) -> bool {
    let mut others = world.indexes.values().filter(|other| other.table == dropped.table);
    !world.tables.contains_key(&dropped.table)
        || others.any(|one| dropped.shape == one.shape || dropped.shape.is_prefix_of(&one.shape))
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
