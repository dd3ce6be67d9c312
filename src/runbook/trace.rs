//! A runbook that writes down which locks its statements hold: to be run where nobody else is.

use super::Runbook;
use super::action::{Action, SqlText};
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

/// The runbook with a statement behind each of the user's that writes down the locks which its
/// transaction holds on tables that were there before. `path` tells a migration's file.
pub fn traced(mut runbook: Runbook, path: impl Fn(i64) -> String) -> Runbook {
    for step in runbook.stages.iter_mut().flat_map(|stage| &mut stage.steps) {
        let Action::RunStatements { statements, record, .. } = &mut step.action else { continue };
        let path = path(record.migration.version);
        let both = statements.iter().flat_map(|one| [one.clone(), note(one, &path)]);
        *statements = both.collect();
    }
    runbook
}

fn note(statement: &SqlText, path: &str) -> SqlText {
    let text = format!(
        "INSERT INTO {TRACE_SCHEMA}.held (transaction, path, line, relation, mode, file) SELECT \
         txid_current(), {}, {}, e.oid, l.mode, pg_relation_filenode(e.oid)::int8 FROM pg_locks l \
         JOIN {TRACE_SCHEMA}.existing e ON e.oid = l.relation WHERE l.pid = pg_backend_pid() AND \
         l.locktype = 'relation' AND l.granted ORDER BY e.oid, l.mode",
        literal(path),
        statement.line
    );
    SqlText { text, ..statement.clone() }
}
