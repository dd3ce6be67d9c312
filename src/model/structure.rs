//! What a database is made of, as far as two can be compared: tables, columns, indexes,
//! constraints.

use std::collections::{BTreeMap, BTreeSet};

use super::ident::QualifiedName;

/// What a database is made of. Of partitions only the tables above them are told; what extensions
/// make is not.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Structure {
    /// Tables of all kinds, and materialized views.
    pub tables: BTreeSet<QualifiedName>,
    /// Their columns, by table and name.
    pub columns: BTreeMap<(QualifiedName, String), ColumnForm>,
    /// Their indexes, but those of constraints.
    pub indexes: Vec<Part>,
    /// Their keys, checks and exclusions.
    pub constraints: Vec<Part>,
}

/// What a column is like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnForm {
    /// Its type, with what stands in parentheses.
    pub type_name: String,
    /// NOT NULL.
    pub not_null: bool,
    /// Its default, or how it is generated; empty for none.
    pub default: String,
}

/// Something that belongs to a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its name.
    pub name: QualifiedName,
    /// The table.
    pub table: QualifiedName,
    /// What it is, without its name: `UNIQUE USING btree (a)`, `CHECK ((a > 0))`.
    pub definition: String,
}
