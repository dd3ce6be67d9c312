//! What a plan lost that makes a large table slow, whatever the estimates say. Pure.

use super::cause::{Cause, UseOfIndex};
use super::diff::PlanDiff;
use super::node::{Class, Node, QueryPlan};
use crate::model::gate::Thresholds;

/// The losses that count, in words: an index not used any more, or not alone; a condition it does
/// not check any more; pruning; a new sort or a spill; workers.
pub fn alarms(
    diff: &PlanDiff,
    before: &QueryPlan,
    after: &QueryPlan,
    thresholds: &Thresholds,
) -> Vec<String> {
    let large = |relation: &str| is_large(relation, before, after, thresholds);
    let counts = |cause: &&Cause| match cause {
        Cause::Access { relation, use_of_index, .. } => match use_of_index {
            UseOfIndex::Lost | UseOfIndex::OnlyLost => large(relation),
            UseOfIndex::Same | UseOfIndex::OnlyGained | UseOfIndex::Gained => false,
        },
        Cause::CondBecameFilter { relation, .. }
        | Cause::PruningLost { relation, .. }
        | Cause::InnerIndexLost { relation } => large(relation),
        Cause::SortAdded { .. } => rows_of(after, Class::Sort) >= thresholds.alarm_rows as f64,
        Cause::Spills { .. } => true,
        Cause::ParallelLost { .. } => rows_read(after) >= thresholds.parallel_rows as f64,
        Cause::PruningGained { .. }
        | Cause::Partitions { .. }
        | Cause::OtherIndex { .. }
        | Cause::FilterBecameCond { .. }
        | Cause::JoinOrder { .. }
        | Cause::JoinMethod { .. }
        | Cause::JoinSides { .. }
        | Cause::RelationGone { .. }
        | Cause::RelationAdded { .. }
        | Cause::ParallelGained { .. }
        | Cause::Workers { .. }
        | Cause::SpillGone { .. }
        | Cause::SortGone { .. }
        | Cause::CteMaterialized { .. }
        | Cause::CteInlined { .. }
        | Cause::Inserted { .. }
        | Cause::Removed { .. }
        | Cause::Replaced { .. }
        | Cause::Condition { .. }
        | Cause::Rearranged { .. } => false,
    };
    diff.causes().filter(counts).map(ToString::to_string).collect()
}

/// Whether the table is large enough to count. Where nobody said how large it is, the plans tell:
/// a scan of it that costs as much as that many pages, or expects that many rows.
fn is_large(
    relation: &str,
    before: &QueryPlan,
    after: &QueryPlan,
    thresholds: &Thresholds,
) -> bool {
    // A relation may be followed by its alias, or, in a join, be only that.
    let is_meant = |node: &&Node| {
        node.target.as_ref().is_some_and(|target| {
            let name = relation.strip_prefix(target.name.as_str());
            target.alias == relation
                || name.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
        })
    };
    let nodes: Vec<&Node> = before.root.walk().chain(after.root.walk()).filter(is_meant).collect();
    let name = nodes.first().and_then(|node| Some(node.target.as_ref()?.name.as_str()));
    let facts = name.and_then(|name| after.relations.get(name).or(before.relations.get(name)));
    let (pages, rows) = (thresholds.alarm_pages as f64, thresholds.alarm_rows as f64);
    match facts.and_then(|facts| facts.size) {
        Some(size) => size.pages as f64 >= pages || size.rows >= rows,
        None => nodes.iter().any(|node| node.estimate.total >= pages || node.estimate.rows >= rows),
    }
}

/// The most rows that a node of the class is expected to put out.
fn rows_of(plan: &QueryPlan, class: Class) -> f64 {
    let nodes = plan.root.walk().filter(|node| node.class == class);
    nodes.map(|node| below(node).max(node.estimate.rows)).fold(0.0, f64::max)
}

/// The rows that come into a node.
fn below(node: &Node) -> f64 {
    node.inputs().map(|input| input.estimate.rows).fold(0.0, f64::max)
}

/// The rows that scans read: what they are expected to put out, or the whole table where they have
/// no index.
fn rows_read(plan: &QueryPlan) -> f64 {
    let scans = plan.root.walk().filter(|node| node.class == Class::Scan);
    let rows = |node: &Node| {
        let name = node.target.as_ref().map_or("", |target| target.name.as_str());
        let size = plan.relations.get(name).and_then(|facts| facts.size);
        match size.filter(|_| node.operator.ends_with("Seq Scan")) {
            Some(size) => size.rows.max(node.estimate.rows),
            None => node.estimate.rows,
        }
    };
    scans.map(rows).fold(0.0, f64::max)
}
