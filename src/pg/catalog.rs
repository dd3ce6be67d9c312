//! Reads the catalog: one query per kind of object, whatever their number.

use std::collections::BTreeMap;

use postgres::Row;
use postgres::types::Type;

use super::failure::Failure;
use super::runner_lock::RUNNER;
use super::session::Session;
use crate::error::{Error, Kind, Result};
use crate::model::catalog::{
    Catalog, Check, Index, IndexDefinition, KeyConstraint, Partition, Relation, RelationKind,
};
use crate::model::ident::{Ident, QualifiedName, parse_name};
use crate::model::ledger::Ledger;
use crate::model::migration::History;

/// Longest wait for a lock while reading: somebody may hold ACCESS EXCLUSIVE on a partitioned
/// table, which `pg_get_partkeydef` opens.
const LOCK_TIMEOUT: &str = "10s";

/// Reads relations and indexes, with sizes as the last VACUUM or ANALYZE saw them.
///
/// `version_num` and `history` come from [`super::server::look`]. Runs in one read-only
/// transaction and takes no lock stronger than ACCESS SHARE.
pub fn snapshot(session: &mut Session, version_num: u32, history: History) -> Result<Catalog> {
    snapshot_of(session, version_num, history, Extent::All)
}

/// The same without indexes and, but for partitioned tables, `not_null`: partitions as such have
/// nothing to do with them.
pub fn relations_only(session: &mut Session, version_num: u32) -> Result<Catalog> {
    snapshot_of(session, version_num, History::default(), Extent::Relations)
}

/// How much to read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    All,
    Relations,
}

fn snapshot_of(
    session: &mut Session,
    version_num: u32,
    history: History,
    extent: Extent,
) -> Result<Catalog> {
    let explain = |failure: Failure| failure.explain("cannot read the catalog");
    session
        .run(&format!(
            "BEGIN READ ONLY; SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'; \
             SET LOCAL statement_timeout = 0"
        ))
        .map_err(explain)?;
    let read = read(session, extent);
    if read.is_ok() {
        session.run("COMMIT").map_err(explain)?
    } else {
        session.roll_back()
    }
    let (search_path, relations, indexes) = read.map_err(explain)??;
    let ledger = Ledger::default();
    Ok(Catalog {
        server_version_num: version_num,
        search_path,
        relations,
        indexes,
        history,
        ledger,
    })
}

type Parts = (Vec<Ident>, BTreeMap<QualifiedName, Relation>, BTreeMap<QualifiedName, Index>);

/// Each row becomes a value as it comes: ten thousand partitions need no room twice.
fn read(session: &mut Session, extent: Extent) -> std::result::Result<Result<Parts>, Failure> {
    let search_path = session.query(include_str!("sql/search_path.sql"), &[])?;
    let search_path = search_path.first().map_or_else(Vec::new, |row| row.get(0));
    // With an empty search_path every name in a definition is qualified. Bounds are printed in the
    // session's time zone and style, and read in these.
    session.run(
        "SET LOCAL search_path = ''; SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO'",
    )?;
    let indexes: Result<BTreeMap<_, _>> = match extent {
        Extent::All => {
            let sql = include_str!("sql/indexes.sql");
            session.each(sql, &[(&RUNNER, Type::TEXT)], index)?.into_iter().collect()
        }
        Extent::Relations => Ok(BTreeMap::new()),
    };
    let with_columns = extent == Extent::All;
    let sql = include_str!("sql/relations.sql");
    let relations = session.each(sql, &[(&with_columns, Type::BOOL)], relation)?;
    let relations: Result<BTreeMap<_, _>> = relations.into_iter().collect();
    let all = || Ok((idents(search_path)?, relations?, indexes?));
    Ok(all())
}

/// A name that the server told; errors where it could have none such.
pub fn ident(name: String) -> Result<Ident> {
    Ident::new(name).map_err(|message| Error::new(Kind::Database, message))
}

fn idents(names: Vec<String>) -> Result<Vec<Ident>> {
    names.into_iter().map(ident).collect()
}

/// The name in columns `at` and `at + 1`.
pub fn name(row: &Row, at: usize) -> Result<QualifiedName> {
    Ok(QualifiedName::new(ident(row.get(at))?, ident(row.get(at + 1))?))
}

fn pairs(names: Vec<String>, types: Vec<String>) -> Vec<(String, String)> {
    names.into_iter().zip(types).collect()
}

/// Names as the server writes them under an empty search path.
fn qualified(names: Vec<String>) -> Result<Vec<QualifiedName>> {
    let read = |text: String| match parse_name(&text).as_deref() {
        Some([schema, name]) => Ok(QualifiedName::new(schema.clone(), name.clone())),
        Some(_) | None => Err(Error::new(Kind::Bug, format!("\"{text}\" is not schema.name"))),
    };
    names.into_iter().map(read).collect()
}

/// The same where an outer join may have found nothing.
pub fn optional_name(row: &Row, at: usize) -> Result<Option<QualifiedName>> {
    match row.get::<_, Option<String>>(at) {
        Some(_) => name(row, at).map(Some),
        None => Ok(None),
    }
}

fn relation(row: &Row) -> Result<(QualifiedName, Relation)> {
    let kind = match row.get::<_, &str>(2) {
        "p" => RelationKind::PartitionedTable,
        "m" => RelationKind::MaterializedView,
        "f" => RelationKind::ForeignTable,
        _ => RelationKind::Table,
    };
    let partition_of = optional_name(row, 3)?.map(|parent| Partition {
        parent,
        bound: row.get::<_, Option<String>>(5).unwrap_or_default(),
        detach_pending: row.get(6),
    });
    let names: Vec<String> = row.get(9);
    let valid: Vec<bool> = row.get(10);
    let checks = idents(names)?.into_iter().zip(valid);
    let tuples: f64 = row.get(12);
    let relation = Relation {
        kind,
        partition_of,
        partition_key: row.get(7),
        not_null: idents(row.get(8))?,
        checks: checks.map(|(name, valid)| Check { name, valid }).collect(),
        size_bytes: row.get::<_, i64>(11) as u64,
        estimated_rows: (tuples >= 0.0).then_some(tuples as u64),
        key_columns: pairs(row.get(13), row.get(14)),
        references: qualified(row.get(15))?,
        referenced_by: qualified(row.get(16))?,
    };
    Ok((name(row, 0)?, relation))
}

fn index(row: &Row) -> Result<(QualifiedName, Index)> {
    let constraint = match row.get::<_, Option<&str>>(10) {
        Some("p") => Some(KeyConstraint::PrimaryKey),
        Some("u") => Some(KeyConstraint::Unique),
        Some(_) => Some(KeyConstraint::Exclusion),
        None => None,
    };
    let index = Index {
        table: name(row, 2)?,
        definition: IndexDefinition {
            unique: row.get(4),
            using: row.get(6),
            columns: idents(row.get(7))?,
        },
        valid: row.get(5),
        builder_pid: row.get(12),
        parent: optional_name(row, 8)?,
        constraint,
        size_bytes: row.get::<_, i64>(11) as u64,
    };
    Ok((name(row, 0)?, index))
}
