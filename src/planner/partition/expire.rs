//! Partitions that leave: written down, detached, and dropped after their grace.

use super::Plan;
use super::health::expired;
use super::members::members;
use super::rule::Range;
use crate::model::archive::Lineage;
use crate::model::catalog::RelationKind;
use crate::model::finding::Finding;
use crate::model::ident::{Ident, QualifiedName};
use crate::model::ledger::RetiredProgress;
use crate::model::lock::LockMode;
use crate::model::units::{Millis, plural};
use crate::planner::steps::lock;
use crate::profile::partitions::Expiry;
use crate::runbook::Step;
use crate::runbook::action::Action;
use crate::runbook::partition::{DEFAULT_BOUND, Hazard, PartitionAction};

impl Plan<'_> {
    /// Takes away what the rule says is too old.
    pub(super) fn expire(&mut self, range: &Range) -> Result<(), Finding> {
        self.note_attached();
        let expired = self.expired(range)?;
        if !expired.is_empty() {
            let count = plural(expired.len(), "partition is", "partitions are");
            self.retire(&expired, &format!("{count} past the retention"));
        }
        self.note_detached();
        match self.rule.written.expiry {
            Expiry::Detach => return Ok(()),
            Expiry::Archive => {
                let detached = self.retired().map(|(table, _)| table.clone()).collect::<Vec<_>>();
                self.archive(&detached);
            }
            Expiry::Drop => {}
        }
        let due = self.past_grace();
        let count = plural(due.len(), "detached table is", "detached tables are");
        self.drop_tables(&due, &format!("{count} past the grace period"));
        Ok(())
    }

    /// Detaches these, where they are attached still, and archives them.
    pub(super) fn archive_named(&mut self, tables: &[QualifiedName]) {
        self.retire_named(tables, "to be archived");
        self.archive(tables);
    }

    /// Archives detached tables that are not archived yet. One that is partitioned itself has no
    /// rows of its own: its partitions would be lost.
    fn archive(&mut self, tables: &[QualifiedName]) {
        let mut steps = Vec::new();
        let detached: Vec<&QualifiedName> =
            tables.iter().filter(|table| self.is_detached(table)).collect();
        for table in detached {
            let Some(retired) = self.catalog.ledger.of(table).filter(|r| !r.archived) else {
                continue;
            };
            if self.catalog.relations[table].kind != RelationKind::Table {
                let message =
                    format!("{table} is partitioned itself, and cannot be archived whole");
                let finding = self.notice("archive-not-possible", message);
                self.findings.push(finding.help("archive its partitions one by one"));
                continue;
            }
            let columns = self.catalog.relations.get(&retired.parent);
            let columns = columns.map_or(&[][..], |parent| &parent.key_columns);
            let key = columns.iter().filter_map(|(name, _)| Ident::new(name.as_str()).ok());
            let (parent, bound) = (retired.parent.clone(), retired.bound.clone());
            let lineage = Lineage { parent, bound, key: key.collect() };
            let action = PartitionAction::Archive { table: table.clone(), lineage };
            let locks = vec![lock(LockMode::AccessShare, table)];
            steps.push(self.frame.patient(Action::Partition(action), locks));
        }
        let title = format!("archive {}", plural(steps.len(), "table", "tables"));
        self.push(self.stage(&title, steps));
    }

    /// Takes these away now, whatever a rule says.
    pub(super) fn drop_named(&mut self, tables: &[QualifiedName]) {
        self.retire_named(tables, "to be dropped");
        let known = |table: &&QualifiedName| {
            self.catalog.ledger.of(table).is_some() && self.is_detached(table)
        };
        let loose: Vec<QualifiedName> = tables.iter().filter(known).cloned().collect();
        let count = plural(loose.len(), "detached table is", "detached tables are");
        self.drop_tables(&loose, &format!("{count} to be dropped"));
    }

    fn retire_named(&mut self, tables: &[QualifiedName], what_for: &str) {
        let leaving: Vec<QualifiedName> =
            tables.iter().filter(|table| self.is_attached(table)).cloned().collect();
        if !leaving.is_empty() {
            let count = plural(leaving.len(), "partition is", "partitions are");
            self.retire(&leaving, &format!("{count} {what_for}"));
        }
        self.note_detached();
    }

    fn expired(&self, range: &Range) -> Result<Vec<QualifiedName>, Finding> {
        let members = members(&self.catalog, self.rule, range)?;
        let Some(now) = range.key_type.point_at(self.moment.now, range.zone) else {
            return Ok(Vec::new());
        };
        let expired = expired(&self.catalog, self.rule, range, &members, now);
        Ok(expired.into_iter().map(|member| member.name.clone()).collect())
    }

    /// Writes down and detaches, where that is allowed and possible.
    fn retire(&mut self, leaving: &[QualifiedName], message: &str) {
        if !self.moment.allowed.contains(&Hazard::DetachPartition) {
            let finding = self.notice("detach-not-allowed", message.to_string());
            self.findings.push(finding.help("allow it with --allow detach-partition"));
            return;
        }
        let relation = &self.catalog.relations[&self.rule.table];
        if let Some(table) = relation.referenced_by.first() {
            let message = format!("{message}, but a foreign key of {table} points at the table");
            let finding = self.notice("detach-blocked", message);
            self.findings.push(finding.help("drop that foreign key, or keep the partitions"));
            return;
        }
        self.note_retiring(leaving);
        let steps: Vec<Step> = leaving.iter().map(|table| self.detach_step(table)).collect();
        let title = format!("detach {}", plural(steps.len(), "partition", "partitions"));
        self.push(self.stage(&title, steps));
    }

    fn notice(&self, check: &str, message: String) -> Finding {
        Finding::new(check, self.severity, self.rule.table.to_string(), message)
    }

    /// The ledger knows of a partition before it is detached: a stop in between loses no table.
    fn note_retiring(&mut self, leaving: &[QualifiedName]) {
        // What left before and was attached again is written down anew.
        let noted = |table: &QualifiedName| {
            let known = self.catalog.ledger.of(table);
            known.is_some_and(|retired| retired.progress == RetiredProgress::Retiring)
        };
        let unknown = leaving.iter().filter(|table| !noted(table));
        let partitions: Vec<(QualifiedName, String)> = unknown
            .filter_map(|table| {
                let partition = self.catalog.relations.get(table)?.partition_of.as_ref()?;
                Some((table.clone(), partition.bound.clone()))
            })
            .collect();
        let mut steps = self.ledger_steps();
        if !partitions.is_empty() {
            let parent = self.rule.table.clone();
            let action = Action::Partition(PartitionAction::NoteRetiring { parent, partitions });
            steps.push(self.frame.short(action, Vec::new()));
        }
        self.push(self.stage("note what leaves", steps));
    }

    /// Makes the ledger, where there is none.
    pub(super) fn ledger_steps(&self) -> Vec<Step> {
        let action = Action::Partition(PartitionAction::PrepareLedger);
        let step = (!self.catalog.ledger.exists).then(|| self.frame.short(action, Vec::new()));
        step.into_iter().collect()
    }

    /// Concurrently, which stops nobody. PostgreSQL refuses that where there is a DEFAULT
    /// partition (manual, ALTER TABLE, DETACH PARTITION): then ACCESS EXCLUSIVE, for a moment.
    fn detach_step(&self, partition: &QualifiedName) -> Step {
        let parent = self.rule.table.clone();
        let default = self.catalog.partitions(&parent).find(|(_, relation)| {
            relation.partition_of.as_ref().is_some_and(|p| p.bound == DEFAULT_BOUND)
        });
        let on_partition = lock(LockMode::AccessExclusive, partition);
        let references = self.catalog.relations[&parent].references.iter();
        let references = references.map(|table| lock(LockMode::ShareRowExclusive, table));
        match default {
            None => {
                let on_parent = lock(LockMode::ShareUpdateExclusive, &parent);
                let locks = [on_parent, on_partition].into_iter().chain(references).collect();
                let partition = partition.clone();
                let action = PartitionAction::DetachConcurrently { parent, partition };
                let action = Action::Partition(action);
                if self.catalog.relations[&self.rule.table].references.is_empty() {
                    return self.frame.patient(action, locks);
                }
                // Writers of a referenced table queue behind its lock: it must not wait for long.
                let mut step = self.frame.short(action, locks);
                step.limits.statement_timeout = Millis(0);
                step
            }
            Some((default, _)) => {
                let on_parent = lock(LockMode::AccessExclusive, &parent);
                let on_default = lock(LockMode::AccessExclusive, default);
                let locks = [on_parent, on_partition, on_default].into_iter().chain(references);
                let partitions = vec![partition.clone()];
                let action = PartitionAction::Detach { parent, partitions };
                self.frame.short(Action::Partition(action), locks.collect())
            }
        }
    }

    /// A table that somebody attached again has not left: when it leaves, its grace begins anew.
    fn note_attached(&mut self) {
        let tables: Vec<QualifiedName> = self
            .retired()
            .filter(|(table, progress)| {
                matches!(progress, RetiredProgress::DetachedAt(_) | RetiredProgress::DetachedNow)
                    && !self.is_detached(table)
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
            .filter(|(table, progress)| {
                *progress == RetiredProgress::Retiring && self.is_detached(table)
            })
            .map(|(table, _)| table.clone())
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

    fn is_attached(&self, table: &QualifiedName) -> bool {
        self.catalog.relations.get(table).is_some_and(|relation| relation.partition_of.is_some())
    }

    /// Detached tables whose grace is over.
    fn past_grace(&self) -> Vec<QualifiedName> {
        let grace = self.rule.written.grace;
        let over = |progress: RetiredProgress| match progress {
            RetiredProgress::Retiring | RetiredProgress::Restored => false,
            RetiredProgress::DetachedNow => grace.0 == 0,
            RetiredProgress::DetachedAt(at) => {
                let since = (self.moment.now - at).num_milliseconds();
                grace.0 == 0 || u64::try_from(since).is_ok_and(|since| since >= grace.0)
            }
        };
        let safe = |table: &QualifiedName| match self.rule.written.expiry {
            Expiry::Archive => {
                self.catalog.ledger.of(table).is_some_and(|retired| retired.archived)
            }
            Expiry::Detach | Expiry::Drop => true,
        };
        let due = self
            .retired()
            .filter(|(table, since)| over(*since) && self.is_detached(table) && safe(table));
        due.map(|(table, _)| table.clone()).collect()
    }

    /// Drops detached tables, where that is allowed.
    fn drop_tables(&mut self, tables: &[QualifiedName], message: &str) {
        if tables.is_empty() {
            return;
        }
        if !self.moment.allowed.contains(&Hazard::DropPartition) {
            let finding = self.notice("drop-not-allowed", message.to_string());
            self.findings.push(finding.help("allow it with --allow drop-partition"));
            return;
        }
        let step = |table: &QualifiedName| {
            let locks = vec![lock(LockMode::AccessExclusive, table)];
            let archived = self.catalog.ledger.of(table).is_some_and(|retired| retired.archived);
            let action = match archived {
                true => PartitionAction::DropArchived { table: table.clone() },
                false => PartitionAction::Drop { tables: vec![table.clone()] },
            };
            self.frame.short(Action::Partition(action), locks)
        };
        let steps: Vec<Step> = tables.iter().map(step).collect();
        let title = format!("drop {}", plural(steps.len(), "detached table", "detached tables"));
        self.push(self.stage(&title, steps));
    }
}
