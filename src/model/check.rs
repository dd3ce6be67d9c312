//! What `pgtune check` looks for: the thresholds of `[check]`, and what is allowed nevertheless.

use chrono::NaiveDate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What `pgtune check` holds against a migration. A table's size is that of the snapshot, with all
/// its partitions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CheckRules {
    /// From this size in MB on, nobody may be kept from a table while it is rewritten, while an
    /// index is built, or while all its rows are changed.
    pub rewrite_mb: u64,
    /// From this size in MB on, nobody may be kept from a table while it is read from end to end.
    pub scan_mb: u64,
    /// How many indexes a table may have, those of its keys counted in.
    pub indexes_max: usize,
    /// How many times as large as a table its indexes may be together.
    pub indexes_ratio: f64,
    /// After how many days a snapshot is too old to be relied on; 0 means never.
    pub snapshot_days: u64,
    /// What is allowed although a check finds it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<Allow>,
}

impl Default for CheckRules {
    fn default() -> CheckRules {
        CheckRules {
            rewrite_mb: 64,
            scan_mb: 512,
            indexes_max: 12,
            indexes_ratio: 3.0,
            snapshot_days: 30,
            allow: Vec::new(),
        }
    }
}

/// Something that a check finds and that is allowed, until a day. For a single statement write
/// `-- pgtune: allow CHECK until 2027-01-01: reason` in front of it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Allow {
    /// The check's name, as findings show it.
    pub check: String,
    /// What the finding is about, as it shows it: a table. Empty means any.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subject: String,
    /// Why.
    pub reason: String,
    /// The last day on which it is allowed: `2027-01-01`. Empty means for ever.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub until: String,
}

impl Allow {
    /// The last day on which it is allowed; `None` for ever. The error says what is no day.
    pub fn last_day(&self) -> Result<Option<NaiveDate>, String> {
        if self.until.is_empty() {
            return Ok(None);
        }
        let read = self.until.parse().map(Some);
        read.map_err(|_| format!("\"{}\" is no day; write for example 2027-01-01", self.until))
    }
}

impl CheckRules {
    /// What cannot hold, if anything: key and reason.
    pub fn wrong(&self) -> Option<(String, String)> {
        if !(self.indexes_ratio.is_finite() && self.indexes_ratio > 0.0) {
            return Some(("indexes_ratio".to_string(), "it must be above 0".to_string()));
        }
        self.allow.iter().find_map(|allow| {
            let wrong = |key: &str, why: String| Some((format!("allow.{key}"), why));
            if allow.check.is_empty() {
                return wrong("check", "name the check that is allowed".to_string());
            }
            if allow.reason.trim().is_empty() {
                return wrong("reason", format!("say why {} is allowed", allow.check));
            }
            allow.last_day().err().and_then(|why| wrong("until", why))
        })
    }
}
