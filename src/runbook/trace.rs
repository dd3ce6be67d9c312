//! Writes down which locks the statements of a migration hold: to be run where nobody else is.

use super::action::SqlText;
use crate::model::ident::literal;

/// Where the trace is written. Its schema goes with the database.
pub const TRACE_SCHEMA: &str = "pgtune_shadow";

/// Statements that make the trace's tables, and remember which relations there are.
pub fn prepare() -> Vec<String> {
    vec![
        format!("CREATE SCHEMA {TRACE_SCHEMA}"),
        format!(
            "CREATE TABLE {TRACE_SCHEMA}.existing AS SELECT c.oid, \
             pg_relation_filenode(c.oid)::int8 AS file FROM pg_class c JOIN pg_namespace n ON \
             n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'm') AND n.nspname NOT IN \
             ('pg_catalog', 'information_schema', 'pg_toast', '{TRACE_SCHEMA}')"
        ),
        format!(
            "CREATE TABLE {TRACE_SCHEMA}.held (id int8 GENERATED ALWAYS AS IDENTITY, transaction \
             int8, path text, line int4, relation oid, mode text, file int8)"
        ),
        format!("GRANT USAGE ON SCHEMA {TRACE_SCHEMA} TO public"),
        format!("GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA {TRACE_SCHEMA} TO public"),
    ]
}

/// The statement to put behind one of the user's: it writes down the locks which the transaction
/// holds on tables that were there before. `path` is the migration's file.
pub fn note(statement: &SqlText, path: &str) -> String {
    format!(
        "INSERT INTO {TRACE_SCHEMA}.held (transaction, path, line, relation, mode, file) SELECT \
         txid_current(), {}, {}, e.oid, l.mode, pg_relation_filenode(e.oid)::int8 FROM pg_locks l \
         JOIN {TRACE_SCHEMA}.existing e ON e.oid = l.relation WHERE l.pid = pg_backend_pid() AND \
         l.locktype = 'relation' AND l.granted ORDER BY e.oid, l.mode",
        literal(path),
        statement.line
    )
}
