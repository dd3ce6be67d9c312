//! A partition that comes back from its archive.

use super::create::{leaf_of, list_values};
use super::default::outside;
use super::members::members;
use super::rule::{Rule, Scheme};
use super::{Plan, Questions, Restoration};
use crate::model::below::hash_bound;
use crate::model::catalog::Catalog;
use crate::model::finding::{Finding, Severity};
use crate::model::ident::{QualifiedName, literal};
use crate::model::lock::LockMode;
use crate::model::time_key::RangeBound;
use crate::planner::steps::lock;
use crate::runbook::action::Action;
use crate::runbook::partition::{NewPartition, PartitionAction};

fn refused(restoration: &Restoration, message: String) -> Finding {
    let name = restoration.name.to_string();
    Finding::new("restore-not-possible", Severity::Error, name, message)
}

/// A bound by HASH or LIST, written anew from what it says.
fn canonical_bound(bound: &str) -> Option<String> {
    if let Some(parts) = bound.strip_prefix("FOR VALUES WITH (modulus ") {
        let (modulus, remainder) = parts.strip_suffix(')')?.split_once(", remainder ")?;
        return Some(hash_bound(modulus.parse().ok()?, remainder.parse().ok()?));
    }
    let is_number = |value: &String| value.parse::<i128>().is_ok();
    let values = list_values(bound);
    let quoted = values.iter().map(|value| literal(value)).collect::<Vec<_>>().join(", ");
    let plain = values.join(", ");
    let text = if bound.contains('\'') || !values.iter().all(is_number) { quoted } else { plain };
    (!values.is_empty()).then(|| format!("FOR VALUES IN ({text})"))
}

/// What must be known of the database to restore.
pub fn questions(
    rule: &Rule<'_>,
    catalog: &Catalog,
    restoration: &Restoration,
) -> Result<Questions, Finding> {
    let table = &rule.table;
    let first = catalog.partitions(table).next().map(|(name, _)| leaf_of(catalog, name));
    let traits = Some((table.clone(), first.unwrap_or_else(|| table.clone())));
    let default = default_and_condition(rule, catalog, restoration)?;
    Ok(Questions { traits, default, ..Questions::default() })
}

/// The DEFAULT partition, and what its rows must meet to let the partition in without being read
/// under lock. Without a rule for the table that cannot be said.
fn default_and_condition(
    rule: &Rule<'_>,
    catalog: &Catalog,
    restoration: &Restoration,
) -> Result<Option<(QualifiedName, String)>, Finding> {
    let Some((name, _)) = catalog.default_partition(&rule.table) else { return Ok(None) };
    let Scheme::Range(range) = &rule.scheme else {
        let message =
            format!("{name} would be read under lock: there is no rule for {}", rule.table);
        return Err(refused(restoration, message));
    };
    let bound = RangeBound::parse(range.key_type, &restoration.bound)
        .map_err(|message| refused(restoration, message))?;
    Ok(Some((name.clone(), outside(range, (bound.lower(), bound.upper())))))
}

impl Plan<'_> {
    /// Brings the partition back; nothing where it is attached already.
    pub(super) fn restore(&mut self, restoration: &Restoration) -> Result<(), Finding> {
        let Restoration { name, bound, archive, below } = restoration;
        let there = self.catalog.relations.get(name);
        if there.is_some_and(|relation| relation.partition_of.is_some()) {
            if !self.catalog.ledger.is_restored(name) {
                let message = "a partition of this name is there, and was not restored";
                return Err(refused(restoration, message.to_string()));
            }
            self.drop_proofs();
            return Ok(());
        }
        self.refuse_unreadable_bound(bound).map_err(|message| refused(restoration, message))?;
        self.refuse_overlap(restoration)?;
        self.refuse_taken_names(restoration)?;
        let default = default_and_condition(self.rule, &self.catalog, restoration)?;
        if let Some((default, condition)) = &default {
            let relation = self.catalog.relations[default].clone();
            self.prove(default, &relation, condition)?;
        }
        let parent = self.rule.table.clone();
        let mut locks = vec![lock(LockMode::ShareUpdateExclusive, &parent)];
        locks.extend(default.iter().map(|(name, _)| lock(LockMode::AccessExclusive, name)));
        let (name, bound) = (name.clone(), bound.clone());
        let below = below.clone();
        let new = NewPartition { name, parent, bound, traits: self.traits(), below };
        let (new, archive) = (Box::new(new), archive.clone());
        let action = PartitionAction::Restore { new, archive };
        let step = self.frame.short(Action::Partition(action), locks);
        let mut steps = self.ledger_steps();
        steps.push(step);
        self.push(self.stage("restore from the archive", steps));
        self.drop_proofs();
        Ok(())
    }

    /// The bound comes out of a file and becomes SQL: only what PostgreSQL would print is one.
    fn refuse_unreadable_bound(&self, bound: &str) -> Result<(), String> {
        let printed = match &self.rule.scheme {
            Scheme::Range(range) => RangeBound::parse(range.key_type, bound)?.to_string(),
            Scheme::Hash { .. } | Scheme::List | Scheme::Unruled => canonical_bound(bound)
                .ok_or_else(|| format!("without a rule for its table, {bound} cannot be read"))?,
        };
        match printed == bound {
            true => Ok(()),
            false => Err(format!("{bound} is not how a bound is written")),
        }
    }

    /// A restoration that was stopped may have made its partitions already.
    fn refuse_taken_names(&self, restoration: &Restoration) -> Result<(), Finding> {
        let taken = |name: &&QualifiedName| {
            self.catalog.relations.get(*name).is_some_and(|relation| {
                let parent = relation.partition_of.as_ref().map(|partition| &partition.parent);
                parent != Some(&restoration.name)
            })
        };
        match restoration.below.iter().flat_map(|below| &below.partitions).find(taken) {
            None => Ok(()),
            Some(name) => {
                let message = format!("the name {name} is taken by something else");
                Err(refused(restoration, message).help("rename that"))
            }
        }
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
            Some(member) => {
                let message = format!("{} holds a part of its range", member.name);
                Err(refused(restoration, message))
            }
        }
    }
}
