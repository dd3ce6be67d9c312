//! A plan as a value: nodes, what they read, what they were expected and measured to do. Pure.
//!
//! Two kinds of facts are kept apart. What a node *is* (operator, relation, index, conditions)
//! makes the text and the digest; what it *costs* (estimates, measurements) never does.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::ident::QualifiedName;

/// The version of the stored form of a [`QueryPlan`].
pub const SCHEMA_VERSION: u32 = 1;

/// What the catalog says about the names in a plan, at the time of the EXPLAIN.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Names {
    /// Each index with its definition from `USING` on, as `pg_get_indexdef` writes it, with
    /// `UNIQUE ` in front where it is: `UNIQUE USING btree (a, b DESC) INCLUDE (c) WHERE d`.
    pub indexes: BTreeMap<QualifiedName, String>,
    /// Each partition, at any depth, with the partitioned table at the top.
    pub roots: BTreeMap<QualifiedName, QualifiedName>,
    /// How large tables are; for a partitioned one (at the top) the sum of its partitions.
    pub sizes: BTreeMap<QualifiedName, Size>,
    /// When statistics were last made of a table, or of any of its partitions: seconds since 1970,
    /// 0 where never.
    pub analyzed_at: BTreeMap<QualifiedName, f64>,
}

/// How large a table is, as the planner sees it.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Size {
    /// Pages of 8 kB.
    pub pages: u64,
    /// Rows (`reltuples`).
    pub rows: f64,
}

/// A normalised plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QueryPlan {
    /// The version of this form.
    pub schema_version: u32,
    /// The top node.
    pub root: Node,
    /// Planner settings that differ from the built-in defaults (EXPLAIN's SETTINGS).
    pub settings: BTreeMap<String, String>,
    /// The tables it reads, by their names as SQL.
    pub relations: BTreeMap<String, RelationFacts>,
    /// What the run as a whole did, where it was run (ANALYZE).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub measured: Option<Measured>,
}

/// What is known of a table that a plan reads.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct RelationFacts {
    /// Its size, where the catalog was asked.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub size: Option<Size>,
    /// How many partitions it has, at any depth; 0 for a plain table.
    pub partitions: u64,
}

/// One node, or several that are alike: partitions of one table, folded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// What it does, in the words of EXPLAIN's text format: `Parallel Seq Scan`, `Hash Left Join`.
    pub operator: String,
    /// What kind of thing that is.
    pub class: Class,
    /// How it hangs below its parent.
    pub role: Role,
    /// What it reads or writes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub target: Option<Target>,
    /// The index it uses.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub index: Option<Index>,
    /// Conditions, keys and the like that make it what it is, canonical, in a fixed order.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub properties: Vec<Property>,
    /// How many nodes were folded into it; 1 where none were.
    #[serde(skip_serializing_if = "is_one", default = "one")]
    pub count: u64,
    /// Of these (or of an Append's members), how many the executor left out at its start.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub removed: u64,
    /// Whether the planner was told not to use it, and had nothing else (18).
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub disabled: bool,
    /// What the planner expected; summed over what was folded.
    pub estimate: Estimate,
    /// What it did; summed over what was folded.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub actual: Option<Actual>,
    /// The nodes below: subplans, then inputs in EXPLAIN's order.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub children: Vec<Node>,
}

fn one() -> u64 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_one(count: &u64) -> bool {
    *count == 1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// What a node reads or writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// A table (the top one, where it is a partition), function, CTE, … as SQL writes it.
    pub name: String,
    /// What the query calls it; generated aliases of partitions are those of their table.
    pub alias: String,
    /// The partitions read, where it is a partitioned table; sorted.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub partitions: Vec<String>,
}

/// An index, by what it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// Its definition as in [`Names::indexes`]; where the catalog did not know it, its name.
    pub definition: String,
    /// What it was called when the plan was made (the first, where several were folded).
    pub name: String,
}

/// A condition, a key, a setting of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Property {
    /// EXPLAIN's word: `Index Cond`, `Sort Key`.
    pub key: String,
    /// Its canonical text.
    pub text: String,
}

/// Kinds of nodes; nodes of one class can take each other's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Reads a relation, a function, a list of values, a CTE.
    Scan,
    /// Below a Bitmap Heap Scan.
    Bitmap,
    /// Joins two inputs.
    Join,
    /// Aggregate, Group, Unique, WindowAgg, SetOp.
    Aggregate,
    /// Sort, Incremental Sort.
    Sort,
    /// Append, Merge Append, Recursive Union.
    Append,
    /// Gather, Gather Merge.
    Gather,
    /// Materialize, Memoize, Hash: keeps rows for its parent.
    Keep,
    /// Result, Limit, Subquery Scan, ProjectSet, LockRows: passes rows on.
    Pass,
    /// Insert, Update, Delete, Merge.
    Modify,
    /// What no version that we know has.
    Other,
}

/// How a node hangs below its parent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The input, the outer side of a join, a member of an Append.
    Input,
    /// The inner side of a join.
    Inner,
    /// Run once, when first asked; by its number.
    InitPlan(String),
    /// Run from an expression; by its number.
    SubPlan(String),
    /// A CTE, by its name.
    Cte(String),
}

/// What the planner expected of a node.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Estimate {
    /// Cost before the first row.
    pub startup: f64,
    /// Cost of all rows.
    pub total: f64,
    /// Rows, of all workers together.
    pub rows: f64,
}

/// What a node did, all loops and workers together.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Actual {
    /// Rows that came out.
    pub rows: f64,
    /// How often it was run.
    pub loops: f64,
    /// Rows it read and threw away.
    pub rows_removed: f64,
    /// Milliseconds, with the nodes below.
    pub time_ms: f64,
    /// Disk space that a sort or a hash took, in kB; 0 where memory sufficed.
    pub spilled_kb: u64,
    /// Blocks touched, with the nodes below.
    pub buffers: Buffers,
}

/// Blocks of 8 kB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Buffers {
    /// Found in the cache.
    pub hit: u64,
    /// Read into it.
    pub read: u64,
    /// Of temporary files, read and written.
    pub temp: u64,
}

impl Buffers {
    /// All of them: the deterministic measure of a run.
    pub fn all(self) -> u64 {
        self.hit.saturating_add(self.read).saturating_add(self.temp)
    }
}

/// What a run as a whole did.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Measured {
    /// Blocks, where BUFFERS was asked for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub buffers: Option<Buffers>,
    /// Rows that all nodes put out or threw away.
    pub rows_processed: f64,
    /// Execution time in milliseconds.
    pub time_ms: f64,
    /// Planning time in milliseconds.
    pub planning_ms: f64,
    /// Time spent on reads, in milliseconds, where `track_io_timing` was on.
    pub io_read_ms: f64,
}

impl QueryPlan {
    /// The estimated cost of the whole.
    pub fn cost(&self) -> f64 {
        self.root.estimate.total
    }

    /// The rows expected to come out.
    pub fn rows(&self) -> f64 {
        self.root.estimate.rows
    }
}

impl Node {
    /// The property of that name.
    pub fn property(&self, key: &str) -> Option<&str> {
        self.properties.iter().find(|property| property.key == key).map(|p| p.text.as_str())
    }

    /// The nodes whose rows it takes: not what expressions run.
    pub fn inputs(&self) -> impl Iterator<Item = &Node> {
        self.children.iter().filter(|child| !child.role.is_subplan())
    }

    /// This node and all below, from the top.
    pub fn walk(&self) -> Box<dyn Iterator<Item = &Node> + '_> {
        Box::new(std::iter::once(self).chain(self.children.iter().flat_map(Node::walk)))
    }
}

impl Role {
    /// Whether an expression runs it.
    pub fn is_subplan(&self) -> bool {
        match self {
            Role::Input | Role::Inner => false,
            Role::InitPlan(_) | Role::SubPlan(_) | Role::Cte(_) => true,
        }
    }
}
