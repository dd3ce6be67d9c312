//! The SQL of pgtune's memory: refinery's history table, and the progress of half-applied files.

use serde::{Deserialize, Serialize};

use crate::model::ident::{QualifiedName, literal};
use crate::model::migration::{MigrationId, VersionWidth};

/// Where statements of half-applied migrations are recorded. Its schema must not be called as a
/// role that logs in may be: with the usual search_path `"$user", public` it would become the
/// current schema of a role `pgtune` as soon as it exists.
pub const PROGRESS_TABLE: &str = "pgtune_state.migration_progress";

/// What to write down about a migration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The history table.
    pub table: QualifiedName,
    /// The migration.
    pub migration: MigrationId,
    /// What to write.
    pub what: What,
}

/// What is known of a migration after a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum What {
    /// These statements (number and checksum) are begun, and may or may not have taken effect.
    Begun(Vec<(u32, String)>),
    /// These statements are done; others follow.
    Done(Vec<(u32, String)>),
    /// The whole migration is done.
    Applied {
        /// refinery's checksum at the table's width.
        checksum: u64,
        /// Whether there may be progress rows to clear.
        has_progress: bool,
    },
}

impl Record {
    /// The statements that write it, to be run in one transaction.
    pub fn sql(&self) -> Vec<String> {
        match &self.what {
            What::Begun(statements) => self.progress(statements, "null"),
            What::Done(statements) => self.progress(statements, "now()"),
            What::Applied { checksum, has_progress } => self.applied(*checksum, *has_progress),
        }
    }

    fn progress(&self, statements: &[(u32, String)], finished_at: &str) -> Vec<String> {
        if statements.is_empty() {
            return Vec::new();
        }
        let table = literal(&self.table.to_string());
        let version = self.migration.version;
        let rows: Vec<String> = statements
            .iter()
            .map(|(number, checksum)| {
                format!("({table}, {version}, {number}, '{checksum}', {finished_at})")
            })
            .collect();
        vec![format!(
            "INSERT INTO {PROGRESS_TABLE} (history_table, version, statement, checksum, \
             finished_at)\n  VALUES {}\n  ON CONFLICT (history_table, version, statement) DO \
             UPDATE SET finished_at = excluded.finished_at, checksum = excluded.checksum",
            rows.join(", ")
        )]
    }

    /// refinery's row, in its own format; the server's clock says when.
    fn applied(&self, checksum: u64, has_progress: bool) -> Vec<String> {
        let MigrationId { version, name, .. } = &self.migration;
        let insert = format!(
            "INSERT INTO {} (version, name, applied_on, checksum)\n  VALUES ({version}, {}, \
             to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), \
             '{checksum}')",
            self.table,
            literal(name)
        );
        let clear = format!(
            "DELETE FROM {PROGRESS_TABLE} WHERE history_table = {} AND version = {version}",
            literal(&self.table.to_string())
        );
        if has_progress { vec![insert, clear] } else { vec![insert] }
    }
}

/// Corrections of the history table, to be made together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Correction {
    /// The history table.
    pub table: QualifiedName,
    /// What to change, by version.
    pub changes: Vec<Change>,
}

/// A correction of one row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// Record the file as it is now; when it was applied stays.
    Rewrite {
        /// The migration as its file names it.
        migration: MigrationId,
        /// refinery's checksum at the table's width.
        checksum: u64,
    },
    /// Delete the row of a migration whose file is gone.
    Forget {
        /// Its version.
        version: i64,
    },
}

impl Correction {
    /// The statements that make it, to be run in one transaction.
    pub fn sql(&self) -> Vec<String> {
        let table = &self.table;
        let sql = |change: &Change| match change {
            Change::Rewrite { migration, checksum } => format!(
                "UPDATE {table} SET name = {}, checksum = '{checksum}' WHERE version = {}",
                literal(&migration.name),
                migration.version
            ),
            Change::Forget { version } => format!("DELETE FROM {table} WHERE version = {version}"),
        };
        self.changes.iter().map(sql).collect()
    }
}

/// Creates the history table as refinery does (`ASSERT_MIGRATIONS_TABLE_QUERY`).
pub fn create_history_table(table: &QualifiedName, width: VersionWidth) -> String {
    let width = match width {
        VersionWidth::Int4 => "int4",
        VersionWidth::Int8 => "int8",
    };
    format!(
        "CREATE TABLE IF NOT EXISTS {table}(\n  version {width} PRIMARY KEY,\n  \
         name VARCHAR(255),\n  applied_on VARCHAR(255),\n  checksum VARCHAR(255))"
    )
}

/// Creates the schema of pgtune's own tables. An existing schema asks for no right to create one,
/// which CREATE SCHEMA IF NOT EXISTS does.
pub fn create_state_schema() -> String {
    "DO $$ BEGIN IF to_regnamespace('pgtune_state') IS NULL \
     THEN CREATE SCHEMA pgtune_state; END IF; END $$"
        .to_string()
}

/// Creates the schema and the table for half-applied migrations.
pub fn create_progress_table() -> Vec<String> {
    vec![
        create_state_schema(),
        format!(
            "CREATE TABLE IF NOT EXISTS {PROGRESS_TABLE}(\n  history_table text,\n  version \
             int8,\n  statement int4,\n  checksum text NOT NULL,\n  begun_at timestamptz NOT NULL \
             DEFAULT now(),\n  finished_at timestamptz,\n  PRIMARY KEY (history_table, version, \
             statement))"
        ),
    ]
}
