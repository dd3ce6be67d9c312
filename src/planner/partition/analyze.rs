//! New partitions that the planner knows nothing of: created by a run that was stopped before it
//! analyzed them. Nothing that holds much is ever analyzed here: autovacuum does that.

use chrono::{DateTime, Utc};

use super::Plan;
use super::members::members;
use super::rule::{Rule, Scheme};
use crate::model::catalog::{Catalog, DEFAULT_BOUND, RelationKind};
use crate::model::finding::Finding;
use crate::model::ident::QualifiedName;
use crate::model::lock::LockMode;
use crate::model::time_key::Limit;
use crate::planner::steps::lock;
use crate::runbook::action::Action;
use crate::runbook::partition::PartitionAction;

/// Leaves of the present and of periods to come that were never analyzed. How much they hold, and
/// whether this role may analyze them, is to be asked of the server: without ANALYZE the catalog
/// does not know their size.
pub fn never_analyzed(
    rule: &Rule<'_>,
    catalog: &Catalog,
    now: DateTime<Utc>,
) -> Result<Vec<QualifiedName>, Finding> {
    let partitions: Vec<&QualifiedName> = match &rule.scheme {
        Scheme::Range(range) => {
            let Some(now) = range.key_type.point_at(now, range.zone) else { return Ok(Vec::new()) };
            let members = members(catalog, rule, range)?;
            let in_use = members.ranges.iter().filter(|m| m.bound.upper() > Limit::At(now));
            in_use.map(|member| member.name).collect()
        }
        Scheme::Hash { .. } | Scheme::List => catalog
            .partitions(&rule.table)
            .filter(|(_, r)| r.partition_of.as_ref().is_some_and(|p| p.bound != DEFAULT_BOUND))
            .map(|(name, _)| name)
            .collect(),
        Scheme::Unruled => Vec::new(),
    };
    let mut leaves = Vec::new();
    partitions.into_iter().for_each(|name| collect_unknown(catalog, name, &mut leaves));
    Ok(leaves)
}

fn collect_unknown(catalog: &Catalog, table: &QualifiedName, leaves: &mut Vec<QualifiedName>) {
    let relation = &catalog.relations[table];
    match relation.kind {
        RelationKind::PartitionedTable => {
            let below = catalog.partitions(table);
            below.for_each(|(name, _)| collect_unknown(catalog, name, leaves));
        }
        RelationKind::Table if relation.estimated_rows.is_none() => leaves.push(table.clone()),
        RelationKind::Table | RelationKind::MaterializedView | RelationKind::ForeignTable => {}
    }
}

impl Plan<'_> {
    /// Analyzes what was created, and what an earlier run has left.
    pub(super) fn analyze(&mut self, created: Vec<QualifiedName>) {
        let left = self.answers.to_analyze.iter().filter(|name| !created.contains(name));
        let left: Vec<QualifiedName> = left.cloned().collect();
        // Nobody knows the new ones yet.
        let locks = left.iter().map(|table| lock(LockMode::ShareUpdateExclusive, table)).collect();
        let tables = [created, left].concat();
        if !tables.is_empty() {
            let action = Action::Partition(PartitionAction::Analyze { tables });
            let step = self.frame.patient(action, locks);
            self.push(self.stage("let the planner know what they hold", vec![step]));
        }
    }
}
