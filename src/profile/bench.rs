//! How `pgtune bench` measures, as the user writes it.

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
}

/// As many sessions as a bench may open.
pub const CLIENTS_MAX: u32 = 1_000;

impl Default for Bench {
    fn default() -> Bench {
        Bench {
            duration: Millis(10_000),
            clients: 1,
            concurrent_target: Millis(0),
            error_limit_percent: 0,
        }
    }
}

impl Bench {
    /// What cannot be run, if anything: key and reason.
    pub fn wrong(&self) -> Option<(&'static str, String)> {
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
}
