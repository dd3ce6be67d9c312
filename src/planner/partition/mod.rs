//! Partitions by their rules: what is missing is created, what is too old leaves.
//!
//! One rule at a time, so that a table in trouble stops no other. Nothing is remembered between
//! runs but the ledger of what leaves: a plan made again after any stop goes on where the last one
//! ended.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use super::Planned;
use super::index::finalize_step;
use super::steps::Frame;
use crate::model::below::Below;
use crate::model::catalog::Catalog;
use crate::model::default_rows::{DefaultQuestion, DefaultRows};
use crate::model::finding::{Finding, Severity};
use crate::model::ident::QualifiedName;
use crate::model::traits::Traits;
use crate::profile::Limits;
use crate::runbook::action::apply_all;
use crate::runbook::partition::Hazard;
use crate::runbook::{Runbook, Stage};

mod analyze;
mod create;
mod default;
mod expire;
pub mod health;
pub mod members;
mod restore;
pub mod rule;
mod swap;

#[cfg(test)]
mod tests;

use rule::{Rule, Scheme};

/// When it is, and what may be done.
#[derive(Debug, Clone, Copy)]
pub struct Moment<'a> {
    /// The time to plan for.
    pub now: DateTime<Utc>,
    /// The server's clock: what may be taken away, and since when it is detached.
    pub clock: DateTime<Utc>,
    /// How long to wait for locks.
    pub limits: &'a Limits,
    /// What the user allowed by name.
    pub allowed: &'a BTreeSet<Hazard>,
}

/// Which part of a rule to bring up to date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope<'a> {
    /// All of it.
    Rotate,
    /// What is missing.
    Create,
    /// Take these partitions away now, or these tables that were partitions, rule or not.
    Drop(&'a [QualifiedName]),
    /// Detach these partitions, where they are attached still, and archive them.
    Archive(&'a [QualifiedName]),
    /// Bring a partition back from its archive.
    Restore(&'a Restoration),
}

/// A partition to bring back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restoration {
    /// What it will be called.
    pub name: QualifiedName,
    /// `FOR VALUES …`
    pub bound: String,
    /// The archive's name.
    pub archive: String,
    /// How it is partitioned itself.
    pub below: Option<Below>,
}

/// What has to be asked of the database before a rule can be planned.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Questions {
    /// What new partitions have to have: the parent, and the partition to take after.
    pub traits: Option<(QualifiedName, QualifiedName)>,
    /// Whether all rows of the DEFAULT partition meet a condition.
    pub default: Option<(QualifiedName, String)>,
    /// Who uses the table for a long time: partitions are to be detached.
    pub long_users: bool,
    /// Partitions in use that were never analyzed: which of them hold little, and may be.
    pub unanalyzed: Vec<QualifiedName>,
    /// What else to ask about it if they do not.
    pub default_rows: Option<DefaultQuestion>,
}

/// The answers.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Answers {
    /// What new partitions of a table have to have.
    pub traits: BTreeMap<QualifiedName, Traits>,
    /// The size in bytes of a DEFAULT partition that holds rows of partitions to be created.
    pub default_in_the_way: Option<u64>,
    /// Who uses the table for so long that a detach must not wait for it, in words.
    pub long_users: Vec<String>,
    /// Partitions that hold little and were never analyzed.
    pub to_analyze: Vec<QualifiedName>,
    /// What is known of it.
    pub default_rows: Option<DefaultRows>,
}

/// What to ask for a rule.
pub fn questions(
    rule: &Rule<'_>,
    catalog: &Catalog,
    now: DateTime<Utc>,
    scope: Scope<'_>,
) -> Result<Questions, Finding> {
    match scope {
        Scope::Rotate | Scope::Create => create::questions(rule, catalog, now),
        Scope::Drop(tables) | Scope::Archive(tables) => {
            let attached = |table| catalog.relations.get(table)?.partition_of.as_ref();
            let long_users = tables.iter().any(|table| attached(table).is_some());
            Ok(Questions { long_users, ..Questions::default() })
        }
        Scope::Restore(restoration) => restore::questions(rule, catalog, restoration),
    }
}

/// Plans what is left to do for a rule.
pub fn plan(
    rule: &Rule<'_>,
    catalog: &Catalog,
    answers: &Answers,
    moment: &Moment<'_>,
    scope: Scope<'_>,
) -> Planned {
    let mut plan = Plan::new(rule, catalog, answers, moment);
    plan.severity = match scope {
        Scope::Rotate | Scope::Create => Severity::Warning,
        Scope::Drop(_) | Scope::Archive(_) | Scope::Restore(_) => Severity::Error,
    };
    if let Err(finding) = plan.all(scope) {
        plan.findings.push(finding);
        return Planned { runbook: withdraw(rule, catalog, moment), findings: plan.findings };
    }
    Planned { runbook: Runbook { stages: plan.stages }, findings: plan.findings }
}

/// What is left to do where a rule cannot be followed, or a run of it failed: a proof must not stay
/// behind, since it keeps rows out of the DEFAULT partition.
pub fn withdraw(rule: &Rule<'_>, catalog: &Catalog, moment: &Moment<'_>) -> Runbook {
    let answers = Answers::default();
    let mut plan = Plan::new(rule, catalog, &answers, moment);
    plan.drop_proofs();
    Runbook { stages: plan.stages }
}

/// A rule being planned, with the catalog as its stages will have left it.
struct Plan<'a> {
    rule: &'a Rule<'a>,
    answers: &'a Answers,
    moment: &'a Moment<'a>,
    frame: Frame<'a>,
    /// How much it weighs that something is not allowed or not possible.
    severity: Severity,
    catalog: Cow<'a, Catalog>,
    stages: Vec<Stage>,
    findings: Vec<Finding>,
}

impl<'a> Plan<'a> {
    fn new(
        rule: &'a Rule<'a>,
        catalog: &'a Catalog,
        answers: &'a Answers,
        moment: &'a Moment<'a>,
    ) -> Plan<'a> {
        let title = rule.table.to_string();
        Plan {
            rule,
            answers,
            moment,
            frame: Frame::new(title, moment.limits),
            severity: Severity::Warning,
            catalog: Cow::Borrowed(catalog),
            stages: Vec::new(),
            findings: Vec::new(),
        }
    }

    fn all(&mut self, scope: Scope<'_>) -> Result<(), Finding> {
        self.finalize();
        match (scope, &self.rule.scheme) {
            (Scope::Rotate, Scheme::Range(range)) => {
                self.create()?;
                self.expire(range)?;
            }
            (Scope::Rotate, Scheme::Hash { .. } | Scheme::List | Scheme::Unruled)
            | (Scope::Create, _) => self.create()?,
            (Scope::Drop(tables), _) => self.drop_named(tables),
            (Scope::Archive(tables), _) => self.archive_named(tables),
            (Scope::Restore(restoration), _) => self.restore(restoration)?,
        }
        Ok(())
    }

    fn push(&mut self, stage: Stage) {
        if !stage.steps.is_empty() {
            apply_all(stage.steps.iter().map(|step| &step.action), self.catalog.to_mut());
            self.stages.push(stage);
        }
    }

    fn stage(&self, what: &str, steps: Vec<crate::runbook::Step>) -> Stage {
        let title = format!("{}: {what}", self.frame.title);
        Stage { title, steps, lanes: 1, look_again: false }
    }

    /// A table has one pending detach at most, and it is in the way of all others.
    fn finalize(&mut self) {
        let table = &self.rule.table;
        let pending = self.catalog.partitions(table).filter(|(_, relation)| {
            relation.partition_of.as_ref().is_some_and(|partition| partition.detach_pending)
        });
        let steps = pending.map(|(name, _)| finalize_step(&self.frame, table, name)).collect();
        self.push(self.stage("finish an interrupted detach", steps));
    }
}
