//! Reads what rotation needs beyond the catalog: the ledger, the server's clock, what new
//! partitions have to have, and whether a DEFAULT partition holds rows.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use postgres::types::Type;

use super::failure::{Failure, Verdict};
use super::session::Session;
use crate::error::{Error, Kind, Result};
use crate::model::ident::{Ident, QualifiedName, literal, parse_name};
use crate::model::ledger::{Ledger, Retired, RetiredProgress};
use crate::model::traits::Traits;
use crate::runbook::ledger::LEDGER_TABLE;
use crate::sql::self_name;

/// Longest wait for a lock while looking.
pub const LOOK_LOCK_TIMEOUT: &str = "10s";
/// The same for sizes, which can wait until another day.
const SIZE_LOCK_TIMEOUT: &str = "1s";
/// Partitions up to this size are analyzed in some milliseconds; larger ones are autovacuum's.
const ANALYZED_BYTES_MAX: i64 = 8 << 20;

/// The server's clock, and its ledger of partitions that are to leave or have left.
pub fn ledger(session: &mut Session) -> Result<(DateTime<Utc>, Ledger)> {
    let explain = |failure: Failure| failure.explain(&format!("cannot read {LEDGER_TABLE}"));
    let sql = "select (extract(epoch from now()) * 1000000)::int8, to_regclass($1) is not null, \
               exists (select from pg_attribute where attrelid = to_regclass($1) and \
               attname = 'parent_relid')";
    let rows = session.query(sql, &[(&LEDGER_TABLE, Type::TEXT)]).map_err(explain)?;
    let row = rows.first().ok_or_else(|| Error::new(Kind::Database, "the server said nothing"))?;
    let (now, prepared) = (instant(row.get(0))?, row.get(2));
    if !row.get::<_, bool>(1) {
        return Ok((now, Ledger::default()));
    }
    let rows = session.query(include_str!("sql/ledger.sql"), &[]).map_err(explain)?;
    let mut known = Vec::new();
    for row in &rows {
        known.extend(retired(row)?);
    }
    Ok((now, Ledger { prepared, retired: known }))
}

/// `None` where it is not surely the table that left, or not sure which table it left: it is never
/// dropped. What came back is left alone, whatever it is called.
fn retired(row: &postgres::Row) -> Result<Option<Retired>> {
    let table = name(row)?;
    let noted = qualified(row.get(7))?;
    let parent = row.get::<_, Option<&str>>(2).map(qualified).transpose()?;
    let detached_at: Option<i64> = row.get(4);
    let progress = match detached_at {
        None if row.get(6) => RetiredProgress::Restored,
        None => RetiredProgress::Retiring,
        Some(micros) => RetiredProgress::DetachedAt(instant(micros)?),
    };
    let parent = match (progress, parent) {
        (RetiredProgress::Restored, parent) => parent.unwrap_or_else(|| table.clone()),
        (_, Some(parent)) if noted == table => parent,
        (_, Some(_) | None) => return Ok(None),
    };
    let (bound, archived, expires) = (row.get(3), row.get(5), row.get(8));
    Ok(Some(Retired { table, parent, bound, progress, archived, expires }))
}

/// The name in the first two columns.
fn name(row: &postgres::Row) -> Result<QualifiedName> {
    let ident = |name: String| Ident::new(name).map_err(|e| Error::new(Kind::Database, e));
    Ok(QualifiedName::new(ident(row.get(0))?, ident(row.get(1))?))
}

fn instant(micros: i64) -> Result<DateTime<Utc>> {
    DateTime::from_timestamp_micros(micros)
        .ok_or_else(|| Error::new(Kind::Database, "the server's clock shows no usual time"))
}

/// A name that pgtune or `regclass` wrote with its schema.
fn qualified(text: &str) -> Result<QualifiedName> {
    match parse_name(text).as_deref() {
        Some([schema, name]) => Ok(QualifiedName::new(schema.clone(), name.clone())),
        Some(_) | None => Err(Error::new(Kind::Database, format!("\"{text}\" is not schema.name"))),
    }
}

/// What new partitions have to have: of each parent, and of the partition to take after.
pub fn traits(
    session: &mut Session,
    wanted: &[(QualifiedName, QualifiedName)],
) -> Result<BTreeMap<QualifiedName, Traits>> {
    if wanted.is_empty() {
        return Ok(BTreeMap::new());
    }
    let explain = |failure: Failure| failure.explain("cannot read what partitions have to have");
    let parents: Vec<String> = wanted.iter().map(|(parent, _)| parent.to_string()).collect();
    let templates: Vec<String> = wanted.iter().map(|(_, like)| like.to_string()).collect();
    let rows = session
        .query(
            include_str!("sql/traits.sql"),
            &[(&parents, Type::TEXT_ARRAY), (&templates, Type::TEXT_ARRAY)],
        )
        .map_err(explain)?;
    rows.iter()
        .map(|row| {
            let mut traits: Traits = serde_json::from_str(row.get(1)).map_err(|error| {
                Error::new(Kind::Bug, "cannot read what partitions have to have").caused_by(error)
            })?;
            let parent = qualified(row.get(0))?;
            for policy in &mut traits.policies {
                for expression in policy.using.iter_mut().chain(&mut policy.check) {
                    *expression = self_name::split(&expression.concat(), &parent.name);
                }
            }
            Ok((parent, traits))
        })
        .collect()
}

/// Whether a table, or a partition of it, holds a row for which `condition` does not hold. Stops at
/// the first.
pub fn holds_others(session: &mut Session, table: &QualifiedName, condition: &str) -> Result<bool> {
    look_into(session, table, condition)
        .map_err(|failure| failure.explain(&format!("cannot look into {table}")))
}

fn look_into(
    session: &mut Session,
    table: &QualifiedName,
    condition: &str,
) -> std::result::Result<bool, Failure> {
    // Somebody may hold ACCESS EXCLUSIVE on it. Rows that a policy hides are rows.
    session.run(&format!(
        "BEGIN READ ONLY; SET LOCAL lock_timeout = '{LOOK_LOCK_TIMEOUT}'; \
         SET LOCAL row_security = off"
    ))?;
    let sql = format!("select exists (select from {table} where not ({condition}))");
    let rows = session.query(&sql, &[]);
    session.roll_back();
    Ok(rows?.first().is_some_and(|row| row.get(0)))
}

/// Whether a table, or a partition of it, holds a row. What keeps this one table from being looked
/// into is the inner error, and says what helps; the outer one is a broken connection.
pub fn holds_rows(
    session: &mut Session,
    table: &QualifiedName,
) -> Result<std::result::Result<bool, Error>> {
    let failure = match look_into(session, table, "false") {
        Ok(holds) => return Ok(Ok(holds)),
        Err(failure) => failure,
    };
    let error = failure.explain(&format!("cannot look into {table}"));
    let help = match failure.verdict() {
        Verdict::Gone => return Err(error),
        Verdict::Retry => "somebody holds a lock on it: check again when that is over",
        Verdict::Cancelled | Verdict::Fatal if failure.lacks_a_right() => {
            "grant the role SELECT on it, or set database.role to one that has it"
        }
        Verdict::Cancelled | Verdict::Fatal => "look yourself whether it holds rows",
    };
    Ok(Err(Error::new(error.kind, error.message).hint(help)))
}

/// Those of `tables` that were never analyzed, hold little, and may be analyzed by this role. Where
/// somebody is in the way none are: another run makes up for it.
pub fn to_analyze(session: &mut Session, tables: &[QualifiedName]) -> Result<Vec<QualifiedName>> {
    if tables.is_empty() {
        return Ok(Vec::new());
    }
    let explain = |failure: Failure| failure.explain("cannot look at new partitions");
    let begin = format!("BEGIN READ ONLY; SET LOCAL lock_timeout = '{SIZE_LOCK_TIMEOUT}'");
    session.run(&begin).map_err(explain)?;
    let names: Vec<String> = tables.iter().map(ToString::to_string).collect();
    let rows = session.query(
        include_str!("sql/to_analyze.sql"),
        &[(&names, Type::TEXT_ARRAY), (&ANALYZED_BYTES_MAX, Type::INT8)],
    );
    session.roll_back();
    let rows = match rows {
        Err(failure) if failure.verdict() == Verdict::Retry => return Ok(Vec::new()),
        rows => rows.map_err(explain)?,
    };
    rows.iter().map(name).collect()
}

/// The size of a table's rows, of all its partitions where it has some.
pub fn size_bytes(session: &mut Session, table: &QualifiedName) -> Result<u64> {
    let sql = "select coalesce(sum(pg_relation_size(relid)), 0)::int8 \
               from pg_partition_tree($1::regclass)";
    let rows = session.query(&sql.replace("$1", &literal(&table.to_string())), &[]);
    let rows = rows.map_err(|failure| failure.explain(&format!("cannot measure {table}")))?;
    Ok(rows.first().map_or(0, |row| row.get::<_, i64>(0) as u64))
}

/// Whether there is a table of that name.
pub fn exists(session: &mut Session, table: &QualifiedName) -> Result<bool> {
    let rows =
        session.query("select to_regclass($1) is not null", &[(&table.to_string(), Type::TEXT)]);
    let rows = rows.map_err(|failure| failure.explain(&format!("cannot look for {table}")))?;
    Ok(rows.first().is_some_and(|row| row.get(0)))
}

/// The name and the manifest of a table's archive, as the ledger has them.
pub fn manifest_of(session: &mut Session, table: &QualifiedName) -> Result<(String, String)> {
    let explain = |failure: Failure| failure.explain(&format!("cannot read {LEDGER_TABLE}"));
    let sql = format!(
        "select archive, manifest from {LEDGER_TABLE} where relid = to_regclass($1) and dropped_at \
         is null and manifest is not null"
    );
    let rows = session.query(&sql, &[(&table.to_string(), Type::TEXT)]).map_err(explain)?;
    match rows.first() {
        Some(row) => Ok((row.get(0), row.get(1))),
        None => Err(Error::new(Kind::Answer, format!("{table} is not archived"))),
    }
}

/// What the server counts about one partition.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stats {
    /// Live rows, about.
    pub rows: u64,
    /// All of it, indexes and TOAST included.
    pub size_bytes: u64,
    /// When it was last vacuumed, by hand or automatically.
    pub vacuumed_at: Option<DateTime<Utc>>,
}

/// Reads the statistics of all partitions below `tables`, which hold no rows themselves.
pub fn stats(
    session: &mut Session,
    tables: &[QualifiedName],
) -> Result<BTreeMap<QualifiedName, Stats>> {
    let explain = |failure: Failure| failure.explain("cannot read the partitions' statistics");
    let roots: Vec<String> = tables.iter().map(ToString::to_string).collect();
    let sql = include_str!("sql/partition_stats.sql");
    let rows = session.query(sql, &[(&roots, Type::TEXT_ARRAY)]).map_err(explain)?;
    rows.iter()
        .map(|row| {
            let name = name(row)?;
            let stats = Stats {
                rows: row.get::<_, i64>(2) as u64,
                size_bytes: row.get::<_, i64>(3) as u64,
                vacuumed_at: row.get::<_, Option<i64>>(4).map(instant).transpose()?,
            };
            Ok((name, stats))
        })
        .collect()
}

/// How many indexes each partition below `tables` has.
pub fn index_counts(
    session: &mut Session,
    tables: &[QualifiedName],
) -> Result<BTreeMap<QualifiedName, u64>> {
    let explain = |failure: Failure| failure.explain("cannot count the partitions' indexes");
    let roots: Vec<String> = tables.iter().map(ToString::to_string).collect();
    let sql = include_str!("sql/index_counts.sql");
    let rows = session.query(sql, &[(&roots, Type::TEXT_ARRAY)]).map_err(explain)?;
    rows.iter().map(|row| Ok((name(row)?, row.get::<_, i64>(2) as u64))).collect()
}

/// How many locks the server has room for: each transaction's share.
pub fn locks_per_transaction(session: &mut Session) -> Result<u64> {
    let sql = "select current_setting('max_locks_per_transaction')::int8";
    let rows = session.query(sql, &[]);
    let rows = rows.map_err(|failure| failure.explain("cannot read a setting"))?;
    Ok(rows.first().map_or(0, |row| row.get::<_, i64>(0) as u64))
}
