//! What exists: one snapshot of the database's relations, partition trees and indexes.
//!
//! A plain value: `pg::catalog` reads it, the planner compares it with what should be, a runbook's
//! actions are applied to it to say what will have changed. Saved as JSON it is a test fixture.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ident::{Ident, QualifiedName};
use super::ledger::Ledger;
use super::migration::History;

/// Everything the planner looks at, ordered by name so that equal databases give equal text.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Catalog {
    /// `server_version_num`, for example 150020.
    pub server_version_num: u32,
    /// The schemas that unqualified names are looked up in, in order.
    pub search_path: Vec<Ident>,
    /// Tables, partitioned tables, materialized views and foreign tables.
    pub relations: BTreeMap<QualifiedName, Relation>,
    /// Indexes of all of these.
    pub indexes: BTreeMap<QualifiedName, Index>,
    /// What the database remembers of migrations.
    pub history: History,
    /// What it remembers of partitions that left, or are to leave.
    #[serde(default, skip_serializing_if = "Ledger::is_empty")]
    pub ledger: Ledger,
}

/// The kinds of relation that can have indexes or partitions (`pg_class.relkind`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RelationKind {
    /// `r`
    Table,
    /// `p`
    PartitionedTable,
    /// `m`
    MaterializedView,
    /// `f`: cannot have indexes, but may be a partition.
    ForeignTable,
}

/// A table, or whatever may stand where a table stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Relation {
    /// What it is.
    pub kind: RelationKind,
    /// The partitioned table it is attached to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition_of: Option<Partition>,
    /// `pg_get_partkeydef`, for partitioned tables: `RANGE (created_at)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition_key: Option<String>,
    /// The columns of the partition key with their types; an expression has an empty name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub key_columns: Vec<(String, String)>,
    /// Tables that its own foreign keys point at, and which ATTACH locks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<QualifiedName>,
    /// Tables whose foreign keys point at it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub referenced_by: Vec<QualifiedName>,
    /// Columns declared NOT NULL.
    #[serde(default)]
    pub not_null: Vec<Ident>,
    /// Check constraints of its own or inherited.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Check>,
    /// Size of the main data file in bytes; 0 for partitioned tables.
    #[serde(default)]
    pub size_bytes: u64,
    /// `reltuples`: the planner's idea of the number of rows; `None` before the first ANALYZE.
    #[serde(default)]
    pub estimated_rows: Option<u64>,
}

impl Relation {
    /// A relation that has nothing yet.
    pub fn empty(kind: RelationKind) -> Relation {
        Relation {
            kind,
            partition_of: None,
            partition_key: None,
            key_columns: Vec::new(),
            references: Vec::new(),
            referenced_by: Vec::new(),
            not_null: Vec::new(),
            checks: Vec::new(),
            size_bytes: 0,
            estimated_rows: None,
        }
    }
}

/// A check constraint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Its name.
    pub name: Ident,
    /// `convalidated`: all rows are known to pass.
    pub valid: bool,
}

/// The bound of a DEFAULT partition, as the server prints it.
pub const DEFAULT_BOUND: &str = "DEFAULT";

/// How a partition hangs on its parent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partition {
    /// The partitioned table.
    pub parent: QualifiedName,
    /// `pg_get_expr(relpartbound)`: `FOR VALUES FROM ('2026-01-01') TO ('2026-02-01')`.
    pub bound: String,
    /// `pg_inherits.inhdetachpending`: an interrupted DETACH CONCURRENTLY.
    #[serde(default)]
    pub detach_pending: bool,
}

/// An index, with all that decides whether it is the one we want.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Index {
    /// The table it is on.
    pub table: QualifiedName,
    /// What it indexes.
    pub definition: IndexDefinition,
    /// `indisvalid`, `indisready`, `indislive`: all three make an index that can be used.
    pub valid: bool,
    /// The server's process that builds it at this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub builder_pid: Option<i32>,
    /// The partitioned index it is attached to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<QualifiedName>,
    /// The constraint it implements.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub constraint: Option<KeyConstraint>,
    /// Size of the main data file in bytes.
    #[serde(default)]
    pub size_bytes: u64,
}

/// What an index indexes, without its name and table: equal definitions answer the same queries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexDefinition {
    /// UNIQUE.
    pub unique: bool,
    /// `pg_get_indexdef` from USING on: `USING btree (country, tier) WHERE active`.
    pub using: String,
    /// Names of the index's own columns (`pg_attribute.attname`), which PostgreSQL builds the
    /// names of child indexes from.
    pub columns: Vec<Ident>,
}

/// The constraint that an index implements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyConstraint {
    /// `contype = 'p'`
    PrimaryKey,
    /// `contype = 'u'`
    Unique,
    /// `contype = 'x'`
    Exclusion,
}

impl Catalog {
    /// Finds what an unqualified or qualified name in SQL means, by the search path.
    pub fn resolve_relation(&self, name: &[Ident]) -> Option<&QualifiedName> {
        self.resolve(name, |full| self.relations.get_key_value(full).map(|(key, _)| key))
    }

    /// The same for index names.
    pub fn resolve_index(&self, name: &[Ident]) -> Option<&QualifiedName> {
        self.resolve(name, |full| self.indexes.get_key_value(full).map(|(key, _)| key))
    }

    fn resolve<'a>(
        &'a self,
        name: &[Ident],
        find: impl Fn(&QualifiedName) -> Option<&'a QualifiedName>,
    ) -> Option<&'a QualifiedName> {
        match name {
            [name] => self
                .search_path
                .iter()
                .find_map(|schema| find(&QualifiedName::new(schema.clone(), name.clone()))),
            [.., schema, name] => find(&QualifiedName::new(schema.clone(), name.clone())),
            [] => None,
        }
    }

    /// The partitions attached directly to `parent`, in name order.
    pub fn partitions<'a>(
        &'a self,
        parent: &'a QualifiedName,
    ) -> impl Iterator<Item = (&'a QualifiedName, &'a Relation)> {
        self.relations
            .iter()
            .filter(move |(_, r)| r.partition_of.as_ref().is_some_and(|p| p.parent == *parent))
    }

    /// The DEFAULT partition of `parent`, attached directly to it.
    pub fn default_partition<'a>(
        &'a self,
        parent: &'a QualifiedName,
    ) -> Option<(&'a QualifiedName, &'a Relation)> {
        self.partitions(parent).find(|(_, relation)| {
            relation.partition_of.as_ref().is_some_and(|p| p.bound == DEFAULT_BOUND)
        })
    }

    /// `table` and its partitions at any depth, parents before their partitions.
    pub fn tree(&self, table: &QualifiedName) -> Vec<QualifiedName> {
        let is_partitioned = |relation: &Relation| relation.kind == RelationKind::PartitionedTable;
        if !self.relations.get(table).is_some_and(is_partitioned) {
            return vec![table.clone()];
        }
        let mut children: BTreeMap<&QualifiedName, Vec<&QualifiedName>> = BTreeMap::new();
        for (name, relation) in &self.relations {
            if let Some(partition) = &relation.partition_of {
                children.entry(&partition.parent).or_default().push(name);
            }
        }
        let mut tree = vec![table.clone()];
        let mut next = 0;
        while let Some(parent) = tree.get(next) {
            let partitions = children.get(parent).into_iter().flatten();
            let partitions: Vec<QualifiedName> = partitions.map(|name| (*name).clone()).collect();
            tree.extend(partitions);
            next += 1;
        }
        tree
    }

    /// The indexes attached directly to the partitioned index `parent`, in name order.
    pub fn attached_indexes<'a>(
        &'a self,
        parent: &'a QualifiedName,
    ) -> impl Iterator<Item = (&'a QualifiedName, &'a Index)> {
        self.indexes.iter().filter(move |(_, index)| index.parent.as_ref() == Some(parent))
    }
}
