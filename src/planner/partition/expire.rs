//! Partitions that leave: written down, detached, and dropped after their grace.

use super::Plan;
use super::health::expired;
use super::members::members;
use super::rule::Range;
use crate::model::archive::Lineage;
use crate::model::below::{Below, Part};
use crate::model::catalog::{Catalog, RelationKind};
use crate::model::finding::Finding;
use crate::model::ident::{Ident, QualifiedName};
use crate::model::ledger::RetiredProgress;
use crate::model::lock::LockMode;
use crate::model::units::{Millis, plural};
use crate::planner::steps::lock;
use crate::profile::partitions::{Detach, Expiry};
use crate::runbook::action::Action;
use crate::runbook::partition::{Hazard, PartitionAction};
use crate::runbook::{HOLD, Lock, Step};

/// Whether all rows of a table can be read, and their place restored; the error says why not.
/// Foreign tables are refused elsewhere.
fn readable(catalog: &Catalog, table: &QualifiedName) -> Result<(), String> {
    let relation = &catalog.relations[table];
    let Some(key) = &relation.partition_key else { return Ok(()) };
    let partitions = catalog.partitions(table).filter_map(|(name, relation)| {
        let bound = relation.partition_of.as_ref()?.bound.as_str();
        Some(Part { name, kind: relation.kind, bound })
    });
    let parts: Vec<Part<'_>> = partitions.collect();
    Below::of(key, &parts).map(drop)
}

impl Plan<'_> {
    /// Takes away what the rule says is too old.
    pub(super) fn expire(&mut self, range: &Range) -> Result<(), Finding> {
        self.note_attached();
        let expired = self.expired(range)?;
        let expired = match self.rule.written.expiry {
            Expiry::Archive => self.archivable(expired),
            Expiry::Detach | Expiry::Drop => expired,
        };
        if !expired.is_empty() {
            let count = plural(expired.len(), "partition is", "partitions are");
            let message = format!("{count} past the retention");
            match self.drops_at_once() {
                true => self.drop_attached(&expired, &message),
                false => self.retire(&expired, &message),
            }
        }
        self.note_detached();
        match self.rule.written.expiry {
            Expiry::Detach => return Ok(()),
            Expiry::Archive => {
                let detached: Vec<QualifiedName> = self.expiring().cloned().collect();
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
        let tables = self.archivable(tables.to_vec());
        self.retire_named(&tables, "to be archived");
        self.archive(&tables);
    }

    /// Those that can be archived; of the others is said why not, and they stay where they are.
    fn archivable(&mut self, mut tables: Vec<QualifiedName>) -> Vec<QualifiedName> {
        tables.retain(|table| {
            let Err(why) = readable(&self.catalog, table) else { return true };
            let message = format!("{table} cannot be archived: {why}");
            let finding = self.notice("archive-not-possible", message);
            self.findings.push(finding.help("archive its partitions one by one"));
            false
        });
        tables
    }

    /// Archives detached tables that are not archived yet.
    fn archive(&mut self, tables: &[QualifiedName]) {
        let open = |table: &QualifiedName| {
            self.is_detached(table) && self.catalog.ledger.of(table).is_some_and(|r| !r.archived)
        };
        let tables = tables.iter().filter(|table| open(table)).cloned().collect();
        let mut steps = Vec::new();
        for table in &self.archivable(tables) {
            let Some(retired) = self.catalog.ledger.of(table) else { continue };
            let columns = self.catalog.relations.get(&retired.parent);
            let columns = columns.map_or(&[][..], |parent| &parent.key_columns);
            let key = columns.iter().filter_map(|(name, _)| Ident::new(name.as_str()).ok());
            let (parent, bound) = (retired.parent.clone(), retired.bound.clone());
            let lineage = Lineage { parent, bound, key: key.collect() };
            let action = PartitionAction::Archive { table: table.clone(), lineage };
            let tree = self.catalog.tree(table);
            let locks = tree.iter().map(|table| lock(LockMode::AccessShare, table)).collect();
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
        // Planning for a later day must not take away what is to be kept today.
        let today = self.moment.now.min(self.moment.clock);
        let Some(today) = range.key_type.point_at(today, range.zone) else {
            return Ok(Vec::new());
        };
        let expired = expired(&self.catalog, self.rule, range, &members, today);
        Ok(expired.into_iter().map(|member| member.name.clone()).collect())
    }

    /// Without a grace, and where readers may be stopped for some milliseconds, a partition need
    /// not become a table of its own before it is dropped.
    fn drops_at_once(&self) -> bool {
        let rule = self.rule.written;
        let wanted = (rule.detach, rule.expiry) == (Detach::Batched, Expiry::Drop);
        wanted && rule.grace.0 == 0 && self.moment.allowed.contains(&Hazard::DropPartition)
    }

    /// Drops partitions as they hang there, where that is allowed and possible.
    fn drop_attached(&mut self, leaving: &[QualifiedName], message: &str) {
        let leaving = &self.may_leave(leaving, message);
        if leaving.is_empty() {
            return;
        }
        self.push(self.stage("prepare the ledger", self.ledger_steps()));
        let locks = self.locks_of_leaving(leaving);
        let parent = self.rule.table.clone();
        let action =
            PartitionAction::DropAttached { parent, partitions: self.with_bounds(leaving) };
        let step = self.frame.short(Action::Partition(action), locks);
        let title = format!("drop {}", plural(leaving.len(), "partition", "partitions"));
        self.push(self.stage(&in_pieces(&title, leaving.len()), vec![step]));
    }

    /// Writes down and detaches, where that is allowed and possible.
    fn retire(&mut self, leaving: &[QualifiedName], message: &str) {
        let leaving = &self.may_leave(leaving, message);
        if leaving.is_empty() {
            return;
        }
        self.note_retiring(leaving);
        let default = self.catalog.default_partition(&self.rule.table).is_some();
        let title = format!("detach {}", plural(leaving.len(), "partition", "partitions"));
        let stage = match (self.rule.written.detach, default) {
            // PostgreSQL refuses CONCURRENTLY where there is a DEFAULT partition.
            (Detach::Concurrently, true) => {
                self.stage(&title, leaving.chunks(1).map(|table| self.detach(table)).collect())
            }
            (Detach::Batched, _) => {
                self.stage(&in_pieces(&title, leaving.len()), vec![self.detach(leaving)])
            }
            (Detach::Concurrently, false) => self.stage(
                &title,
                leaving.iter().map(|table| self.detach_concurrently(table)).collect(),
            ),
        };
        self.push(stage);
    }

    /// The partitions that may be taken away; findings say what is in the way of the others.
    fn may_leave(&mut self, leaving: &[QualifiedName], message: &str) -> Vec<QualifiedName> {
        if !self.moment.allowed.contains(&Hazard::DetachPartition) {
            let finding = self.notice("detach-not-allowed", message.to_string());
            self.findings.push(finding.help("allow it with --allow detach-partition"));
            return Vec::new();
        }
        if let Some(who) = self.answers.long_users.first() {
            let message = format!("{message}, but {who} uses the table, and would be waited for");
            let finding = self.notice("detach-blocked", message);
            self.findings.push(finding.help("the next run detaches them once that is over"));
            return Vec::new();
        }
        let relation = &self.catalog.relations[&self.rule.table];
        if let Some(table) = relation.referenced_by.first() {
            let message = format!("{message}, but a foreign key of {table} points at the table");
            let finding = self.notice("detach-blocked", message);
            self.findings.push(finding.help("drop that foreign key, or keep the partitions"));
            return Vec::new();
        }
        let foreign = |table: &&QualifiedName| {
            self.catalog.relations[*table].kind == RelationKind::ForeignTable
        };
        let (foreign, ordinary): (Vec<_>, Vec<_>) = leaving.iter().partition(foreign);
        for table in foreign {
            let message = format!("{message}, but {table} is a foreign table");
            let finding = self.notice("detach-blocked", message);
            self.findings.push(finding.help("detach it yourself: pgtune drops ordinary tables"));
        }
        ordinary.into_iter().cloned().collect()
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
        let unknown: Vec<QualifiedName> =
            leaving.iter().filter(|table| !noted(table)).cloned().collect();
        let partitions = self.with_bounds(&unknown);
        let mut steps = self.ledger_steps();
        if !partitions.is_empty() {
            let parent = self.rule.table.clone();
            let expires = self.rule.written.expiry != Expiry::Detach;
            let action = PartitionAction::NoteRetiring { parent, partitions, expires };
            let action = Action::Partition(action);
            steps.push(self.frame.short(action, Vec::new()));
        }
        self.push(self.stage("note what leaves", steps));
    }

    fn with_bounds(&self, partitions: &[QualifiedName]) -> Vec<(QualifiedName, String)> {
        let with_bound = |table: &QualifiedName| {
            let partition = self.catalog.relations.get(table)?.partition_of.as_ref()?;
            Some((table.clone(), partition.bound.clone()))
        };
        partitions.iter().filter_map(with_bound).collect()
    }

    /// Makes the ledger, where there is none or one of an older pgtune.
    pub(super) fn ledger_steps(&self) -> Vec<Step> {
        let action = Action::Partition(PartitionAction::PrepareLedger);
        let step = (!self.catalog.ledger.prepared).then(|| self.frame.short(action, Vec::new()));
        step.into_iter().collect()
    }

    /// Waits for transactions that use the table, and stops nobody meanwhile; unless a foreign key
    /// points elsewhere: writers there queue behind its lock, so that it must not wait for long.
    fn detach_concurrently(&self, partition: &QualifiedName) -> Step {
        let parent = self.rule.table.clone();
        let references = &self.catalog.relations[&parent].references;
        let mut locks = vec![
            lock(LockMode::ShareUpdateExclusive, &parent),
            lock(LockMode::AccessExclusive, partition),
        ];
        locks.extend(references.iter().map(|table| lock(LockMode::ShareRowExclusive, table)));
        let partition = partition.clone();
        let action = Action::Partition(PartitionAction::DetachConcurrently { parent, partition });
        if references.is_empty() {
            return self.frame.patient(action, locks);
        }
        let mut step = self.frame.short(action, locks);
        step.limits.statement_timeout = Millis(0);
        step
    }

    /// At once, under ACCESS EXCLUSIVE for a moment.
    fn detach(&self, partitions: &[QualifiedName]) -> Step {
        let locks = self.locks_of_leaving(partitions);
        let (parent, partitions) = (self.rule.table.clone(), partitions.to_vec());
        let action = PartitionAction::Detach { parent, partitions };
        self.frame.short(Action::Partition(action), locks)
    }

    /// What taking partitions away without CONCURRENTLY locks.
    fn locks_of_leaving(&self, partitions: &[QualifiedName]) -> Vec<Lock> {
        let parent = &self.rule.table;
        let default = self.catalog.default_partition(parent).map(|(name, _)| name);
        let tables: Vec<&QualifiedName> =
            [parent].into_iter().chain(default).chain(partitions).collect();
        self.exclusive_locks(&tables)
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

    /// Tables that a rule took away, and not somebody by name.
    fn expiring(&self) -> impl Iterator<Item = &QualifiedName> {
        let ours = self.catalog.ledger.retired.iter();
        ours.filter(|r| r.parent == self.rule.table && r.expires).map(|retired| &retired.table)
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
                let since = (self.moment.clock - at).num_milliseconds();
                grace.0 == 0 || u64::try_from(since).is_ok_and(|since| since >= grace.0)
            }
        };
        let known = |table: &QualifiedName| self.catalog.ledger.of(table);
        let safe = |table: &QualifiedName| match self.rule.written.expiry {
            Expiry::Archive => known(table).is_some_and(|retired| retired.archived),
            Expiry::Detach | Expiry::Drop => true,
        };
        let due = self.expiring().filter(|table| {
            known(table).is_some_and(|retired| over(retired.progress))
                && self.is_detached(table)
                && safe(table)
        });
        due.cloned().collect()
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
        let is_archived =
            |table: &&QualifiedName| self.catalog.ledger.of(table).is_some_and(|r| r.archived);
        let (archived, others): (Vec<_>, Vec<_>) = tables.iter().partition(is_archived);
        let step = |action: PartitionAction, tables: &[&QualifiedName]| {
            // With a foreign key go its triggers on the table it points at.
            let referenced =
                tables.iter().flat_map(|table| &self.catalog.relations[*table].references);
            let trees = tables.iter().flat_map(|table| self.catalog.tree(table));
            let tables = trees.chain(referenced.cloned());
            let locks = tables.map(|table| lock(LockMode::AccessExclusive, &table));
            self.frame.short(Action::Partition(action), locks.collect())
        };
        let mut steps: Vec<Step> = archived
            .iter()
            .map(|table| step(PartitionAction::DropArchived { table: (*table).clone() }, &[table]))
            .collect();
        if !others.is_empty() {
            let tables = others.iter().map(|table| (*table).clone()).collect();
            steps.push(step(PartitionAction::Drop { tables }, &others));
        }
        let title = format!("drop {}", plural(tables.len(), "detached table", "detached tables"));
        self.push(self.stage(&title, steps));
    }
}

/// A title that says so where the executor will cut.
fn in_pieces(title: &str, tables: usize) -> String {
    match tables {
        0 | 1 => title.to_string(),
        _ => format!("{title}, in transactions of about {HOLD}"),
    }
}
