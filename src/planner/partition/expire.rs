//! Partitions that are too old: written down, detached, and dropped after their grace.

use super::Plan;
use super::members::{Member, Members, members};
use super::rule::Range;
use crate::model::catalog::Relation;
use crate::model::finding::{Finding, Severity};
use crate::model::ident::QualifiedName;
use crate::model::ledger::RetiredProgress;
use crate::model::lock::LockMode;
use crate::model::time_key::Limit;
use crate::model::units::{Millis, plural};
use crate::planner::steps::lock;
use crate::profile::partitions::Expiry;
use crate::runbook::Step;
use crate::runbook::action::Action;
use crate::runbook::partition::{Hazard, PartitionAction};

impl Plan<'_> {
    pub(super) fn expire(&mut self, range: &Range) -> Result<(), Finding> {
        self.note_attached();
        self.retire(range)?;
        self.note_detached();
        self.drop_old();
        Ok(())
    }

    /// Detaches what is wholly older than the retention.
    fn retire(&mut self, range: &Range) -> Result<(), Finding> {
        let catalog = self.catalog.clone();
        let members = members(&catalog, self.rule, range)?;
        let expired = self.expired(range, &members);
        if expired.is_empty() {
            return Ok(());
        }
        let count = plural(expired.len(), "partition is", "partitions are");
        let message = format!("{count} past the retention");
        if !self.moment.allowed.contains(&Hazard::DetachPartition) {
            let finding = self.notice("retention-overdue", message);
            self.findings.push(finding.help("allow it with --allow detach-partition"));
            return Ok(());
        }
        let relation = &catalog.relations[&self.rule.table];
        if let Some(table) = relation.referenced_by.first() {
            let finding = self.notice(
                "detach-blocked",
                format!("{message}, but a foreign key of {table} points at the table"),
            );
            self.findings.push(finding.help("drop that foreign key, or keep the partitions"));
            return Ok(());
        }
        self.note_retiring(&expired);
        let steps: Vec<Step> = expired
            .iter()
            .map(|member| self.detach_step(&members, relation, member.name))
            .collect();
        let title = format!("detach {}", plural(steps.len(), "partition", "partitions"));
        self.push(self.stage(&title, steps));
        Ok(())
    }

    fn notice(&self, check: &str, message: String) -> Finding {
        Finding::new(check, Severity::Warning, self.rule.table.to_string(), message)
    }

    /// A partition leaves when its upper bound is not inside the window.
    fn expired<'m>(&self, range: &Range, members: &'m Members<'m>) -> Vec<&'m Member<'m>> {
        let now = range.key_type.point_at(self.moment.now, range.zone);
        let retention = self.rule.written.retention;
        let cutoff = now.zip(retention).and_then(|(now, span)| range.grid.minus(now, span));
        let Some(cutoff) = cutoff else { return Vec::new() };
        members.ranges.iter().filter(|m| m.bound.upper() <= Limit::At(cutoff)).collect()
    }

    /// The ledger knows of a partition before it is detached: a stop in between loses no table.
    fn note_retiring(&mut self, expired: &[&Member<'_>]) {
        let unknown = expired.iter().filter(|m| self.catalog.ledger.of(m.name).is_none());
        let bound = |m: &Member<'_>| m.bound.to_string();
        let partitions: Vec<_> = unknown.map(|m| (m.name.clone(), bound(m))).collect();
        let mut steps = Vec::new();
        if !self.catalog.ledger.exists {
            let action = Action::Partition(PartitionAction::PrepareLedger);
            steps.push(self.frame.short(action, Vec::new()));
        }
        if !partitions.is_empty() {
            let parent = self.rule.table.clone();
            let action = Action::Partition(PartitionAction::NoteRetiring { parent, partitions });
            steps.push(self.frame.short(action, Vec::new()));
        }
        self.push(self.stage("note what leaves", steps));
    }

    /// Concurrently, which stops nobody. PostgreSQL refuses that where there is a DEFAULT
    /// partition (manual, ALTER TABLE, DETACH PARTITION): then ACCESS EXCLUSIVE, for a moment.
    fn detach_step(
        &self,
        members: &Members<'_>,
        parent_relation: &Relation,
        partition: &QualifiedName,
    ) -> Step {
        let parent = self.rule.table.clone();
        let mode = match members.default {
            None => LockMode::ShareUpdateExclusive,
            Some(_) => LockMode::AccessExclusive,
        };
        let mut locks = vec![lock(mode, &parent), lock(LockMode::AccessExclusive, partition)];
        let references = parent_relation.references.iter();
        locks.extend(references.map(|table| lock(LockMode::ShareRowExclusive, table)));
        match members.default {
            None => {
                let partition = partition.clone();
                let action = PartitionAction::DetachConcurrently { parent, partition };
                let action = Action::Partition(action);
                if parent_relation.references.is_empty() {
                    return self.frame.patient(action, locks);
                }
                // Writers of a referenced table queue behind its lock: it must not wait for long.
                let mut step = self.frame.short(action, locks);
                step.limits.statement_timeout = Millis(0);
                step
            }
            Some((default, _)) => {
                locks.push(lock(LockMode::AccessExclusive, default));
                let partitions = vec![partition.clone()];
                let action = PartitionAction::Detach { parent, partitions };
                self.frame.short(Action::Partition(action), locks)
            }
        }
    }

    /// A table that somebody attached again has not left: when it leaves, its grace begins anew.
    fn note_attached(&mut self) {
        let tables: Vec<QualifiedName> = self
            .retired()
            .filter(|(table, progress)| {
                *progress != RetiredProgress::Retiring && !self.is_detached(table)
            })
            .map(|(table, _)| table.clone())
            .collect();
        if !tables.is_empty() {
            let action = Action::Partition(PartitionAction::NoteAttached { tables });
            let step = self.frame.short(action, Vec::new());
            self.push(self.stage("note what is attached again", vec![step]));
        }
    }

    /// Grace begins when a table is seen to be detached, also after a stop in between.
    fn note_detached(&mut self) {
        let tables: Vec<QualifiedName> = self
            .retired()
            .filter(|(_, progress)| *progress == RetiredProgress::Retiring)
            .map(|(table, _)| table.clone())
            .filter(|table| self.is_detached(table))
            .collect();
        if !tables.is_empty() {
            let action = Action::Partition(PartitionAction::NoteDetached { tables });
            let step = self.frame.short(action, Vec::new());
            self.push(self.stage("note since when they are detached", vec![step]));
        }
    }

    fn retired(&self) -> impl Iterator<Item = (&QualifiedName, RetiredProgress)> {
        let ours = self.catalog.ledger.retired.iter().filter(|r| r.parent == self.rule.table);
        ours.map(|retired| (&retired.table, retired.progress))
    }

    fn is_detached(&self, table: &QualifiedName) -> bool {
        self.catalog.relations.get(table).is_some_and(|relation| relation.partition_of.is_none())
    }

    /// Drops what the rule says is to be dropped, after its grace.
    fn drop_old(&mut self) {
        match self.rule.written.expiry {
            Expiry::Detach | Expiry::Archive => return,
            Expiry::Drop => {}
        }
        let grace = self.rule.written.grace;
        let old = |progress: RetiredProgress| match progress {
            RetiredProgress::Retiring => false,
            RetiredProgress::DetachedNow => grace.0 == 0,
            RetiredProgress::DetachedAt(at) => {
                (self.moment.now - at).num_milliseconds()
                    >= i64::try_from(grace.0).unwrap_or(i64::MAX)
            }
        };
        let due =
            self.retired().filter(|(table, progress)| old(*progress) && self.is_detached(table));
        let tables: Vec<QualifiedName> = due.map(|(table, _)| table.clone()).collect();
        if tables.is_empty() {
            return;
        }
        if !self.moment.allowed.contains(&Hazard::DropPartition) {
            let count = plural(tables.len(), "detached table is", "detached tables are");
            let finding = self.notice("drop-overdue", format!("{count} past the grace period"));
            self.findings.push(finding.help("allow it with --allow drop-partition"));
            return;
        }
        let steps = tables
            .into_iter()
            .map(|table| {
                let locks = vec![lock(LockMode::AccessExclusive, &table)];
                let action = PartitionAction::Drop { tables: vec![table] };
                self.frame.short(Action::Partition(action), locks)
            })
            .collect::<Vec<_>>();
        let title = format!("drop {}", plural(steps.len(), "detached table", "detached tables"));
        self.push(self.stage(&title, steps));
    }
}
