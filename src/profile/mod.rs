//! The profile: what should be, as the user wrote it in TOML. Pure.
//!
//! One set of types serves the file, its `[env.NAME]` overlays, the defaults, the JSON Schema and
//! the reference in `docs/profile.md`. A profile is read in layers (`layers`): defaults, file,
//! overlay, `PGTUNE_*` variables, flags; each later one replaces single keys of the earlier.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::check::CheckRules;
use crate::model::disclosure::{REDACTED, Values};
use crate::model::gate::Thresholds;
use crate::model::migration::VersionWidth;
use crate::model::units::Millis;

pub mod bench;
pub mod layers;
pub mod partitions;
pub mod queries;
pub mod secret;
pub mod show;

/// The JSON Schema of a profile, indented, with a final newline.
pub fn schema() -> String {
    let schema = schemars::schema_for!(Profile);
    let mut text = serde_json::to_string_pretty(&schema).expect("a schema is JSON");
    text.push('\n');
    text
}

/// A pgtune profile.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Profile {
    /// How to reach the database.
    pub database: Database,
    /// Where migrations are, and how the database remembers them.
    pub migrations: Migrations,
    /// What pgtune may take, and how long it may wait.
    pub limits: Limits,
    /// Where the rows of partitions go before they are dropped.
    pub archive: Archive,
    /// What counts as a regression, for `--gate`.
    pub gate: Thresholds,
    /// What a snapshot discloses.
    pub snapshot: Snapshot,
    /// What `pgtune check` holds against a migration.
    pub check: CheckRules,
    /// Queries of the application: what plans and timings are shown for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub queries: Vec<Query>,
    /// How `pgtune bench` runs the queries.
    pub bench: bench::Bench,
    /// Rules of partitioned tables: what to create ahead, what to take away and when.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub partitions: Vec<partitions::PartitionRule>,
    /// Overlays by environment: `[env.prod.limits]` replaces single keys of `[limits]` under
    /// `--env prod`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, Profile>,
}

/// How to reach the database. What is not said here comes from `--url`, `DATABASE_URL`, or
/// libpq's own variables, service file and password file.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Database {
    /// Connection string: `postgres://user@host:5432/name?sslmode=verify-full`, or
    /// `host=… dbname=…`. Keep the password out of it: use the password file or `PGPASSWORD`.
    pub url: String,
    /// Role to assume after connecting (`SET ROLE`); empty means the one that logged in.
    pub role: String,
}

/// Where migrations are, and how the database remembers them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Migrations {
    /// Folder of `V1__name.sql` and `U1__name.sql` files, relative to the profile.
    pub folder: String,
    /// Folder of the project's own templates for `pgtune new`, relative to the profile: a file
    /// `index.sql` there replaces the built-in template `index`.
    pub templates: String,
    /// History table, refinery's by name and format; `schema.table` to place it.
    pub history_table: String,
    /// Width of the version column when pgtune creates the history table: `int4`, refinery's
    /// default, or `int8`, which timestamps need. An existing table keeps its own.
    pub history_version: VersionWidth,
    /// Stop when an applied migration's file was changed (refinery's `abort_divergent`).
    pub abort_divergent: bool,
    /// Stop when an applied migration's file is gone, or a pending one is older than the newest
    /// applied (refinery's `abort_missing`).
    pub abort_missing: bool,
}

impl Default for Migrations {
    fn default() -> Migrations {
        Migrations {
            folder: "migrations".to_string(),
            templates: "templates".to_string(),
            history_table: "refinery_schema_history".to_string(),
            history_version: VersionWidth::Int4,
            abort_divergent: true,
            abort_missing: true,
        }
    }
}

/// What pgtune may take, and how long it may wait.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Longest time a statement may queue for a lock, and so the longest time others queue
    /// behind it. Tries start well below and grow up to it.
    pub lock_budget: Millis,
    /// How long to go on trying for a lock before giving up.
    pub lock_deadline: Millis,
    /// `statement_timeout` of a migration's own statements; 0 means none. Concurrent index builds
    /// have none, whatever the server's or the role's default.
    pub statement_timeout: Millis,
    /// How long a concurrent build or a concurrent detach may wait for other transactions, which
    /// stops nobody, before it is taken back.
    pub build_wait: Millis,
    /// How many indexes of one partitioned table to build at the same time.
    pub lanes: u32,
    /// How long to wait for another pgtune on the same database.
    pub runner_wait: Millis,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            lock_budget: Millis(2_000),
            lock_deadline: Millis(600_000),
            statement_timeout: Millis(0),
            build_wait: Millis(1_800_000),
            lanes: 2,
            runner_wait: Millis(600_000),
        }
    }
}

/// What a snapshot discloses: statistics hold values of rows, the most common ones of a column and
/// the bounds of its histogram.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Snapshot {
    /// Of which columns values come into the file.
    pub values: Values,
    /// Columns with any of these in their name keep their values to themselves, whatever `values`
    /// says: where they are needed, other values stand in their place, in the same order. An own
    /// list stands instead of this one.
    pub redact: Vec<String>,
}

impl Default for Snapshot {
    fn default() -> Snapshot {
        Snapshot {
            values: Values::Workload,
            redact: REDACTED.iter().map(ToString::to_string).collect(),
        }
    }
}

/// Where the rows of partitions go before they are dropped. What opens a bucket comes only from
/// the variables `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Archive {
    /// A folder, relative to the profile, or `s3://bucket/prefix`.
    pub to: String,
    /// Where the bucket is, if not at Amazon: `https://s3.example.com`. `http://` is not
    /// encrypted: only for stores on the same machine.
    pub endpoint: String,
    /// The bucket's region.
    pub region: String,
    /// Put the bucket's name into the path and not into the host name, as MinIO and others want.
    pub path_style: bool,
}

impl Default for Archive {
    fn default() -> Archive {
        Archive {
            to: "archive".to_string(),
            endpoint: String::new(),
            region: "us-east-1".to_string(),
            path_style: false,
        }
    }
}

/// One query of the application.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Query {
    /// Name shown in reports; unique in the profile.
    pub name: String,
    /// The statement, with `$1`, `$2`, … for parameters.
    pub sql: String,
    /// Sets of parameter values, as text; the first is used where one suffices.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<Vec<String>>,
    /// Role the application runs it as, so that row-level security applies.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub role: String,
    /// Settings the application runs it with: `{ "app.user_id" = "42" }`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<String, String>,
    /// Longest acceptable time; 0 means no target.
    pub target: Millis,
    /// How often the application runs it beside the others: the weight of its plan. 0 counts as 1.
    #[serde(skip_serializing_if = "is_zero")]
    pub calls: f64,
    /// Labels to select queries by.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
}

fn is_zero(number: &f64) -> bool {
    *number == 0.0
}
