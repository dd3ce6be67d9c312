//! Writes down which locks the statements of a migration hold, and which tables they read from end
//! to end: to be run where nobody else is.

use super::action::SqlText;
use super::seclusion::SHADOW_SCHEMA;
use crate::model::ident::literal;

/// Statements that make the trace's tables in a shadow's own schema, and remember which relations
/// there are.
pub fn prepare() -> Vec<String> {
    vec![
        format!(
            "CREATE TABLE {SHADOW_SCHEMA}.existing AS SELECT c.oid, n.nspname, c.relname, \
             pg_relation_filenode(c.oid)::int8 AS file FROM pg_class c JOIN pg_namespace n ON \
             n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'm') AND n.nspname NOT IN \
             ('pg_catalog', 'information_schema', 'pg_toast', '{SHADOW_SCHEMA}')"
        ),
        format!(
            "CREATE TABLE {SHADOW_SCHEMA}.held (id int8 GENERATED ALWAYS AS IDENTITY, transaction \
             int8, path text, line int4, relation oid, mode text, file int8, scans int8, \
             is_query bool)"
        ),
        format!(
            "CREATE TABLE {SHADOW_SCHEMA}.scanned (transaction int8, relation oid, scans int8)"
        ),
        format!("GRANT USAGE ON SCHEMA {SHADOW_SCHEMA} TO public"),
        format!("GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA {SHADOW_SCHEMA} TO public"),
    ]
}

/// The statement that removes them.
pub fn remove() -> String {
    format!("DROP TABLE {0}.existing, {0}.held, {0}.scanned", SHADOW_SCHEMA)
}

/// Sequential scans that are counted and not yet sent away, be they of this transaction or of those
/// before. An empty table counts too; so do the scans of index builds and of checks of constraints.
const SCANS: &str = "coalesce(pg_stat_get_xact_numscans(e.oid), 0)";

/// The statement to put in front of the first of a transaction: it writes down what is counted of
/// those before.
pub fn begin() -> String {
    format!(
        "INSERT INTO {SHADOW_SCHEMA}.scanned SELECT txid_current(), e.oid, {SCANS} FROM \
         {SHADOW_SCHEMA}.existing e WHERE {SCANS} > 0"
    )
}

/// The statement to put behind one of the user's: it writes down the locks which the transaction
/// holds on tables that were there before, and how often these were read from end to end. `path` is
/// the migration's file.
pub fn note(statement: &SqlText, path: &str) -> String {
    format!(
        "INSERT INTO {SHADOW_SCHEMA}.held (transaction, path, line, relation, mode, file, scans, \
         is_query) SELECT txid_current(), {}, {}, e.oid, l.mode, \
         pg_relation_filenode(e.oid)::int8, {SCANS}, {} FROM pg_locks l JOIN \
         {SHADOW_SCHEMA}.existing e ON e.oid = l.relation WHERE l.pid = pg_backend_pid() AND \
         l.locktype = 'relation' AND l.granted ORDER BY e.oid, l.mode",
        literal(path),
        statement.line,
        is_query(&statement.text)
    )
}

/// Whether the planner chooses how a statement reads: on a server without rows it tells nothing of
/// how it would read many. What runs code may do both.
fn is_query(text: &str) -> bool {
    const HEADS: [&str; 10] =
        ["call", "copy", "delete", "do", "insert", "merge", "select", "update", "values", "with"];
    let end = text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len());
    HEADS.iter().any(|known| text[..end].eq_ignore_ascii_case(known))
}
