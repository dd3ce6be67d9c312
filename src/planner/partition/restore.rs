//! A partition that comes back from its archive.

use super::create::outside;
use super::members::members;
use super::rule::{Rule, Scheme};
use super::{Plan, Questions, Restoration};
use crate::model::catalog::Catalog;
use crate::model::finding::{Finding, Severity};
use crate::model::ident::QualifiedName;
use crate::model::lock::LockMode;
use crate::model::time_key::RangeBound;
use crate::planner::steps::lock;
use crate::runbook::action::Action;
use crate::runbook::partition::{DEFAULT_BOUND, NewPartition, PartitionAction};

/// What must be known of the database to restore.
pub fn questions(
    rule: &Rule<'_>,
    catalog: &Catalog,
    restoration: &Restoration,
) -> Result<Questions, Finding> {
    let table = &rule.table;
    let template = catalog.partitions(table).next().map_or(table, |(name, _)| name);
    let traits = Some((table.clone(), template.clone()));
    let default = default_and_condition(rule, catalog, restoration)?;
    Ok(Questions { traits, default })
}

/// The DEFAULT partition, and what its rows must meet to let the partition in without being read
/// under lock. Without a rule for the table that cannot be said.
fn default_and_condition(
    rule: &Rule<'_>,
    catalog: &Catalog,
    restoration: &Restoration,
) -> Result<Option<(QualifiedName, String)>, Finding> {
    let error = |message: String| {
        Finding::new("restore-not-possible", Severity::Error, restoration.name.to_string(), message)
    };
    let default = catalog.partitions(&rule.table).find(|(_, relation)| {
        relation.partition_of.as_ref().is_some_and(|partition| partition.bound == DEFAULT_BOUND)
    });
    let Some((name, _)) = default else { return Ok(None) };
    let Scheme::Range(range) = &rule.scheme else {
        let message =
            format!("{name} would be read under lock: there is no rule for {}", rule.table);
        return Err(error(message));
    };
    let bound = RangeBound::parse(range.key_type, &restoration.bound).map_err(error)?;
    Ok(Some((name.clone(), outside(range, (bound.lower(), bound.upper())))))
}

impl Plan<'_> {
    /// Brings the partition back; nothing where it is attached already.
    pub(super) fn restore(&mut self, restoration: &Restoration) -> Result<(), Finding> {
        let Restoration { name, bound, archive } = restoration;
        let there = self.catalog.relations.get(name);
        if there.is_some_and(|relation| relation.partition_of.is_some()) {
            self.drop_proofs();
            return Ok(());
        }
        self.refuse_overlap(restoration)?;
        let default = default_and_condition(self.rule, &self.catalog, restoration)?;
        if let Some((default, condition)) = &default {
            let relation = self.catalog.relations[default].clone();
            self.prove(default, &relation, condition)?;
        }
        let parent = self.rule.table.clone();
        let mut locks = vec![lock(LockMode::ShareUpdateExclusive, &parent)];
        locks.extend(default.iter().map(|(name, _)| lock(LockMode::AccessExclusive, name)));
        let (name, bound) = (name.clone(), bound.clone());
        let new = NewPartition { name, parent, bound, traits: self.traits(), below: None };
        let (new, archive) = (Box::new(new), archive.clone());
        let action = PartitionAction::Restore { new, archive };
        let step = self.frame.short(Action::Partition(action), locks);
        let mut steps = self.ledger_steps();
        steps.push(step);
        self.push(self.stage("restore from the archive", steps));
        self.drop_proofs();
        Ok(())
    }

    fn refuse_overlap(&self, restoration: &Restoration) -> Result<(), Finding> {
        let Scheme::Range(range) = &self.rule.scheme else { return Ok(()) };
        let members = members(&self.catalog, self.rule, range)?;
        let Ok(bound) = RangeBound::parse(range.key_type, &restoration.bound) else {
            return Ok(());
        };
        let overlaps =
            |other: &RangeBound| other.lower() < bound.upper() && bound.lower() < other.upper();
        match members.ranges.iter().find(|member| overlaps(&member.bound)) {
            None => Ok(()),
            Some(member) => Err(Finding::new(
                "restore-not-possible",
                Severity::Error,
                restoration.name.to_string(),
                format!("{} holds a part of its range", member.name),
            )),
        }
    }
}
