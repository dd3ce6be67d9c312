//! The partitions of a table as their bounds say, never as their names do.

use super::rule::{Range, Rule};
use crate::model::catalog::{Catalog, DEFAULT_BOUND, Relation};
use crate::model::finding::{Finding, Severity};
use crate::model::ident::QualifiedName;
use crate::model::time_key::{KeyType, Limit, RangeBound};

/// The partitions of a table partitioned by RANGE.
#[derive(Debug, Clone)]
pub struct Members<'a> {
    key_type: KeyType,
    /// By their lower limit; none of them overlap.
    pub ranges: Vec<Member<'a>>,
    /// The DEFAULT partition.
    pub default: Option<(&'a QualifiedName, &'a Relation)>,
    /// Partitions whose detach is pending.
    pub pending: Vec<(&'a QualifiedName, &'a Relation)>,
}

/// One partition.
#[derive(Debug, Clone, Copy)]
pub struct Member<'a> {
    /// Its name.
    pub name: &'a QualifiedName,
    /// What it holds.
    pub bound: RangeBound,
}

/// Reads the bounds. The finding is about one that this rule cannot read.
pub fn members<'a>(
    catalog: &'a Catalog,
    rule: &'a Rule<'_>,
    range: &Range,
) -> Result<Members<'a>, Finding> {
    let mut members = Members {
        key_type: range.key_type,
        ranges: Vec::new(),
        default: None,
        pending: Vec::new(),
    };
    for (name, relation) in catalog.partitions(&rule.table) {
        let Some(partition) = &relation.partition_of else { continue };
        if partition.detach_pending {
            members.pending.push((name, relation));
        } else if partition.bound == DEFAULT_BOUND {
            members.default = Some((name, relation));
        } else {
            let bound = RangeBound::parse(range.key_type, &partition.bound).map_err(|message| {
                Finding::new("odd-bound", Severity::Error, name.to_string(), message)
            })?;
            members.ranges.push(Member { name, bound });
        }
    }
    members.ranges.sort_by_key(|member| member.bound.lower());
    Ok(members)
}

impl<'a> Members<'a> {
    /// The newest partition, which others are made like: the last that ends at all.
    pub fn newest(&self) -> Option<&Member<'a>> {
        self.ranges.iter().rev().find(|member| member.bound.upper() < Limit::Infinity)
    }

    /// The end of what the partitions hold without a gap from a limit on; `None` where none holds
    /// the limit itself.
    pub fn covered_from(&self, from: Limit) -> Option<Limit> {
        let mut bounds = self.ranges.iter().map(|member| member.bound);
        let first = bounds.find(|bound| bound.lower() <= from && from < bound.upper())?;
        Some(bounds.fold(first.upper(), |end, bound| match bound.lower() == end {
            true => bound.upper(),
            false => end,
        }))
    }

    /// A limit as the bounds print it.
    pub fn print(&self, limit: Limit) -> String {
        self.key_type.print_limit(limit).unwrap_or_default()
    }

    /// Parts of `from..to` that no partition holds, in order.
    pub fn gaps(&self, from: Limit, to: Limit) -> Vec<(Limit, Limit)> {
        let mut gaps = Vec::new();
        let mut at = from;
        for bound in self.ranges.iter().map(|member| member.bound) {
            if bound.lower() > at && at < to {
                gaps.push((at, bound.lower().min(to)));
            }
            at = at.max(bound.upper());
        }
        if at < to {
            gaps.push((at, to));
        }
        gaps
    }
}
