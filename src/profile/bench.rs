//! How `pgtune bench` measures, as the user writes it.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::units::Millis;

/// How `pgtune bench` runs the queries of `[[queries]]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Bench {
    /// How long to run, without the warm-up.
    pub duration: Millis,
    /// How many sessions run queries at the same time.
    pub clients: u32,
    /// With more than one client: what 95 of 100 runs of each query shall not exceed; 0 means the
    /// queries' own targets, which are meant for one client.
    pub concurrent_target: Millis,
    /// Errors below so many percent of a query's runs are accepted; 0 accepts none.
    pub error_limit_percent: u32,
    /// Ways of writing rows, for `--ingest`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ingest: Vec<Ingest>,
}

/// As many sessions as a bench may open.
pub const CLIENTS_MAX: u32 = 1_000;

/// What asks for all ways of writing.
pub const EVERY_INGEST: &str = "all";

impl Default for Bench {
    fn default() -> Bench {
        Bench {
            duration: Millis(10_000),
            clients: 1,
            concurrent_target: Millis(0),
            error_limit_percent: 0,
            ingest: Vec::new(),
        }
    }
}

impl Bench {
    /// What cannot be run, if anything: key and reason.
    pub fn wrong(&self) -> Option<(String, String)> {
        let wrong = self.wrong_load().map(|(key, why)| (key.to_string(), why));
        wrong.or_else(|| self.wrong_ingest())
    }

    fn wrong_load(&self) -> Option<(&'static str, String)> {
        if self.duration.0 == 0 {
            return Some((
                "duration",
                "0 would measure nothing; write for example 10s".to_string(),
            ));
        }
        if !(1..=CLIENTS_MAX).contains(&self.clients) {
            return Some(("clients", format!("from 1 to {CLIENTS_MAX}")));
        }
        if self.error_limit_percent > 100 {
            return Some(("error_limit_percent", "from 0 to 100".to_string()));
        }
        None
    }

    fn wrong_ingest(&self) -> Option<(String, String)> {
        let mut seen = BTreeSet::new();
        for ingest in &self.ingest {
            let name = ingest.name.as_str();
            if ["", EVERY_INGEST].contains(&name) || !seen.insert(name) {
                let why = format!("each needs a name of its own, other than \"{EVERY_INGEST}\"");
                return Some(("ingest".to_string(), why));
            }
            if let Some((key, why)) = ingest.wrong() {
                return Some((format!("ingest \"{name}\": {key}"), why));
            }
        }
        None
    }
}

/// A way of writing rows into a table, to measure how many it takes. Rows are only written when
/// `pgtune bench --ingest` asks for it, and stay.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Ingest {
    /// Name shown in reports, and to be asked for; unique among these.
    pub name: String,
    /// The table to write into.
    pub table: String,
    /// How rows are sent.
    pub shape: Shape,
    /// A query whose rows are written, again and again, into the columns that it names. At most
    /// 50,000 rows are read, before anything is measured.
    pub rows: String,
    /// Rows in one statement; a single insert has one.
    pub batch: u32,
    /// How many sessions write at the same time.
    pub clients: u32,
    /// Rows a second to offer, all clients together, in a first run; a second one goes as fast as
    /// it can. 0 means only the second.
    pub rows_per_second: u32,
    /// What 95 of 100 statements shall not exceed, at the rate that is offered; 0 means no target.
    pub target: Millis,
    /// Rows a second to reach, at the rate that is offered; 0 means no target.
    pub target_rows_per_second: u32,
    /// Role the application writes as.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub role: String,
    /// Settings the application writes with: `{ synchronous_commit = "off" }`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<String, String>,
    /// For `copy-and-flush`: moves rows on from the table, and returns how many.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub flush: String,
    /// How often it is called.
    pub flush_every: Millis,
    /// The last migration whose design this shows: left out where a later one is applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<i64>,
}

/// How rows are sent. Each statement is a transaction of its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// One prepared INSERT for each row.
    Insert,
    /// One prepared INSERT for many rows.
    #[default]
    Batch,
    /// One COPY for many rows.
    Copy,
    /// COPY into a staging table, from where a statement moves rows on at intervals.
    CopyAndFlush,
}

impl Shape {
    /// As written in the profile.
    pub fn name(self) -> &'static str {
        match self {
            Shape::Insert => "insert",
            Shape::Batch => "batch",
            Shape::Copy => "copy",
            Shape::CopyAndFlush => "copy-and-flush",
        }
    }
}

/// Rows in one statement, at most.
const BATCH_MAX: u32 = 100_000;

impl Default for Ingest {
    fn default() -> Ingest {
        Ingest {
            name: String::new(),
            table: String::new(),
            shape: Shape::Batch,
            rows: String::new(),
            batch: 1_000,
            clients: 1,
            rows_per_second: 0,
            target: Millis(0),
            target_rows_per_second: 0,
            role: String::new(),
            settings: BTreeMap::new(),
            flush: String::new(),
            flush_every: Millis(100),
            until: None,
        }
    }
}

impl Ingest {
    /// Rows in one statement.
    pub fn batch(&self) -> u32 {
        match self.shape {
            Shape::Insert => 1,
            Shape::Batch | Shape::Copy | Shape::CopyAndFlush => self.batch,
        }
    }

    /// What cannot be run, if anything: key and reason.
    fn wrong(&self) -> Option<(&'static str, String)> {
        let missing = |what: &str| Some(what.to_string());
        let (key, why) = if self.table.is_empty() {
            ("table", missing("name the table to write into"))
        } else if self.rows.trim().is_empty() {
            ("rows", missing("write a query whose rows are to be written"))
        } else if !(1..=BATCH_MAX).contains(&self.batch) {
            ("batch", Some(format!("from 1 to {BATCH_MAX}")))
        } else if !(1..=CLIENTS_MAX).contains(&self.clients) {
            ("clients", Some(format!("from 1 to {CLIENTS_MAX}")))
        } else if self.shape == Shape::CopyAndFlush && self.flush.trim().is_empty() {
            ("flush", missing("write the statement that moves rows on: select stage_flush()"))
        } else if self.flush_every.0 == 0 {
            ("flush_every", missing("0 would never pause; write for example 100ms"))
        } else {
            ("", None)
        };
        why.map(|why| (key, why))
    }
}
