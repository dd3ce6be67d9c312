//! The rules of partitioned tables, as the user writes them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::calendar::{Interval, Span};
use crate::model::time_key::EpochUnit;
use crate::model::units::Millis;

/// How one partitioned table is to be kept: what to create ahead, what to take away and when.
/// What exists is read from its bounds, never from its names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PartitionRule {
    /// The partitioned table, with its schema where that is not in the search path.
    pub table: String,
    /// RANGE by time: what one partition holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<Interval>,
    /// What a bigint key counts since 1970: `s`, `ms`, `us` or `ns`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epoch_unit: Option<EpochUnit>,
    /// How many partitions to have ready beyond the present one.
    pub ahead: u16,
    /// How long rows are kept: "12 months", "90 days". A partition leaves when all of it is older;
    /// without a retention none does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention: Option<Span>,
    /// What happens to a partition that leaves.
    pub expiry: Expiry,
    /// How partitions are detached.
    pub detach: Detach,
    /// How long a detached partition stays as a table of its own before it is dropped.
    pub grace: Millis,
    /// Time zone (IANA) that hours, days and months begin in.
    pub time_zone: String,
    /// Names of new partitions, from `{table}`, `{yyyy}`, `{mm}`, `{dd}`, `{hh}`, `{q}`, `{iyyy}`
    /// and `{ww}`; empty means the usual one of the interval: `{table}_{yyyy}_{mm}`.
    pub name: String,
    /// HASH: how many partitions the table has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modulus: Option<u32>,
    /// LIST: the values of each partition, by its name: `{ orders_eu = ["de", "fr"] }`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub lists: BTreeMap<String, Vec<String>>,
    /// RANGE, then HASH: how each new partition is partitioned itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash: Option<HashBelow>,
    /// Tablespace of new partitions; empty means that of the newest partition.
    pub tablespace: String,
    /// Storage parameters of new partitions: `{ fillfactor = "90" }`; empty means those of the
    /// newest partition.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub storage: BTreeMap<String, String>,
}

/// The tables of a profile's rules, each with its line, from 1; nothing where the text is no
/// profile.
pub fn lines_of_tables(profile: &str) -> Vec<(String, usize)> {
    #[derive(Deserialize)]
    struct Rules {
        #[serde(default)]
        partitions: Vec<OneRule>,
    }
    #[derive(Deserialize)]
    struct OneRule {
        table: toml::Spanned<String>,
    }
    let Ok(Rules { partitions }) = toml::from_str(profile) else { return Vec::new() };
    let each = partitions.into_iter().map(|OneRule { table }| {
        let before = profile.get(..table.span().start).unwrap_or_default();
        (table.into_inner(), before.matches('\n').count() + 1)
    });
    each.collect()
}

/// What happens to a partition when all of it is older than the retention.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Expiry {
    /// It is detached, and stays as a table of its own.
    #[default]
    Detach,
    /// It is detached, and dropped after the grace period.
    Drop,
    /// It is detached and archived, and dropped after the grace period if the archive holds it.
    Archive,
}

/// How partitions are detached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Detach {
    /// One by one, each waiting for the transactions that use the table; stops nobody.
    #[default]
    Concurrently,
    /// Many in one transaction, under ACCESS EXCLUSIVE on the table for some milliseconds: for
    /// many small partitions.
    Batched,
}

/// HASH below another level.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HashBelow {
    /// The columns to hash.
    pub columns: Vec<String>,
    /// How many partitions.
    pub modulus: u32,
}

impl Default for PartitionRule {
    fn default() -> PartitionRule {
        PartitionRule {
            table: String::new(),
            interval: None,
            epoch_unit: None,
            ahead: 3,
            retention: None,
            expiry: Expiry::Detach,
            detach: Detach::Concurrently,
            grace: Millis(7 * 86_400_000),
            time_zone: "UTC".to_string(),
            name: String::new(),
            modulus: None,
            lists: BTreeMap::new(),
            hash: None,
            tablespace: String::new(),
            storage: BTreeMap::new(),
        }
    }
}
