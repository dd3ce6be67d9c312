//! The four workloads that pgtune carries: migrations, a profile and generated data. Pure, but for
//! `load`, which sends the data.
//!
//! `docs/workloads.md` describes them. The order of a full run: migrations up to
//! [`Workload::load_after_version`], then the tables' data with COPY, then
//! [`Workload::after_load_sql`], then the remaining migrations, then [`SETTLE_SQL`].

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};

use crate::error::{Error, Result};

mod accounts;
mod audience;
pub mod data;
mod events;
pub mod load;
mod random;
mod telemetry;

use data::TableData;

/// What a server does by itself within minutes, and a measurement cannot wait for: statistics, and
/// the visibility map that index-only scans need. Runs outside a transaction.
pub const SETTLE_SQL: &str = "vacuum (analyze)";

/// One of the shipped workloads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workload {
    /// Counting an audience of 10 million users.
    Audience,
    /// 10,000 writes a second, over time.
    Telemetry,
    /// A web application's database with row-level security.
    Accounts,
    /// An event store that outgrew one table.
    Events,
}

/// A migration that the program carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbeddedMigration {
    /// The number after the `V`.
    pub version: i64,
    /// The file's name without its ending: `V1__accounts`.
    pub stem: String,
    /// The file's text.
    pub sql: String,
}

impl Workload {
    /// All of them, in the order to show.
    pub const ALL: [Workload; 4] =
        [Workload::Audience, Workload::Telemetry, Workload::Accounts, Workload::Events];

    /// Its name on the command line, of its folder of migrations and of its profile.
    pub fn name(self) -> &'static str {
        match self {
            Workload::Audience => "audience",
            Workload::Telemetry => "telemetry",
            Workload::Accounts => "accounts",
            Workload::Events => "events",
        }
    }

    /// One line that says what it is.
    pub fn description(self) -> &'static str {
        match self {
            Workload::Audience => "count an audience of users, from attribute rows to profiles",
            Workload::Telemetry => "values of many entities over time, 10,000 writes a second",
            Workload::Accounts => "a web application with row-level security, audited",
            Workload::Events => "an analytics event store that outgrew one table",
        }
    }

    /// What the number of rows counts; other tables follow from it.
    pub fn unit(self) -> &'static str {
        match self {
            Workload::Audience | Workload::Accounts => "users",
            Workload::Telemetry => "values",
            Workload::Events => "events",
        }
    }

    /// Its profile's text, TOML.
    pub fn profile(self) -> &'static str {
        match self {
            Workload::Audience => include_str!("../../profiles/audience.toml"),
            Workload::Telemetry => include_str!("../../profiles/telemetry.toml"),
            Workload::Accounts => include_str!("../../profiles/accounts.toml"),
            Workload::Events => include_str!("../../profiles/events.toml"),
        }
    }

    /// Its migrations, oldest first.
    pub fn migrations(self) -> Vec<EmbeddedMigration> {
        let runner = match self {
            Workload::Audience => embedded::audience::migrations::runner(),
            Workload::Telemetry => embedded::telemetry::migrations::runner(),
            Workload::Accounts => embedded::accounts::migrations::runner(),
            Workload::Events => embedded::events::migrations::runner(),
        };
        let mut migrations: Vec<EmbeddedMigration> = runner
            .get_migrations()
            .iter()
            .map(|migration| EmbeddedMigration {
                version: migration.version(),
                stem: migration.to_string(),
                sql: migration.sql().unwrap_or_default().to_string(),
            })
            .collect();
        migrations.sort_by_key(|migration| migration.version);
        migrations
    }

    /// The migration whose index change is shown with plans before and after.
    pub fn index_change_version(self) -> i64 {
        match self {
            Workload::Audience | Workload::Events => 3,
            Workload::Telemetry => 5,
            Workload::Accounts => 2,
        }
    }

    /// The last migration to apply before the data is loaded.
    pub fn load_after_version(self) -> i64 {
        match self {
            Workload::Audience | Workload::Accounts => 1,
            Workload::Telemetry => 4,
            Workload::Events => 2,
        }
    }

    /// The data of `rows` [units](Workload::unit), in the order to load the tables. The same
    /// arguments give the same bytes; times lie before `now`, which is the time of loading.
    pub fn tables(self, rows: u64, seed: u64, now: DateTime<Utc>) -> Vec<TableData> {
        match self {
            Workload::Audience => audience::tables(rows, seed, now),
            Workload::Telemetry => telemetry::tables(rows, seed, now),
            Workload::Accounts => accounts::tables(rows, seed, now),
            Workload::Events => events::tables(rows, seed, now),
        }
    }

    /// Statements to run after loading: COPY fills identity columns without moving their
    /// sequences, and the next migrations should be planned with statistics.
    pub fn after_load_sql(self) -> Vec<String> {
        let set = |(table, column): &(&str, &str)| {
            format!(
                "select setval(pg_get_serial_sequence('{table}', '{column}'), max({column})) \
                 from {table}"
            )
        };
        let analyze = std::iter::once("analyze".to_string());
        self.loaded_identities().iter().map(set).chain(analyze).collect()
    }

    /// Table and identity column, where the generated data says the ids.
    fn loaded_identities(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Workload::Audience => &[("users", "user_id")],
            Workload::Telemetry => &[
                ("tenants", "tenant_id"),
                ("attributes", "attribute_id"),
                ("entities", "entity_id"),
            ],
            Workload::Accounts => &[
                ("users", "id"),
                ("user_sessions", "id"),
                ("profiles", "id"),
                ("work_experiences", "id"),
                ("notifications", "id"),
                ("business_profiles", "id"),
                ("api_keys", "id"),
                ("webhooks", "id"),
                ("pin_verifications", "id"),
                ("api_usage_logs", "id"),
            ],
            Workload::Events => &[("apps", "app_id"), ("api_keys", "api_key_id"), ("events", "id")],
        }
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Workload {
    type Err = Error;

    fn from_str(name: &str) -> Result<Workload> {
        let found = Workload::ALL.into_iter().find(|workload| workload.name() == name);
        found.ok_or_else(|| {
            let known = Workload::ALL.map(Workload::name).join(", ");
            Error::usage(format!("there is no workload \"{name}\"")).hint(format!("it is {known}"))
        })
    }
}

/// What refinery's macro makes of the folders: each module has a function `runner`.
mod embedded {
    pub mod audience {
        refinery::embed_migrations!("migrations/audience");
    }
    pub mod telemetry {
        refinery::embed_migrations!("migrations/telemetry");
    }
    pub mod accounts {
        refinery::embed_migrations!("migrations/accounts");
    }
    pub mod events {
        refinery::embed_migrations!("migrations/events");
    }
}

#[cfg(test)]
mod tests;
