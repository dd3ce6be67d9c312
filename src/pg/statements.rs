//! The statements that the server spends its time on, as `pg_stat_statements` counts them.

use postgres::types::Type;
use sha2::{Digest, Sha256};

use super::failure::Failure;
use super::session::Session;
use crate::error::{Error, Kind, Result};
use crate::model::ident::{Ident, QualifiedName};
use crate::profile::Query;

/// Statements up to this share of all time are read, the dearest first.
const SHARE: f64 = 0.95;

/// What the server remembers of statements.
#[derive(Debug, Clone, PartialEq)]
pub struct Statements {
    /// The statements as queries without values, the dearest first.
    pub queries: Vec<Query>,
    /// How many statements were forgotten for want of room: what was read is not all there was.
    pub forgotten: i64,
}

/// Reads the statements of this database. Constants in them are parameters; their names are digests
/// of their texts, and so the same on every server.
///
/// Errors where the extension is missing, or may not be read.
pub fn statements(session: &mut Session) -> Result<Statements> {
    let explain = |failure: Failure| failure.explain("cannot read pg_stat_statements");
    let schema = "select n.nspname::text from pg_extension e join pg_namespace n on n.oid = \
                  e.extnamespace where e.extname = 'pg_stat_statements'";
    let rows = session.query(schema, &[]).map_err(explain)?;
    let schema = rows.first().map(|row| row.get::<_, String>(0)).ok_or_else(|| {
        Error::new(Kind::Database, "the database has no extension pg_stat_statements").hint(
            "CREATE EXTENSION pg_stat_statements; it also has to be in shared_preload_libraries",
        )
    })?;
    let ident = |name: &str| Ident::new(name).map_err(|e| Error::new(Kind::Database, e));
    let schema = ident(&schema)?;
    let view = |name: &str| Ok(QualifiedName::new(schema.clone(), ident(name)?));
    let (view, info) = (view("pg_stat_statements")?, view("pg_stat_statements_info")?);
    let sql = include_str!("sql/statements.sql")
        .replace("{statements}", &view.to_string())
        .replace("{info}", &info.to_string());
    let rows = session.query(&sql, &[(&SHARE, Type::FLOAT8)]).map_err(explain)?;
    let forgotten = rows.first().map_or(0, |row| row.get(2));
    let queries = rows.iter().map(|row| {
        let (sql, calls): (String, i64) = (row.get(0), row.get(1));
        Query { name: name(&sql), sql, calls: calls as f64, ..Query::default() }
    });
    Ok(Statements { queries: queries.collect(), forgotten })
}

fn name(sql: &str) -> String {
    let digest = Sha256::digest(sql.split_whitespace().collect::<Vec<_>>().join(" "));
    digest.iter().take(4).fold("statement_".to_string(), |name, byte| format!("{name}{byte:02x}"))
}
