//! Makes steps: the limits and locks that go with each action.

use crate::model::ident::QualifiedName;
use crate::model::lock::LockMode;
use crate::model::migration::StatementPlace;
use crate::model::units::Millis;
use crate::profile::Limits as Profile;
use crate::runbook::action::Action;
use crate::runbook::{Limits, Lock, Step, Waiting};

/// What all steps of one migration share.
#[derive(Debug, Clone)]
pub struct Frame<'a> {
    /// The migration, as stages are titled: "V3__indexes".
    pub title: String,
    /// The profile's limits.
    pub limits: &'a Profile,
    /// `SET` statements of the file so far.
    pub settings: Vec<String>,
    /// The statement that is being planned.
    pub stands_for: Option<StatementPlace>,
}

impl<'a> Frame<'a> {
    /// What steps share that stand for no statement of a migration.
    pub fn new(title: String, limits: &'a Profile) -> Frame<'a> {
        Frame { title, limits, settings: Vec::new(), stands_for: None }
    }

    /// A step that others queue behind, and which therefore queues briefly.
    pub fn short(&self, action: Action, locks: Vec<Lock>) -> Step {
        let limits = Limits {
            waiting: Waiting::Short {
                budget: self.limits.lock_budget,
                deadline: self.limits.lock_deadline,
            },
            statement_timeout: self.limits.statement_timeout,
        };
        self.step(action, locks, limits)
    }

    /// A step whose waiting stops nobody: a concurrent build, drop or detach, or a validation.
    pub fn patient(&self, action: Action, locks: Vec<Lock>) -> Step {
        let waiting = Waiting::Patient { wait: self.limits.build_wait };
        self.step(action, locks, Limits { waiting, statement_timeout: Millis(0) })
    }

    fn step(&self, action: Action, locks: Vec<Lock>, limits: Limits) -> Step {
        let (stands_for, settings) = (self.stands_for, self.settings.clone());
        Step { action, stands_for, limits, locks, settings, note: String::new() }
    }
}

/// A lock on a table or index.
pub fn lock(mode: LockMode, table: &QualifiedName) -> Lock {
    Lock { mode, table: table.clone() }
}
