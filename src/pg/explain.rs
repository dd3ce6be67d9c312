//! Asks the server for the plans of an application's queries, as the application would run them,
//! and leaves nothing of them behind.
//!
//! A plan comes back as the text of `EXPLAIN (FORMAT JSON)`; what it says is read elsewhere.

use std::collections::BTreeSet;
use std::error::Error as StdError;

use postgres::Row;
use postgres::types::private::BytesMut;
use postgres::types::{Format, FromSql, IsNull, ToSql, Type};

use super::failure::Failure;
use super::session::Session;
use crate::error::{Error, Kind};
use crate::model::ident::{Ident, QualifiedName, literal};
use crate::model::units::Millis;
use crate::profile::Query;
use crate::query_plan::verdict::Mode;
use crate::query_plan::{Names, Size};

/// `EXPLAIN (GENERIC_PLAN)` came with PostgreSQL 16.
const GENERIC_PLAN_VERSION_NUM: u32 = 160_000;
/// How often a query is run to be measured, after a run that does not count.
const RUNS: usize = 3;

/// What the server made of a statement.
type Outcome<T> = std::result::Result<T, Failure>;

/// How to ask for plans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asking {
    /// In which way.
    pub mode: Mode,
    /// `server_version_num`.
    pub version_num: u32,
    /// `statement_timeout` of each query; 0 means none.
    pub statement_timeout: Millis,
    /// `lock_timeout`: planning takes ACCESS SHARE, and others may queue behind it.
    pub lock_timeout: Millis,
}

/// A value as text, whose type the server infers from where it stands.
#[derive(Debug)]
struct AsText<'a>(&'a str);

impl ToSql for AsText<'_> {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut BytesMut,
    ) -> std::result::Result<IsNull, Box<dyn StdError + Sync + Send>> {
        out.extend_from_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    postgres::types::to_sql_checked!();
}

/// JSON as the text that it is on the wire.
struct Json(String);

impl<'a> FromSql<'a> for Json {
    fn from_sql(
        _: &Type,
        raw: &'a [u8],
    ) -> std::result::Result<Json, Box<dyn StdError + Sync + Send>> {
        Ok(Json(std::str::from_utf8(raw)?.to_string()))
    }

    fn accepts(sql_type: &Type) -> bool {
        *sql_type == Type::JSON
    }
}

/// A plan as the server told it.
#[derive(Debug, Clone, PartialEq)]
pub struct Explained {
    /// EXPLAIN's JSON; of the middle run where there were several.
    pub json: String,
    /// The execution times of all runs that count, in milliseconds.
    pub samples_ms: Vec<f64>,
}

/// The plan of a query for one of its sets of values, counted from 0. `sql` is its one statement.
///
/// The role and the settings of the query hold until the next call, so that queries in order of
/// these cost one round trip each. Errors are those of the query, and leave the session usable.
pub fn plan(
    session: &mut Session,
    query: &Query,
    sql: &str,
    set: usize,
    asking: &Asking,
) -> Outcome<Explained> {
    session.apply_settings(&settings(query, asking))?;
    let values = query.parameters.get(set).map_or(&[][..], Vec::as_slice);
    let json = match asking.mode {
        Mode::Estimate => explain(session, "", sql, values),
        Mode::Generic if asking.version_num >= GENERIC_PLAN_VERSION_NUM => {
            let sql = format!("EXPLAIN (FORMAT JSON, VERBOSE, SETTINGS, GENERIC_PLAN) {sql}");
            Ok(session.texts(&sql)?.join("\n"))
        }
        Mode::Generic => generic(session, sql),
        Mode::Analyze => return analyze(session, sql, values),
    };
    Ok(Explained { json: json?, samples_ms: Vec::new() })
}

/// `SET` statements that hold while the query is planned. What is not run must not change anything.
fn settings(query: &Query, asking: &Asking) -> Vec<String> {
    let mut settings = vec![
        format!("SET statement_timeout = '{}'", asking.statement_timeout),
        format!("SET lock_timeout = '{}'", asking.lock_timeout),
    ];
    match asking.mode {
        Mode::Estimate => settings.push("SET default_transaction_read_only = on".to_string()),
        Mode::Generic => {
            settings.push("SET default_transaction_read_only = on".to_string());
            settings.push("SET plan_cache_mode = force_generic_plan".to_string());
        }
        Mode::Analyze => {}
    }
    settings.extend(query.settings.iter().map(|(name, value)| {
        format!("SELECT set_config({}, {}, false)", literal(name), literal(value))
    }));
    if let Ok(role) = Ident::new(query.role.as_str()) {
        settings.push(format!("SET ROLE {role}"));
    }
    settings
}

/// One round trip. The protocol takes one statement only, and the server gives the values their
/// types.
fn explain(session: &mut Session, options: &str, sql: &str, values: &[String]) -> Outcome<String> {
    let values: Vec<AsText<'_>> = values.iter().map(|value| AsText(value)).collect();
    let parameters: Vec<(&(dyn ToSql + Sync), Type)> =
        values.iter().map(|value| (value as &(dyn ToSql + Sync), Type::UNKNOWN)).collect();
    let sql = format!("EXPLAIN (FORMAT JSON, VERBOSE, SETTINGS{options}) {sql}");
    let rows = session.query(&sql, &parameters)?;
    Ok(rows.first().map_or_else(String::new, |row| row.get::<_, Json>(0).0))
}

/// Runs the query in a transaction that is rolled back, a few times; the plan of the middle one.
fn analyze(session: &mut Session, sql: &str, values: &[String]) -> Outcome<Explained> {
    let mut plans = Vec::new();
    for _ in 0..=RUNS {
        session.run("BEGIN")?;
        let plan = explain(session, ", ANALYZE, BUFFERS", sql, values);
        session.roll_back();
        plans.push(plan?);
    }
    plans.remove(0);
    plans.sort_by(|a, b| execution_ms(a).total_cmp(&execution_ms(b)));
    let samples_ms = plans.iter().map(|plan| execution_ms(plan)).collect();
    Ok(Explained { json: plans.swap_remove(plans.len() / 2), samples_ms })
}

/// What the plan says of its own time.
fn execution_ms(plan: &str) -> f64 {
    let value: Option<serde_json::Value> = serde_json::from_str(plan).ok();
    value.and_then(|value| value.pointer("/0/Execution Time")?.as_f64()).unwrap_or(f64::MAX)
}

/// Before PostgreSQL 16 only a prepared statement shows its generic plan.
fn generic(session: &mut Session, sql: &str) -> Outcome<String> {
    session.run("BEGIN")?;
    let plan = session.run(&format!("PREPARE pgtune_query AS {sql}")).and_then(|()| {
        let count = "SELECT cardinality(parameter_types)::text FROM pg_prepared_statements WHERE \
                     name = 'pgtune_query'";
        let count = session.texts(count)?.concat().parse().unwrap_or(0);
        let nulls = vec!["NULL"; count].join(", ");
        let values = if count == 0 { String::new() } else { format!("({nulls})") };
        let sql = format!("EXPLAIN (FORMAT JSON, VERBOSE, SETTINGS) EXECUTE pgtune_query{values}");
        Ok(session.texts(&sql)?.join("\n"))
    });
    session.roll_back();
    // A prepared statement outlives its transaction.
    session.run("DEALLOCATE ALL")?;
    plan
}

/// What the catalog says of these relations: two queries, however many they are.
pub fn names(session: &mut Session, relations: &BTreeSet<QualifiedName>) -> Result<Names, Error> {
    let explain = |failure: Failure| failure.explain("cannot read what plans are about");
    let asked: Vec<String> = relations.iter().map(ToString::to_string).collect();
    let parameters: [(&(dyn ToSql + Sync), Type); 1] = [(&asked, Type::TEXT_ARRAY)];
    let indexes = session.each(include_str!("sql/plan_indexes.sql"), &parameters, |row| {
        Ok((qualified(row, 0)?, row.get::<_, String>(2)))
    });
    let relations = session.each(include_str!("sql/plan_relations.sql"), &parameters, |row| {
        let root = row.get::<_, Option<&str>>(2).map(|_| qualified(row, 2)).transpose()?;
        let size = Size { pages: count(row, 4), rows: row.get::<_, f64>(5).max(0.0) };
        Ok((qualified(row, 0)?, root, size))
    });
    let mut names = Names::default();
    for index in indexes.map_err(explain)? {
        let (index, definition) = index?;
        names.indexes.insert(index, definition);
    }
    for relation in relations.map_err(explain)? {
        let (name, root, size) = relation?;
        // A partitioned table is as large as its partitions.
        let whole = names.sizes.entry(root.clone().unwrap_or_else(|| name.clone())).or_default();
        whole.pages += size.pages;
        whole.rows += size.rows;
        if let Some(root) = root.filter(|root| *root != name) {
            names.roots.insert(name, root);
        }
    }
    Ok(names)
}

/// The statement that makes an index, as a migration would write it; `None` where there is none of
/// that name, written as in SQL.
pub fn definition(session: &mut Session, index: &str) -> Outcome<Option<String>> {
    let sql = "select replace(pg_get_indexdef(to_regclass($1)), ' ON ONLY ', ' ON ')";
    let rows = session.query(sql, &[(&index, Type::TEXT)])?;
    Ok(rows.first().and_then(|row| row.get(0)))
}

fn count(row: &Row, at: usize) -> u64 {
    u64::try_from(row.get::<_, i64>(at)).unwrap_or(0)
}

fn qualified(row: &Row, at: usize) -> Result<QualifiedName, Error> {
    let ident =
        |at| Ident::new(row.get::<_, String>(at)).map_err(|e| Error::new(Kind::Database, e));
    Ok(QualifiedName::new(ident(at)?, ident(at + 1)?))
}

/// Goes back to the session's own role and settings.
pub fn end(session: &mut Session) -> Result<(), Error> {
    session.apply_settings(&[]).map_err(|failure| failure.explain("cannot reset the session"))
}
