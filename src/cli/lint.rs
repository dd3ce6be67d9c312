//! The part of `pgtune check` that reads: what the pending migrations say, beside what the
//! snapshot knows.

use chrono::Local;

use crate::checks::allow::{of_comments, of_profile, without_allowed};
use crate::checks::lint::world::World;
use crate::checks::lint::{File, Linted, lint};
use crate::model::check::CheckRules;
use crate::model::finding::Finding;
use crate::model::snapshot::Snapshot;
use crate::planner::Migration;

/// Migrations as the checks see them.
pub fn files(migrations: &[Migration]) -> Vec<File<'_>> {
    let each = migrations.iter();
    each.map(|Migration { path, statements, .. }| File { path, statements }).collect()
}

/// What the checks find in the pending migrations.
pub fn found(
    rules: &CheckRules,
    snapshot: &Snapshot,
    applied: &[Migration],
    pending: &[Migration],
) -> Linted {
    let before = applied.iter().map(|migration| migration.statements.as_slice());
    lint(&files(pending), World::of_snapshot(snapshot, before), rules)
}

/// Findings of any kind, but those that the profile and comments of the pending migrations allow
/// today.
pub fn not_allowed(
    rules: &CheckRules,
    pending: &[Migration],
    findings: Vec<Finding>,
) -> Vec<Finding> {
    let mut allowances = of_profile(&rules.allow);
    let mut wrong = Vec::new();
    for file in files(pending) {
        let (allowed, findings) = of_comments(&file);
        allowances.extend(allowed);
        wrong.extend(findings);
    }
    let mut left = without_allowed(findings, &allowances, Local::now().date_naive());
    left.extend(wrong);
    left
}
