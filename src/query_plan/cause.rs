//! Why two plans differ at a place, in words. Pure.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::units::{human_count, plural};

/// Why two plans differ at a place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Cause {
    /// More partitions are read, and not because there are more.
    PruningLost {
        /// The partitioned table.
        relation: String,
        /// Partitions read before.
        before: u64,
        /// Partitions read after.
        after: u64,
    },
    /// Fewer partitions are read, and not because there are fewer.
    PruningGained {
        /// The partitioned table.
        relation: String,
        /// Partitions read before.
        before: u64,
        /// Partitions read after.
        after: u64,
    },
    /// Partitions were attached or detached, and those that are there are read.
    Partitions {
        /// The partitioned table.
        relation: String,
        /// Partitions read before.
        before: u64,
        /// Partitions read after.
        after: u64,
    },
    /// A table is read in another way.
    Access {
        /// The table.
        relation: String,
        /// `Seq Scan`.
        before: String,
        /// `Index Only Scan using (country)`.
        after: String,
        /// What that means for the use of indexes.
        use_of_index: UseOfIndex,
    },
    /// A table is read in the same way, by another index.
    OtherIndex {
        /// The table.
        relation: String,
        /// The index before, by its definition.
        before: String,
        /// The index after.
        after: String,
    },
    /// The index does not check it any more; each row is fetched and looked at.
    CondBecameFilter {
        /// The table.
        relation: String,
        /// The condition.
        condition: String,
    },
    /// The index checks it now.
    FilterBecameCond {
        /// The table.
        relation: String,
        /// The condition.
        condition: String,
    },
    /// Tables are joined in another order.
    JoinOrder {
        /// `((a b) c)`.
        before: String,
        /// `(a (b c))`.
        after: String,
    },
    /// The same tables are joined by another method.
    JoinMethod {
        /// `Nested Loop`.
        before: String,
        /// `Hash Join`.
        after: String,
    },
    /// The sides of a join were swapped.
    JoinSides {
        /// The inner side (of a Hash Join the hashed one) after.
        inner: String,
    },
    /// The inner side of a nested loop is read without an index now, once per outer row.
    InnerIndexLost {
        /// The table.
        relation: String,
    },
    /// A table is not joined any more: the planner proved that it adds nothing.
    RelationGone {
        /// The table.
        relation: String,
    },
    /// A table is joined that was not needed before.
    RelationAdded {
        /// The table.
        relation: String,
    },
    /// It does not run in parallel any more.
    ParallelLost {
        /// Workers planned before.
        workers: u64,
    },
    /// It runs in parallel now.
    ParallelGained {
        /// Workers planned after.
        workers: u64,
    },
    /// The number of parallel workers.
    Workers {
        /// Workers planned before.
        before: u64,
        /// Workers planned after.
        after: u64,
    },
    /// Memory does not suffice any more.
    Spills {
        /// `Sort`, `Hash`.
        operator: String,
        /// Disk space taken, in kB.
        kb: u64,
    },
    /// Memory suffices now.
    SpillGone {
        /// `Sort`, `Hash`.
        operator: String,
    },
    /// Rows are sorted that came in order before.
    SortAdded {
        /// The sort key.
        key: String,
    },
    /// Rows come in order now.
    SortGone {
        /// The sort key.
        key: String,
    },
    /// A CTE is computed on its own and kept.
    CteMaterialized {
        /// The CTE.
        name: String,
    },
    /// A CTE is planned as part of what uses it.
    CteInlined {
        /// The CTE.
        name: String,
    },
    /// A node that passes rows on or keeps them was put in.
    Inserted {
        /// `Memoize`.
        operator: String,
    },
    /// A node that passed rows on or kept them is gone.
    Removed {
        /// `Memoize`.
        operator: String,
    },
    /// One operation took another's place.
    Replaced {
        /// `GroupAggregate`.
        before: String,
        /// `HashAggregate`.
        after: String,
    },
    /// A condition or a key.
    Condition {
        /// EXPLAIN's word for it.
        key: String,
        /// The text before; empty where there was none.
        before: String,
        /// The text after; empty where there is none.
        after: String,
    },
    /// An expression's subplan came or went, or nothing of the above.
    Rearranged {
        /// What.
        what: String,
    },
}

/// What a change of access means for the use of indexes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UseOfIndex {
    /// An index was used before, and none is now.
    Lost,
    /// The index alone sufficed before; now the table is read as well.
    OnlyLost,
    /// Neither more nor less than before.
    Same,
    /// The index alone suffices now.
    OnlyGained,
    /// An index is used now.
    Gained,
}

impl Cause {
    /// How much it explains: the smallest of a change is told first.
    pub fn rank(&self) -> u8 {
        match self {
            Cause::PruningLost { .. } => 0,
            Cause::PruningGained { .. } => 1,
            Cause::Access { .. } => 2,
            Cause::OtherIndex { .. } => 3,
            Cause::CondBecameFilter { .. } => 4,
            Cause::FilterBecameCond { .. } => 5,
            Cause::JoinOrder { .. } => 6,
            Cause::JoinMethod { .. } => 7,
            Cause::InnerIndexLost { .. } => 8,
            Cause::CteMaterialized { .. } | Cause::CteInlined { .. } => 9,
            Cause::RelationGone { .. } | Cause::RelationAdded { .. } => 10,
            Cause::ParallelLost { .. } | Cause::ParallelGained { .. } => 11,
            Cause::Spills { .. } | Cause::SpillGone { .. } => 12,
            Cause::SortAdded { .. } | Cause::SortGone { .. } => 13,
            Cause::JoinSides { .. } => 14,
            Cause::Replaced { .. } => 15,
            Cause::Inserted { .. } | Cause::Removed { .. } => 16,
            Cause::Partitions { .. } => 17,
            Cause::Workers { .. } => 18,
            Cause::Condition { .. } => 19,
            Cause::Rearranged { .. } => 20,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let partitions = |count: u64| plural(count as usize, "partition", "partitions");
        match self {
            Cause::PruningLost { relation, before, after } => {
                let after = partitions(*after);
                write!(f, "pruning lost: {after} instead of {before} of {relation}")
            }
            Cause::PruningGained { relation, before, after } => {
                let after = partitions(*after);
                write!(f, "pruning gained: {after} instead of {before} of {relation}")
            }
            Cause::Partitions { relation, before, after } => {
                let what = if after > before { "attached" } else { "detached" };
                let (after, count) = (partitions(*after), after.abs_diff(*before));
                write!(f, "{after} instead of {before} of {relation}: {count} {what}")
            }
            Cause::Access { relation, before, after, .. } if relation.is_empty() => {
                write!(f, "{before} became {after}")
            }
            Cause::Access { relation, before, after, .. } => {
                write!(f, "{before} became {after} on {relation}")
            }
            Cause::OtherIndex { relation, before, after } => {
                write!(f, "the index {after} instead of {before} on {relation}")
            }
            Cause::CondBecameFilter { relation, condition } => {
                write!(f, "Index Cond became Filter on {relation}: {condition}")
            }
            Cause::FilterBecameCond { relation, condition } => {
                write!(f, "Filter became Index Cond on {relation}: {condition}")
            }
            Cause::JoinOrder { before, after } => write!(f, "join order: {before} became {after}"),
            Cause::JoinMethod { before, after } | Cause::Replaced { before, after } => {
                write!(f, "{before} became {after}")
            }
            Cause::JoinSides { inner } => write!(f, "join sides swapped: {inner} is inside now"),
            Cause::InnerIndexLost { relation } => {
                write!(f, "the nested loop reads {relation} without an index, once per outer row")
            }
            Cause::RelationGone { relation } => write!(f, "{relation} is not read any more"),
            Cause::RelationAdded { relation } => write!(f, "{relation} is read now"),
            Cause::ParallelLost { workers } => {
                let workers = plural(*workers as usize, "worker", "workers");
                write!(f, "parallel lost: {workers} before")
            }
            Cause::ParallelGained { workers } => {
                write!(f, "parallel gained: {}", plural(*workers as usize, "worker", "workers"))
            }
            Cause::Workers { before, after } => {
                let after = plural(*after as usize, "worker", "workers");
                write!(f, "{after} instead of {before}")
            }
            Cause::Spills { operator, kb } => {
                write!(f, "{operator} spills: {} kB on disk", human_count(*kb))
            }
            Cause::SpillGone { operator } => write!(f, "{operator} fits into memory now"),
            Cause::SortAdded { key } => write!(f, "sorts by {key}, which came in order before"),
            Cause::SortGone { key } => write!(f, "no sort by {key}: rows come in order"),
            Cause::CteMaterialized { name } => write!(f, "CTE {name} is materialized"),
            Cause::CteInlined { name } => write!(f, "CTE {name} is inlined"),
            Cause::Inserted { operator } => write!(f, "{operator} inserted"),
            Cause::Removed { operator } => write!(f, "{operator} left out"),
            Cause::Condition { key, before, after } => match (before.as_str(), after.as_str()) {
                ("", after) => write!(f, "{key} added: {after}"),
                (before, "") => write!(f, "{key} left out: {before}"),
                (before, after) => write!(f, "{key}: {after} instead of {before}"),
            },
            Cause::Rearranged { what } => f.write_str(what),
        }
    }
}
