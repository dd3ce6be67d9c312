//! What the planner has to know of a database, without its rows: what a snapshot file holds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::analyze::{Sampled, sample_rows};
use super::extended_statistics::ExtendedStatistics;
use super::finding::Finding;
use super::ident::{Ident, QualifiedName};
use super::migration::History;
use super::statement::CountedStatement;
use super::substitution::Substitute;

/// Grows when a program that reads the file would have to change. New keys do not count.
pub const SCHEMA_VERSION: u32 = 1;

/// Pages that a relation has at most: `MaxBlockNumber` of `block.h`, and one.
const PAGES_MAX: u64 = 0xFFFF_FFFF;
/// Rows that nobody has: as many as fit into the largest table are a thousandth of it.
const TUPLES_MAX: f64 = 1e15;

/// Pages of a relation with so many times the rows. A BRIN's first pages, its own, its map's and
/// one of summaries, are enough for many.
fn scaled_pages(relation: &RelationSize, pages: f64, factor: f64) -> f64 {
    const BRIN_FIRST: f64 = 3.0;
    match relation.access_method.as_str() {
        "brin" => pages.min(BRIN_FIRST) + ((pages - BRIN_FIRST).max(0.0) * factor).ceil(),
        _ => (pages * factor).ceil(),
    }
}

fn is_zero(pages: &u64) -> bool {
    *pages == 0
}

/// Columns of at most so many values are taken for enumerations: more rows bring no new ones.
const ENUMERATION_MAX: f64 = 1_000.0;

/// A database as the planner sees it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Snapshot {
    /// The version of this form.
    pub schema_version: u32,
    /// When it was taken: RFC 3339, UTC.
    pub taken_at: String,
    /// The server and the database.
    pub server: ServerFacts,
    /// Planner settings that are not the built-in defaults, and `search_path`, by name.
    pub settings: BTreeMap<String, String>,
    /// Statements that make the schema, as `pg_dump --schema-only` writes them; `None` where it
    /// could not be had, so that the migrations have to.
    pub ddl: Option<String>,
    /// The migrations that were applied.
    pub history: History,
    /// Roles that rights or policies do not stop, of those that own something or run queries.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub roles: Vec<PrivilegedRole>,
    /// Tables, materialized views and indexes.
    pub relations: Vec<RelationSize>,
    /// Since when the counters of relations run: RFC 3339, UTC. `None` where they were never set
    /// back: since the database exists, or the server lost them in a crash.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub counters_since: Option<String>,
    /// What is known of columns, also of those of indexes on expressions.
    pub columns: Vec<ColumnStatistics>,
    /// What is known of several columns together, and of expressions.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub extended: Vec<ExtendedStatistics>,
    /// The statements that the server spends its time on, the dearest first; where they were asked
    /// for.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub statements: Vec<CountedStatement>,
    /// What stands for values of the profile's queries, where those of the column do not stand for
    /// themselves.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub substitutes: Vec<Substitute>,
    /// How well plans that it foretells have fared, where somebody looked.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub fidelity: Option<Fidelity>,
    /// What could not be read, and what follows from that.
    pub unread: Vec<Finding>,
}

/// A role that rights or policies do not stop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrivilegedRole {
    /// Its name.
    pub name: Ident,
    /// `rolsuper`: no right is asked of it.
    pub superuser: bool,
    /// `rolbypassrls`: no policy of a table counts for it.
    pub bypass_rls: bool,
}

/// Where the snapshot comes from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
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

/// How many plans on a shadow were those of the database itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fidelity {
    /// When both were compared: RFC 3339, UTC.
    pub verified_at: String,
    /// How many plans the database had.
    pub plans: usize,
    /// How many of them were the same plan on the shadow.
    pub same_shape: usize,
    /// How many of these at the same cost, with the same rows.
    pub exact: usize,
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
    /// Pages of what is too long for them (TOAST).
    #[serde(skip_serializing_if = "is_zero", default)]
    pub toast_pages: u64,
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
    /// What GIN counted, where it could be read.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub gin: Option<GinPages>,
    /// The table of an index.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub table: Option<QualifiedName>,
    /// The statement that makes an index, as `pg_get_indexdef` writes it with an empty search path.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub definition: Option<String>,
    /// The greatest statistics target that one of its columns has of its own: rows are sampled for
    /// the greatest.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub statistics_target: Option<u32>,
    /// Storage parameters (`reloptions`), each `name=value`.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub options: Vec<String>,
    /// How it was used, on the server that the snapshot was taken of.
    #[serde(flatten)]
    pub counters: Counters,
}

/// What a GIN index was like when it was built or vacuumed, as its first page says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GinPages {
    /// Pages of what waits to be sorted in.
    pub pending_pages: u32,
    /// All pages.
    pub total_pages: u32,
    /// Pages of entries.
    pub entry_pages: u32,
    /// Pages of long lists of rows.
    pub data_pages: u32,
    /// Entries.
    pub entries: i64,
}

impl GinPages {
    /// The index of a table with so many times the rows, as the planner itself takes it to grow.
    fn scaled(&self, factor: f64) -> GinPages {
        let pages = |pages: u32| (f64::from(pages) * factor).ceil() as u32;
        GinPages {
            pending_pages: pages(self.pending_pages),
            total_pages: pages(self.total_pages),
            entry_pages: pages(self.entry_pages),
            data_pages: pages(self.data_pages),
            entries: (self.entries as f64 * factor) as i64,
        }
    }
}

/// How a relation was used since [`Snapshot::counters_since`], as `pg_stat_user_tables` and
/// `pg_stat_user_indexes` count it: keys of the relation, and not there where nobody counts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Counters {
    /// Rows inserted into a table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n_tup_ins: Option<u64>,
    /// Rows updated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n_tup_upd: Option<u64>,
    /// Rows updated without a new entry in any index; they count as updated too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n_tup_hot_upd: Option<u64>,
    /// Rows deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n_tup_del: Option<u64>,
    /// Sequential scans of a table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq_scan: Option<u64>,
    /// Scans of an index.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idx_scan: Option<u64>,
}

impl RelationSize {
    /// An empty relation of which nothing is known.
    pub fn new(name: QualifiedName, kind: char) -> RelationSize {
        RelationSize {
            name,
            kind,
            file_pages: 0,
            toast_pages: 0,
            pages: 0,
            tuples: 0.0,
            all_visible_pages: 0,
            access_method: String::new(),
            tree_height: None,
            gin: None,
            table: None,
            definition: None,
            statistics_target: None,
            options: Vec::new(),
            counters: Counters::default(),
        }
    }
}

impl Counters {
    /// Rows written to a table; `None` of what is no table.
    pub fn written(&self) -> Option<u64> {
        Some(self.n_tup_ins?.saturating_add(self.n_tup_upd?).saturating_add(self.n_tup_del?))
    }
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
    /// Whether other values stand in their place, in the same order.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub is_substituted: bool,
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
    /// A histogram of the lengths of ranges that are not empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub range_length_histogram: Vec<f64>,
    /// The share of empty ranges.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub range_empty_frac: Option<f32>,
    /// Histograms of the lower and of the upper bounds of ranges, together as ranges.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub range_bounds_histogram: Vec<String>,
}

impl ColumnSample {
    /// All values that are texts.
    pub fn texts(&self) -> impl Iterator<Item = &String> {
        let all = [
            &self.most_common_vals,
            &self.histogram_bounds,
            &self.most_common_elems,
            &self.range_bounds_histogram,
        ];
        all.into_iter().flatten()
    }
}

impl Snapshot {
    /// The server's major version.
    pub fn major(&self) -> u32 {
        self.server.version_num / 10_000
    }

    /// The same database with so many times the rows: what is unique, or nearly, grows along; what
    /// has a few values keeps them.
    pub fn scaled(&self, factor: f64) -> Snapshot {
        let pages = |pages: i64| (pages as f64 * factor).round() as i64;
        let relations = self.relations.iter().map(|one| RelationSize {
            file_pages: scaled_pages(one, one.file_pages as f64, factor) as u64,
            toast_pages: (one.toast_pages as f64 * factor).ceil() as u64,
            pages: match one.pages {
                seen if seen > 0 => scaled_pages(one, seen as f64, factor) as i64,
                unseen => unseen,
            },
            tuples: if one.tuples > 0.0 { one.tuples * factor } else { one.tuples },
            all_visible_pages: pages(one.all_visible_pages),
            tree_height: None,
            gin: one.gin.as_ref().map(|gin| gin.scaled(factor)),
            ..one.clone()
        });
        let sizes: BTreeMap<_, _> = self.relations.iter().map(|one| (&one.name, one)).collect();
        let columns = self.columns.iter().map(|one| {
            let believed = sizes
                .get(&one.relation)
                .and_then(|&table| one.believed_distinct(table, self.sample_rows(table), factor));
            let scaled = one.scaled(factor);
            ColumnStatistics { n_distinct: believed.unwrap_or(scaled.n_distinct), ..scaled }
        });
        let extended = self.extended.iter().map(|one| one.scaled(factor));
        Snapshot {
            relations: relations.collect(),
            columns: columns.collect(),
            extended: extended.collect(),
            ..self.clone()
        }
    }
}

impl Snapshot {
    /// What of it no database can be like.
    pub fn implausible(&self) -> Option<String> {
        let is_page_count = |pages: i64| (-1..=PAGES_MAX as i64).contains(&pages);
        let too_large = |one: &&RelationSize| {
            one.file_pages > PAGES_MAX
                || one.toast_pages > PAGES_MAX
                || !(-1.0..=TUPLES_MAX).contains(&one.tuples)
                || !is_page_count(one.pages)
                || !is_page_count(one.all_visible_pages)
        };
        let relation = self.relations.iter().find(too_large).map(|one| {
            format!("{} has {} pages and {} rows", one.name, one.file_pages, one.tuples)
        });
        let is_no_number = |one: &&ColumnStatistics| {
            !(0.0..=1.0).contains(&one.null_frac) || !one.n_distinct.is_finite()
        };
        relation.or_else(|| {
            let column = self.columns.iter().find(is_no_number)?;
            let ColumnStatistics { relation, column, null_frac, n_distinct, .. } = column;
            Some(format!(
                "{relation}.{column} has {n_distinct} values and a share of NULLs of {null_frac}"
            ))
        })
    }

    /// Rows that ANALYZE takes of a table.
    fn sample_rows(&self, table: &RelationSize) -> f64 {
        const TARGET: u32 = 100;
        let default = self.settings.get("default_statistics_target");
        let default = default.and_then(|target| target.parse().ok()).filter(|target| *target > 0);
        sample_rows(default.unwrap_or(TARGET).max(table.statistics_target.unwrap_or_default()))
    }
}

/// So many times the distinct values, unless they are so few that more rows bring no new ones.
pub fn scaled_count(count: f64, factor: f64) -> f64 {
    if count > ENUMERATION_MAX { count * factor } else { count }
}

impl ColumnStatistics {
    /// The column of a table with so many times the rows. Above a tenth of the rows ANALYZE tells a
    /// share, which stays.
    pub fn scaled(&self, factor: f64) -> ColumnStatistics {
        let n_distinct = scaled_count(f64::from(self.n_distinct), factor) as f32;
        ColumnStatistics { n_distinct, ..self.clone() }
    }

    /// `n_distinct` as ANALYZE would tell it of the table with so many times the rows, where equal
    /// values lie side by side: what it believes is what plans are made with.
    fn believed_distinct(
        &self,
        table: &RelationSize,
        sample_rows: f64,
        factor: f64,
    ) -> Option<f32> {
        const CORRELATION_MIN: f32 = 0.99;
        // NULLs count as rows here, and are none of the values.
        const NULLS_MAX: f32 = 0.05;
        // From here on ANALYZE tells a share of the rows.
        const SHARE_MIN: f64 = 0.1;
        let is_clustered = self.correlation.is_some_and(|one| one.abs() >= CORRELATION_MIN);
        let told = f64::from(self.n_distinct);
        if self.inherited
            || !is_clustered
            || self.null_frac > NULLS_MAX
            || table.tuples <= 0.0
            || table.file_pages == 0
        {
            return None;
        }
        let (rows, pages) = (table.tuples, table.file_pages as f64);
        let distinct = if told < 0.0 { -told * rows } else { told };
        let believed = Sampled { rows, pages, sample_rows }.distinct_after(distinct, factor)?;
        let share = believed / (rows * factor);
        Some(if share > SHARE_MIN { -share } else { believed.round() } as f32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> QualifiedName {
        QualifiedName::new(Ident::new("app").unwrap(), Ident::new("t").unwrap())
    }

    fn column(n_distinct: f32) -> ColumnStatistics {
        ColumnStatistics {
            relation: table(),
            column: Ident::new("c").unwrap(),
            inherited: false,
            null_frac: 0.0,
            avg_width: 4,
            n_distinct,
            correlation: None,
            most_common_freqs: Vec::new(),
            values: None,
            is_substituted: false,
        }
    }

    #[test]
    fn what_is_unique_grows_and_enumerations_stay() {
        let relation = RelationSize {
            file_pages: 10,
            pages: 10,
            tuples: 1_000.0,
            all_visible_pages: 4,
            tree_height: Some(1),
            ..RelationSize::new(table(), 'r')
        };
        let never_analyzed = RelationSize { pages: 0, tuples: -1.0, ..relation.clone() };
        let snapshot = Snapshot {
            server: ServerFacts { version_num: 150_018, ..ServerFacts::default() },
            relations: vec![relation, never_analyzed],
            columns: vec![column(-1.0), column(7.0), column(5_000.0)],
            ..Snapshot::default()
        };
        let scaled = snapshot.scaled(10.0);
        let sizes: Vec<(u64, i64, f64)> =
            scaled.relations.iter().map(|one| (one.file_pages, one.pages, one.tuples)).collect();
        assert_eq!(sizes, [(100, 100, 10_000.0), (100, 0, -1.0)]);
        let distinct: Vec<f32> = scaled.columns.iter().map(|one| one.n_distinct).collect();
        assert_eq!(distinct, [-1.0, 7.0, 50_000.0]);
        assert_eq!((snapshot.major(), scaled.relations[0].tree_height), (15, None));
    }

    #[test]
    fn a_greater_statistics_target_finds_more_of_clustered_values() {
        let distinct = |statistics_target| {
            let relation = RelationSize {
                file_pages: 3_044,
                tuples: 400_000.0,
                statistics_target,
                ..RelationSize::new(table(), 'r')
            };
            let clustered = ColumnStatistics { correlation: Some(1.0), ..column(-0.248) };
            let (relations, columns) = (vec![relation], vec![clustered]);
            Snapshot { relations, columns, ..Snapshot::default() }.scaled(100.0).columns[0]
                .n_distinct
        };
        let (by_default, of_many) = (distinct(None), distinct(Some(1_000)));
        assert!((1.0e6..1.4e6).contains(&by_default), "{by_default}");
        // All pages but a few are read, and it is about right: a share of the rows.
        assert!((-0.25..-0.2).contains(&of_many), "{of_many}");
        assert_eq!(distinct(Some(10)), by_default);
    }
}
