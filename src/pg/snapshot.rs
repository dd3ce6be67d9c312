//! Reads what the planner knows of a database, as an ordinary role, one query for each kind of
//! thing, and leaves nothing behind.

use std::collections::BTreeMap;

use chrono::{SecondsFormat, Utc};
use postgres::Row;
use postgres::types::Type;

use super::catalog::{ident, name, optional_name};
use super::failure::Failure;
use super::session::Session;
use crate::error::{Error, Kind, Result};
use crate::model::disclosure::Column;
use crate::model::finding::{Finding, Severity};
use crate::model::ident::{Ident, QualifiedName};
use crate::model::migration::History;
use crate::model::snapshot::{
    ColumnSample, ColumnStatistics, Counters, PrivilegedRole, RelationSize, SCHEMA_VERSION,
    ServerFacts, Snapshot,
};

pub use ends::add_ends;
pub use ties::ties;

mod ends;
mod extended;
mod pages;
mod ties;

/// Longest wait for somebody's ACCESS EXCLUSIVE lock while sizes are read.
const LOCK_TIMEOUT: &str = "10s";

/// Values and expressions are written as any server reads them, whatever its settings.
const PLAIN_TEXTS: &str = "SET LOCAL search_path = ''; SET LOCAL DateStyle = 'ISO'; SET LOCAL \
    IntervalStyle = 'postgres'; SET LOCAL TimeZone = 'UTC'; SET LOCAL bytea_output = 'hex'; \
    SET LOCAL extra_float_digits = 1";

/// Reads all but the statements that make the schema. One read-only transaction; no lock beyond
/// ACCESS SHARE.
///
/// Columns for which `needs_values` is false have none: those of ten thousand tables are many. What
/// the role may not read is told in [`Snapshot::unread`].
pub fn snapshot(
    session: &mut Session,
    history: History,
    query_roles: &[&str],
    needs_values: impl Fn(&ColumnStatistics) -> bool,
) -> Result<Snapshot> {
    let explain = |failure: Failure| failure.explain("cannot read what the planner knows");
    let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
    session
        .run(&format!("{begin}; SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'; {PLAIN_TEXTS}"))
        .map_err(explain)?;
    let read = read(session, history, query_roles, needs_values);
    session.roll_back();
    read.map_err(explain)?
}

fn read(
    session: &mut Session,
    history: History,
    query_roles: &[&str],
    needs_values: impl Fn(&ColumnStatistics) -> bool,
) -> std::result::Result<Result<Snapshot>, Failure> {
    let rows = session.query(include_str!("sql/snapshot_server.sql"), &[])?;
    let (counters_since, (server, settings)) = match rows.first() {
        Some(row) => (row.get(7), server(row)),
        None => return Ok(Err(Error::new(Kind::Database, "the server said nothing"))),
    };

    let roles = session.each(
        include_str!("sql/snapshot_roles.sql"),
        &[(&query_roles, Type::TEXT_ARRAY)],
        |row| {
            let (superuser, bypass_rls) = (row.get(1), row.get(2));
            Ok(PrivilegedRole { name: ident(row.get(0))?, superuser, bypass_rls })
        },
    )?;
    let roles = match roles.into_iter().collect::<Result<Vec<PrivilegedRole>>>() {
        Ok(roles) => roles,
        Err(error) => return Ok(Err(error)),
    };
    let relations = session.each(include_str!("sql/snapshot_relations.sql"), &[], relation)?;
    let mut relations = match relations.into_iter().collect::<Result<Vec<RelationSize>>>() {
        Ok(relations) => relations,
        Err(error) => return Ok(Err(error)),
    };
    pages::add(session, &mut relations)?;
    let columns = session.each(include_str!("sql/snapshot_columns.sql"), &[], |row| {
        let one = column(row)?;
        Ok(if needs_values(&one) { one } else { ColumnStatistics { values: None, ..one } })
    })?;
    let extended = extended::extended(session)?;
    let unread = session.each(include_str!("sql/snapshot_unread.sql"), &[], unread)?;
    let together = || {
        Ok(Snapshot {
            schema_version: SCHEMA_VERSION,
            taken_at: Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true),
            server,
            settings,
            ddl: None,
            history,
            roles,
            relations,
            counters_since,
            columns: columns.into_iter().collect::<Result<_>>()?,
            extended: extended?,
            statements: Vec::new(),
            substitutes: Vec::new(),
            fidelity: None,
            unread: unread.into_iter().collect::<Result<_>>()?,
        })
    };
    Ok(together())
}

/// The tables that the role may not lock, not even in ACCESS SHARE.
pub fn closed(session: &mut Session) -> Result<Vec<QualifiedName>> {
    let rows = session.query(include_str!("sql/snapshot_closed.sql"), &[]);
    let rows = rows.map_err(|failure| failure.explain("cannot read the rights on tables"))?;
    rows.iter().map(|row| name(row, 0)).collect()
}

/// The columns of tables of which both names are among these.
pub fn columns_named<'a>(
    session: &mut Session,
    names: impl Iterator<Item = &'a Ident>,
) -> Result<Vec<Column>> {
    let names: Vec<&str> = names.map(Ident::as_str).collect();
    let sql = include_str!("sql/snapshot_named.sql");
    let rows = session.query(sql, &[(&names, Type::TEXT_ARRAY)]);
    let rows = rows.map_err(|failure| failure.explain("cannot read the names of columns"))?;
    rows.iter().map(|row| Ok((name(row, 0)?, ident(row.get(2))?))).collect()
}

fn server(row: &Row) -> (ServerFacts, BTreeMap<String, String>) {
    let unsigned = |at| u32::try_from(row.get::<_, i32>(at)).unwrap_or_default();
    let facts = ServerFacts {
        version_num: unsigned(0),
        database: row.get(1),
        encoding: row.get(2),
        collate: row.get(3),
        ctype: row.get(4),
        block_size: unsigned(5),
    };
    let settings: Vec<String> = row.get(6);
    let settings = settings.iter().filter_map(|setting| setting.split_once('='));
    (facts, settings.map(|(name, value)| (name.to_string(), value.to_string())).collect())
}

fn relation(row: &Row) -> Result<RelationSize> {
    let kind: &str = row.get(2);
    let count = |at| row.get::<_, Option<i64>>(at).and_then(|count| u64::try_from(count).ok());
    Ok(RelationSize {
        name: name(row, 0)?,
        kind: kind.chars().next().unwrap_or('r'),
        file_pages: u64::try_from(row.get::<_, i64>(3)).unwrap_or_default(),
        pages: row.get(4),
        tuples: row.get(5),
        all_visible_pages: row.get(6),
        access_method: row.get(7),
        tree_height: None,
        gin: None,
        options: row.get(8),
        table: optional_name(row, 9)?,
        definition: row.get(11),
        toast_pages: count(19).unwrap_or_default(),
        statistics_target: count(18).and_then(|target| u32::try_from(target).ok()),
        counters: Counters {
            n_tup_ins: count(12),
            n_tup_upd: count(13),
            n_tup_hot_upd: count(14),
            n_tup_del: count(15),
            seq_scan: count(16),
            idx_scan: count(17),
        },
    })
}

fn column(row: &Row) -> Result<ColumnStatistics> {
    let values = |at| row.get::<_, Option<Vec<String>>>(at).unwrap_or_default();
    Ok(ColumnStatistics {
        relation: name(row, 0)?,
        column: ident(row.get(2))?,
        inherited: row.get(3),
        null_frac: row.get(4),
        avg_width: row.get(5),
        n_distinct: row.get(6),
        correlation: row.get(7),
        most_common_freqs: row.get(8),
        values: Some(ColumnSample {
            most_common_vals: values(9),
            histogram_bounds: values(10),
            most_common_elems: values(11),
            most_common_elem_freqs: row.get(12),
            elem_count_histogram: row.get(13),
            range_length_histogram: row.get(14),
            range_empty_frac: row.get(15),
            range_bounds_histogram: values(16),
        }),
        is_substituted: false,
    })
}

fn unread(row: &Row) -> Result<Finding> {
    let (has_policies, kind): (bool, &str) = (row.get(2), row.get(3));
    let (message, help) = match (has_policies, kind) {
        (false, "e") => (
            "extended statistics are shown to the table's owner only",
            "take the snapshot as the owner, or as a member of it",
        ),
        (_, "i") => ("the statistics of its expression are shown to its owner only", ""),
        (true, _) => (
            "row-level security hides its statistics",
            "take the snapshot as a role with BYPASSRLS",
        ),
        (false, _) => (
            "the role may not read its statistics",
            "GRANT SELECT on it, or pg_read_all_data, to the role",
        ),
    };
    let subject = name(row, 0)?.to_string();
    Ok(Finding::new("statistics-unread", Severity::Warning, subject, message).help(help))
}
