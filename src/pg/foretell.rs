//! How large indexes will be that migrations have made on a shadow: what the planner there expects
//! of their rows, and what a build would make of these.

use std::collections::BTreeMap;

use postgres::Row;

use super::catalog::name;
use super::failure::Failure;
use super::session::Session;
use crate::error::Result;
use crate::model::ident::QualifiedName;
use crate::model::index_size::{Content, Shape, index_pages};
use crate::model::snapshot::{RelationSize, Snapshot};

/// An index of a shadow.
struct Index {
    name: QualifiedName,
    kind: char,
    table: QualifiedName,
    access_method: String,
    is_unique: bool,
    has_included: bool,
    /// Its columns as expressions, the keys first.
    columns: Vec<String>,
    keys: usize,
    predicate: Option<String>,
    options: Vec<String>,
    definition: String,
}

/// The snapshot as it will be after migrations: without indexes that are gone, and with those that
/// `after` has and `before` has not, in a size that is likely. `before` must plan as the snapshot
/// says: it is asked how many rows they will have.
pub fn foretold(
    before: &mut Session,
    after: &mut Session,
    snapshot: &Snapshot,
) -> Result<Snapshot> {
    let known: BTreeMap<QualifiedName, String> =
        indexes(before)?.into_iter().map(|index| (index.name, index.definition)).collect();
    let tables: BTreeMap<&QualifiedName, &RelationSize> =
        snapshot.relations.iter().map(|one| (&one.name, one)).collect();
    let mut relations: BTreeMap<QualifiedName, RelationSize> =
        snapshot.relations.iter().map(|one| (one.name.clone(), one.clone())).collect();
    for index in indexes(after)? {
        if known.get(&index.name) == Some(&index.definition) {
            continue;
        }
        let size = match tables.get(&index.table) {
            Some(table) => likely_size(before, &index, table)?,
            None => continue,
        };
        relations.insert(index.name, size);
    }
    Ok(Snapshot { relations: relations.into_values().collect(), ..snapshot.clone() })
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
        has_included: row.get(7),
        columns: row.get(8),
        keys: usize::try_from(row.get::<_, i32>(9)).unwrap_or_default(),
        predicate: row.get(10),
        options: row.get(11),
        definition: row.get(12),
    })
}

/// The size of an index on a table whose size is known.
fn likely_size(before: &mut Session, index: &Index, table: &RelationSize) -> Result<RelationSize> {
    let content = content(before, index, table)?;
    let option = |name: &str| {
        let value = index.options.iter().find_map(|option| option.strip_prefix(name))?;
        value.strip_prefix('=')?.parse().ok()
    };
    let shape = Shape {
        access_method: &index.access_method,
        is_unique: index.is_unique,
        has_included: index.has_included,
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
