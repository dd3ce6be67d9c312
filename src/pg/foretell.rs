//! How large indexes will be that migrations have made on a shadow: what the planner there expects
//! of their rows, and what a build would make of these.

use std::collections::{BTreeMap, BTreeSet};

use postgres::Row;

use super::catalog::{ident, name};
use super::failure::Failure;
use super::session::Session;
use crate::error::Result;
use crate::model::ident::QualifiedName;
use crate::model::index_size::{Content, Shape, index_pages, shares_keys, storage_parameter};
use crate::model::rename::{Lost, Named, Names, Renames};
use crate::model::snapshot::{RelationSize, Snapshot};

/// An index of a shadow.
struct Index {
    name: QualifiedName,
    kind: char,
    table: QualifiedName,
    access_method: String,
    is_unique: bool,
    /// Of a b-tree: `btm_allequalimage`, as a build would set it.
    all_equal_image: bool,
    /// Its columns as expressions, the keys first.
    columns: Vec<String>,
    keys: usize,
    predicate: Option<String>,
    options: Vec<String>,
    definition: String,
    /// The partitioned table at the top, or the table itself.
    top_table: QualifiedName,
    /// The partitioned index at the top, or the index itself.
    top: QualifiedName,
    oid: u32,
}

/// What is foretold of a database.
pub struct Foretold {
    /// The snapshot as it will be.
    pub snapshot: Snapshot,
    /// The indexes that are new on tables that are not, by name.
    pub new_indexes: BTreeMap<QualifiedName, NewIndex>,
    /// The tables that get some, each with its partitions.
    pub tables: BTreeMap<QualifiedName, TableSizes>,
    /// Names that find nothing any more.
    pub lost: Vec<Lost>,
}

/// An index that migrations make, with those of all partitions.
pub struct NewIndex {
    /// The table at the top.
    pub table: QualifiedName,
    /// How large it will be.
    pub bytes: u64,
}

/// How large a table with all its partitions is.
#[derive(Default)]
pub struct TableSizes {
    /// The table.
    pub bytes: u64,
    /// All of its indexes as they are.
    pub indexes_before: u64,
    /// All of its indexes as they will be.
    pub indexes_after: u64,
}

/// The snapshot as it will be after migrations: with today's names, without what is gone, and with
/// the indexes that `after` has and `before` has not, in a size that is likely. `before`, of which
/// `after` was copied, must plan as the snapshot says: it is asked how many rows they will have.
pub fn foretold(
    before: &mut Session,
    after: &mut Session,
    snapshot: &Snapshot,
) -> Result<Foretold> {
    let (old, new) = (indexes(before)?, indexes(after)?);
    let (names_before, names_after) = (names(before)?, names(after)?);
    let renames = Renames::of(&names_before, &names_after);
    let moved = renames.renamed(snapshot);
    let known: BTreeMap<&QualifiedName, &String> =
        old.iter().map(|index| (&index.name, &index.definition)).collect();
    let is_new = |one: &&Index| {
        !names_before.contains_key(&one.oid) && known.get(&one.name) != Some(&&one.definition)
    };
    let sizes_before: BTreeMap<&QualifiedName, &RelationSize> =
        snapshot.relations.iter().map(|one| (&one.name, one)).collect();
    let tables: BTreeMap<&QualifiedName, &RelationSize> =
        moved.relations.iter().map(|one| (&one.name, one)).collect();
    let mut relations: BTreeMap<QualifiedName, RelationSize> =
        moved.relations.iter().map(|one| (one.name.clone(), one.clone())).collect();
    let page = u64::from(snapshot.server.block_size);
    let mut new_indexes: BTreeMap<QualifiedName, NewIndex> = BTreeMap::new();
    for index in new.iter().filter(is_new) {
        let Some(table) = tables.get(&index.table) else { continue };
        let size = likely_size(before, index, table)?;
        let first = || NewIndex { table: index.top_table.clone(), bytes: 0 };
        let of_top = new_indexes.entry(index.top.clone()).or_insert_with(first);
        of_top.bytes += size.file_pages.saturating_mul(page);
        relations.insert(index.name.clone(), size);
    }
    let bytes_before =
        |name: &QualifiedName| sizes_before.get(name).map_or(0, |one| one.file_pages * page);
    let bytes = |name: &QualifiedName| relations.get(name).map_or(0, |one| one.file_pages * page);
    let growing = new_indexes.values().map(|index| &index.table);
    let sizes = growing.map(|table| {
        let of_table = |all: &[Index]| -> Vec<(QualifiedName, QualifiedName)> {
            let own = all.iter().filter(|one| renames.name(&one.top_table) == table);
            own.map(|one| (one.name.clone(), one.table.clone())).collect()
        };
        let after = of_table(&new);
        let parts: BTreeSet<&QualifiedName> = after.iter().map(|(_, part)| part).collect();
        let sizes = TableSizes {
            bytes: parts.into_iter().map(bytes).sum(),
            indexes_before: of_table(&old).iter().map(|(index, _)| bytes_before(index)).sum(),
            indexes_after: after.iter().map(|(index, _)| bytes(index)).sum(),
        };
        (table.clone(), sizes)
    });
    let tables = sizes.collect();
    let snapshot = Snapshot { relations: relations.into_values().collect(), ..moved };
    Ok(Foretold { snapshot, new_indexes, tables, lost: renames.lost() })
}

fn names(session: &mut Session) -> Result<Names> {
    let rows = session.each(include_str!("sql/names.sql"), &[], |row| {
        let columns: Vec<Option<String>> = row.get(4);
        let columns = columns.into_iter().map(|column| column.map(ident).transpose());
        let kind = row.get::<_, &str>(3).chars().next().unwrap_or('r');
        let named = Named { name: name(row, 1)?, kind, columns: columns.collect::<Result<_>>()? };
        Ok((row.get::<_, u32>(0), named))
    });
    let rows = rows.map_err(|failure| failure.explain("cannot read the shadow's names"))?;
    rows.into_iter().collect()
}

fn indexes(session: &mut Session) -> Result<Vec<Index>> {
    let rows = session.each(include_str!("sql/imitate_indexes.sql"), &[], index);
    let rows = rows.map_err(|failure| failure.explain("cannot read the shadow's indexes"))?;
    rows.into_iter().collect()
}

fn index(row: &Row) -> Result<Index> {
    Ok(Index {
        name: name(row, 0)?,
        kind: row.get::<_, &str>(2).chars().next().unwrap_or('i'),
        table: name(row, 3)?,
        access_method: row.get(5),
        is_unique: row.get(6),
        all_equal_image: row.get(7),
        columns: row.get(8),
        keys: usize::try_from(row.get::<_, i32>(9)).unwrap_or_default(),
        predicate: row.get(10),
        options: row.get(11),
        definition: row.get(12),
        top_table: name(row, 13)?,
        top: name(row, 15)?,
        oid: row.get(17),
    })
}

/// The size of an index on a table whose size is known.
fn likely_size(before: &mut Session, index: &Index, table: &RelationSize) -> Result<RelationSize> {
    let content = content(before, index, table)?;
    let option = |name: &str| storage_parameter(&index.options, name)?.parse().ok();
    let shape = Shape {
        access_method: &index.access_method,
        shares_keys: shares_keys(index.all_equal_image, index.is_unique, &index.options),
        fillfactor: option("fillfactor"),
        pages_per_range: option("pages_per_range"),
    };
    let file_pages = if index.kind == 'i' { index_pages(&shape, &content) } else { 0 };
    Ok(RelationSize {
        file_pages,
        pages: i64::try_from(file_pages).unwrap_or(i64::MAX),
        tuples: content.rows,
        access_method: index.access_method.clone(),
        table: Some(index.table.clone()),
        definition: Some(index.definition.clone()),
        options: index.options.clone(),
        ..RelationSize::new(index.name.clone(), index.kind)
    })
}

/// What the planner expects of the index's rows. A column that only the migrations make is none it
/// knows; then all rows count, as wide as a number each.
fn content(before: &mut Session, index: &Index, table: &RelationSize) -> Result<Content> {
    let filter = index.predicate.as_ref().map_or_else(String::new, |p| format!(" WHERE {p}"));
    let from = format!("FROM ONLY {}{filter}", index.table);
    let all = index.columns.join(", ");
    let keys = index.columns[..index.keys.min(index.columns.len())].join(", ");
    let unknown = Content {
        rows: table.tuples.max(0.0),
        width: 8.0 * index.columns.len() as f64,
        distinct: table.tuples.max(1.0),
        table_pages: table.file_pages,
    };
    let Some((rows, width)) = expected(before, &format!("SELECT {all} {from}"))? else {
        return Ok(unknown);
    };
    // Types without an order have no groups.
    let grouped = expected(before, &format!("SELECT {keys} {from} GROUP BY {keys}"))?;
    let distinct = grouped.map_or(rows, |(groups, _)| groups);
    Ok(Content { rows, width, distinct, ..unknown })
}

/// Rows and bytes of a row that the planner expects; `None` where there is no plan.
fn expected(session: &mut Session, sql: &str) -> Result<Option<(f64, f64)>> {
    let explain = |failure: Failure| failure.explain("cannot plan on the shadow");
    let text = match session.texts(&format!("EXPLAIN (FORMAT JSON) {sql}")) {
        Ok(lines) => lines.join("\n"),
        Err(failure) if failure.code.is_empty() => return Err(explain(failure)),
        Err(_) => return Ok(None),
    };
    let plan: Option<serde_json::Value> = serde_json::from_str(&text).ok();
    let figure = |key: &str| plan.as_ref()?.pointer(&format!("/0/Plan/{key}"))?.as_f64();
    Ok(figure("Plan Rows").zip(figure("Plan Width")))
}
