//! What the planner has to know of a database, without its rows: what a snapshot file holds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::finding::Finding;
use super::ident::{Ident, QualifiedName};
use super::migration::History;

/// Grows when a program that reads the file would have to change. New keys do not count.
pub const SCHEMA_VERSION: u32 = 1;

/// A database as the planner sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The version of this form.
    pub schema_version: u32,
    /// When it was taken: RFC 3339, UTC.
    pub taken_at: String,
    /// The server and the database.
    pub server: ServerFacts,
    /// Planner settings that are not the built-in defaults, by name.
    pub settings: BTreeMap<String, String>,
    /// Statements that make the schema, as `pg_dump --schema-only` writes them; `None` where it
    /// could not be had, so that the migrations have to.
    pub ddl: Option<String>,
    /// The migrations that were applied.
    pub history: History,
    /// Tables, materialized views and indexes.
    pub relations: Vec<RelationSize>,
    /// What is known of columns, also of those of indexes on expressions.
    pub columns: Vec<ColumnStatistics>,
    /// What could not be read, and what follows from that.
    pub unread: Vec<Finding>,
}

/// Where the snapshot comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerFacts {
    /// `server_version_num`.
    pub version_num: u32,
    /// The database's name.
    pub database: String,
    /// Its encoding.
    pub encoding: String,
    /// `datcollate`: the order of text decides what a range of it finds.
    pub collate: String,
    /// `datctype`.
    pub ctype: String,
    /// Bytes of a page.
    pub block_size: u32,
}

/// How large a relation is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RelationSize {
    /// Its name.
    pub name: QualifiedName,
    /// `relkind`: `r` table, `p` partitioned table, `m` materialized view, `i` index, `I`
    /// partitioned index, `f` foreign table.
    pub kind: char,
    /// Pages of its file, which is what the planner asks the system for.
    pub file_pages: u64,
    /// `relpages`, as the last VACUUM or ANALYZE saw them.
    pub pages: i64,
    /// `reltuples`; -1 where nobody looked yet.
    pub tuples: f64,
    /// `relallvisible`: what an Index Only Scan need not look up.
    pub all_visible_pages: i64,
    /// The access method of an index.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub access_method: String,
    /// Levels of a b-tree above its leaves, where they could be read.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tree_height: Option<u32>,
}

/// What ANALYZE found of a column, as `pg_stats` shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ColumnStatistics {
    /// The table, or the index on an expression.
    pub relation: QualifiedName,
    /// The column.
    pub column: Ident,
    /// Whether partitions and inheriting tables were counted in.
    pub inherited: bool,
    /// The share of NULLs.
    pub null_frac: f32,
    /// Mean bytes of a value.
    pub avg_width: i32,
    /// Distinct values; negative: as a share of the rows.
    pub n_distinct: f32,
    /// How far the order of the rows follows that of the values.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub correlation: Option<f32>,
    /// How frequent the most common values are.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub most_common_freqs: Vec<f32>,
    /// Values of rows; `None` where they are withheld.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub values: Option<ColumnSample>,
}

/// Values of a column that the statistics hold: copies of what is in rows, as text.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ColumnSample {
    /// The most common values.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub most_common_vals: Vec<String>,
    /// Bounds of equally frequent ranges.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub histogram_bounds: Vec<String>,
    /// The most common elements of arrays.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub most_common_elems: Vec<String>,
    /// How frequent they are; three or four figures about all follow.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub most_common_elem_freqs: Vec<f32>,
    /// A histogram of how many distinct elements arrays have.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub elem_count_histogram: Vec<f32>,
}

impl Snapshot {
    /// The server's major version.
    pub fn major(&self) -> u32 {
        self.server.version_num / 10_000
    }
}
