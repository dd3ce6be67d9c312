//! Asks the server for the plans of an application's queries, as the application would run them,
//! and leaves nothing of them behind.
//!
//! A plan comes back as the text of `EXPLAIN (FORMAT JSON)`; what it says is read elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error as StdError;

use postgres::Row;
use postgres::types::private::BytesMut;
use postgres::types::{Format, FromSql, IsNull, ToSql, Type};

use super::catalog::name;
use super::failure::Failure;
use super::session::Session;
use crate::error::Error;
use crate::model::ident::{Ident, QualifiedName, literal};
use crate::model::units::Millis;
use crate::profile::Query;
use crate::query_plan::{Names, Size};

/// `EXPLAIN (GENERIC_PLAN)` came with PostgreSQL 16.
const GENERIC_PLAN_VERSION_NUM: u32 = 160_000;
/// What the server made of a statement.
type Outcome<T> = std::result::Result<T, Failure>;

/// How to ask for plans.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Asking {
    /// Whether queries are run; else all is read-only.
    pub runs: bool,
    /// Whether any values are planned for, whatever is given.
    pub is_generic: bool,
    /// `statement_timeout` of each query; 0 means none.
    pub statement_timeout: Millis,
    /// `lock_timeout`: planning takes ACCESS SHARE, and others may queue behind it.
    pub lock_timeout: Millis,
    /// Settings over those of the application.
    pub settings: BTreeMap<String, String>,
    /// Ask as the session's own role, past all policies of row-level security.
    pub without_policies: bool,
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

/// The settings under which a generic plan shows each condition and each order: an index may imply
/// them, by its predicate or by its own order.
pub fn without_indexes() -> BTreeMap<String, String> {
    let scans = ["enable_indexscan", "enable_indexonlyscan", "enable_bitmapscan"];
    let off = scans.map(|name| (name.to_string(), "off".to_string()));
    without_pruning().into_iter().chain(off).collect()
}

/// The setting under which a generic plan shows all partitions: up to 15 the NULLs that stand in
/// for parameters would leave none.
pub fn without_pruning() -> BTreeMap<String, String> {
    BTreeMap::from([("enable_partition_pruning".to_string(), "off".to_string())])
}

/// Whether the server takes a setting with this value; nothing is set.
pub fn check_setting(session: &mut Session, name: &str, value: &str) -> Outcome<()> {
    let sql = format!("SELECT set_config({}, {}, true)", literal(name), literal(value));
    session.texts(&sql).map(drop)
}

/// Makes the role and the settings of a query hold until the next call, so that queries in order of
/// these cost one round trip each. Errors are those of the query, and leave the session usable.
pub fn set_up(session: &mut Session, query: &Query, asking: &Asking) -> Outcome<()> {
    session.apply_settings(&settings(query, asking))
}

/// The plan for these values, of the one statement `sql`; nothing is run.
pub fn estimate(session: &mut Session, sql: &str, values: &[String]) -> Outcome<String> {
    explain(session, "", sql, values)
}

/// The plan for any values; nothing is run.
pub fn generic(session: &mut Session, sql: &str, version_num: u32) -> Outcome<String> {
    if version_num >= GENERIC_PLAN_VERSION_NUM {
        let sql = format!("EXPLAIN (FORMAT JSON, VERBOSE, SETTINGS, GENERIC_PLAN) {sql}");
        return Ok(session.texts(&sql)?.join("\n"));
    }
    generic_of_prepared(session, sql)
}

/// Runs the statement in a transaction that is rolled back; its plan with what it did, and whether
/// it wrote anything, be it by a function. Reading the clock around each node takes time itself:
/// `with_times` says whether to.
pub fn run(
    session: &mut Session,
    sql: &str,
    values: &[String],
    with_times: bool,
) -> Outcome<(String, bool)> {
    // Advisory locks of the session outlive its transaction.
    const END: &str = "ROLLBACK; SELECT pg_advisory_unlock_all()";
    let timing = if with_times { "ON" } else { "OFF" };
    session.run("BEGIN")?;
    match explain(session, &format!(", ANALYZE, BUFFERS, TIMING {timing}"), sql, values) {
        Ok(plan) => {
            let wrote = "SELECT 'wrote' WHERE pg_current_xact_id_if_assigned() IS NOT NULL";
            let told = session.texts(&format!("{wrote}; {END}"))?;
            Ok((plan, told.iter().any(|text| text == "wrote")))
        }
        Err(failure) => {
            // A broken connection has nothing to end.
            let _ = session.run(END);
            Err(failure)
        }
    }
}

/// `SET` statements that hold while the query is planned. What is not run must not change anything,
/// and no setting of the application makes us wait longer than we were asked to.
fn settings(query: &Query, asking: &Asking) -> Vec<String> {
    let all = query.settings.iter().chain(&asking.settings);
    let set = |(name, value): (&String, &String)| {
        format!("SELECT set_config({}, {}, false)", literal(name), literal(value))
    };
    let mut settings: Vec<String> = all.map(set).collect();
    settings.push(format!("SET statement_timeout = '{}'", asking.statement_timeout));
    settings.push(format!("SET lock_timeout = '{}'", asking.lock_timeout));
    if !asking.runs {
        settings.push("SET default_transaction_read_only = on".to_string());
    }
    if asking.is_generic {
        settings.push("SET plan_cache_mode = force_generic_plan".to_string());
    }
    if asking.without_policies {
        // An error where policies would apply all the same.
        settings.push("SET row_security = off".to_string());
    } else if let Ok(role) = Ident::new(query.role.as_str()) {
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

/// What a plan says of the time of the whole, in milliseconds.
pub fn execution_ms(plan: &str) -> f64 {
    let value: Option<serde_json::Value> = serde_json::from_str(plan).ok();
    value.and_then(|value| value.pointer("/0/Execution Time")?.as_f64()).unwrap_or(f64::MAX)
}

/// Before PostgreSQL 16 only a prepared statement shows its generic plan. Its executor leaves out
/// the partitions that NULL is not in: all. They are shown as from 16 on when none is pruned.
fn generic_of_prepared(session: &mut Session, sql: &str) -> Outcome<String> {
    let plan = generic_under(session, sql, "")?;
    if !plan.contains("\"Subplans Removed\": ") {
        return Ok(plan);
    }
    let all = "SET LOCAL enable_partition_pruning = off";
    Ok(without_setting(generic_under(session, sql, all)?, "enable_partition_pruning"))
}

/// A plan as if a setting were not told.
fn without_setting(plan: String, name: &str) -> String {
    let Ok(mut value) = serde_json::from_str::<serde_json::Value>(&plan) else { return plan };
    if let Some(settings) = value.pointer_mut("/0/Settings").and_then(|it| it.as_object_mut()) {
        settings.remove(name);
    }
    value.to_string()
}

/// The generic plan of a prepared statement, made under `setting`.
fn generic_under(session: &mut Session, sql: &str, setting: &str) -> Outcome<String> {
    session.run(&format!("BEGIN; {setting}"))?;
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
        Ok((name(row, 0)?, row.get::<_, String>(2)))
    });
    let relations = session.each(include_str!("sql/plan_relations.sql"), &parameters, |row| {
        let root = row.get::<_, Option<&str>>(2).map(|_| name(row, 2)).transpose()?;
        let size = Size { pages: count(row, 4), rows: row.get::<_, f64>(5).max(0.0) };
        Ok((name(row, 0)?, root, size, row.get::<_, Option<f64>>(6)))
    });
    let mut names = Names::default();
    for index in indexes.map_err(explain)? {
        let (index, definition) = index?;
        names.indexes.insert(index, definition);
    }
    for relation in relations.map_err(explain)? {
        let (name, root, size, analyzed_at) = relation?;
        // A partitioned table is as large as its partitions, and as new.
        let top = root.clone().unwrap_or_else(|| name.clone());
        let whole = names.sizes.entry(top.clone()).or_default();
        whole.pages += size.pages;
        whole.rows += size.rows;
        let newest = names.analyzed_at.entry(top).or_default();
        *newest = newest.max(analyzed_at.unwrap_or_default());
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

/// Goes back to the session's own role and settings.
pub fn end(session: &mut Session) -> Result<(), Error> {
    session.apply_settings(&[]).map_err(|failure| failure.explain("cannot reset the session"))
}
