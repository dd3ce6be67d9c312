//! Histories of other migration tools, as far as they say the same thing.

/// A tool whose history can be taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// refinery under another table name, or at another width.
    Refinery,
    /// Flyway.
    Flyway,
    /// sqlx-cli and `sqlx::migrate!`.
    Sqlx,
    /// golang-migrate.
    GolangMigrate,
    /// dbmate.
    Dbmate,
    /// Liquibase.
    Liquibase,
}

impl Tool {
    /// All of them, in the order to be listed.
    pub const ALL: [Tool; 6] = [
        Tool::Refinery,
        Tool::Flyway,
        Tool::Sqlx,
        Tool::GolangMigrate,
        Tool::Dbmate,
        Tool::Liquibase,
    ];

    /// Its name, as typed and shown.
    pub fn name(self) -> &'static str {
        match self {
            Tool::Refinery => "refinery",
            Tool::Flyway => "flyway",
            Tool::Sqlx => "sqlx",
            Tool::GolangMigrate => "golang-migrate",
            Tool::Dbmate => "dbmate",
            Tool::Liquibase => "liquibase",
        }
    }

    /// The tool of that name.
    pub fn from_name(name: &str) -> Option<Tool> {
        Tool::ALL.into_iter().find(|tool| tool.name() == name)
    }

    /// The history table it makes unless told otherwise.
    pub fn default_table(self) -> &'static str {
        match self {
            Tool::Refinery => "refinery_schema_history",
            Tool::Flyway => "flyway_schema_history",
            Tool::Sqlx => "_sqlx_migrations",
            Tool::GolangMigrate | Tool::Dbmate => "schema_migrations",
            Tool::Liquibase => "databasechangelog",
        }
    }
}

/// One row of another tool's history table; texts are empty where it keeps nothing of the kind.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ForeignRow {
    /// The version, as the tool writes it: `7`, `1.2`, `20261121093000`.
    pub version: String,
    /// The description; Liquibase: the change set's id.
    pub name: String,
    /// The file.
    pub file: String,
    /// Flyway's type, Liquibase's exectype, the type of refinery's version column.
    pub kind: String,
    /// The checksum as text: decimal, or hexadecimal where it is bytes.
    pub checksum: String,
    /// Otherwise it failed, or was begun and not finished.
    pub finished: bool,
}
