//! A runbook: what will be done, in order, as plain data. Pure.
//!
//! Stages run one after the other; the steps of a stage may run side by side in lanes. A step holds
//! no connection and no closure, so a runbook can be printed, saved and compared; what a step says
//! to the server is its action's [`action::Action::script`].

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use self::action::{Action, SqlText};
use crate::model::ident::QualifiedName;
use crate::model::lock::LockMode;
use crate::model::migration::StatementPlace;
use crate::model::units::Millis;

pub mod action;
pub mod default;
pub mod guard;
pub mod history;
pub mod ledger;
pub mod partition;
pub mod plans;
pub mod print;
pub mod seclusion;
pub mod swap;
pub mod trace;
pub mod traits;

/// What happens to many tables under a lock is cut into transactions that hold it for about this
/// long.
pub const HOLD: Millis = Millis(20);

/// Stages in order.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Runbook {
    /// What to do, in order.
    pub stages: Vec<Stage>,
}

/// Steps that belong together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stage {
    /// What the stage is for, as people say it: "V3__indexes: build on 24 leaves".
    pub title: String,
    /// What to do.
    pub steps: Vec<Step>,
    /// How many steps may run at the same time; at least 1.
    pub lanes: u32,
    /// The next stage was planned from a guess at what this one leaves behind: read the catalog
    /// and plan again before going on.
    pub look_again: bool,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// What to do.
    pub action: Action,
    /// The statement of a migration that it stands for, where it is for one.
    pub stands_for: Option<StatementPlace>,
    /// How long it may wait and run.
    pub limits: Limits,
    /// The locks it takes on tables that others can see.
    pub locks: Vec<Lock>,
    /// Settings of the migration file that hold while it runs: `SET` statements.
    pub settings: Vec<String>,
    /// What is worth knowing: a size, a leftover of an earlier run. May be empty.
    pub note: String,
}

/// A lock on a table that exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    /// How strong.
    pub mode: LockMode,
    /// On what.
    pub table: QualifiedName,
}

/// How long a step may wait for locks, and run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// How it waits for locks.
    pub waiting: Waiting,
    /// `statement_timeout`; 0 means none.
    pub statement_timeout: Millis,
}

/// How a step waits for locks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Waiting {
    /// Others queue behind it, so it queues briefly and comes back: `lock_timeout` grows up to
    /// `budget`, tries go on until `deadline`.
    Short {
        /// Longest `lock_timeout`.
        budget: Millis,
        /// When to give up.
        deadline: Millis,
    },
    /// Waiting stops nobody and a `lock_timeout` would leave an invalid object behind: wait up to
    /// `wait`, watched from another session, then take it back.
    Patient {
        /// Longest time spent waiting for others.
        wait: Millis,
    },
}

impl Runbook {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.stages.is_empty()
    }

    /// The number of steps in all stages.
    pub fn step_count(&self) -> usize {
        self.stages.iter().map(|stage| stage.steps.len()).sum()
    }

    /// The runbook with statements of ours beside the user's that run in a transaction: one in
    /// front of the first, and some behind each; `behind` gets the migration's version and the
    /// statement.
    pub fn with_beside_each(
        mut self,
        front: Option<&str>,
        behind: impl Fn(i64, &SqlText) -> Vec<String>,
    ) -> Runbook {
        for step in self.stages.iter_mut().flat_map(|stage| &mut stage.steps) {
            let Action::RunStatements { statements, record, .. } = &mut step.action else {
                continue;
            };
            let version = record.migration.version;
            let first = statements.first().zip(front);
            let first = first.map(|(one, text)| SqlText { text: text.to_string(), ..one.clone() });
            let mut all: Vec<SqlText> = first.into_iter().collect();
            for statement in statements.drain(..) {
                let ours = behind(version, &statement);
                let ours = ours.into_iter().map(|text| SqlText { text, ..statement.clone() });
                let ours: Vec<SqlText> = ours.collect();
                all.push(statement);
                all.extend(ours);
            }
            *statements = all;
        }
        self
    }

    /// A short fingerprint of all the SQL in it: equal runbooks do the same.
    pub fn basis(&self) -> String {
        let mut hasher = Sha256::new();
        for step in self.stages.iter().flat_map(|stage| &stage.steps) {
            for message in step.action.script().messages {
                hasher.update(message);
                hasher.update([0]);
            }
        }
        hasher.finalize().iter().take(4).map(|byte| format!("{byte:02x}")).collect()
    }
}

impl Stage {
    /// A stage of one step.
    pub fn single(title: String, step: Step) -> Stage {
        Stage { title, steps: vec![step], lanes: 1, look_again: false }
    }
}
