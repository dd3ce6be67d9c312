//! Statements of a migration that no transaction can hold. They leave no trace that could be
//! judged after a crash, so each is written down before and after.

use std::collections::BTreeSet;
use std::mem::take;

use super::effects::{follow_drop_index, guess};
use super::{File, sql_text};
use crate::model::catalog::{Catalog, Partition, RelationKind};
use crate::model::finding::{Finding, Severity};
use crate::model::ident::{Ident, QualifiedName};
use crate::model::lock::LockMode;
use crate::model::migration::statement_checksum;
use crate::model::units::plural;
use crate::planner::index::finalize_step;
use crate::planner::steps::lock;
use crate::runbook::action::{Action, SqlText};
use crate::runbook::history::What;
use crate::runbook::{Lock, Stage, Step};
use crate::sql::Statement;
use crate::sql::statement::{Detach, DropIndex, Kind, Name, Reindex, ReindexTarget};

impl File<'_> {
    /// A statement that cannot run in a transaction: marked as begun, run, recorded.
    pub(super) fn alone_if(
        &mut self,
        alone: bool,
        catalog: &mut Catalog,
        number: u32,
        statement: &Statement,
        begun: bool,
    ) {
        if !alone {
            return self.together(catalog, number, statement);
        }
        self.end_group(catalog);
        let locks = self.known_locks(catalog, statement);
        let step = self.alone_step(sql_text(number, statement), &statement.kind, locks);
        let title = "one statement outside a transaction";
        self.marked(catalog, number, statement, begun, title, vec![step]);
    }

    pub(super) fn known_locks(&self, catalog: &Catalog, statement: &Statement) -> Vec<Lock> {
        let resolve = |table: &Name| catalog.resolve_relation(table).cloned();
        let locks = statement.locks.iter();
        locks.filter_map(|l| Some(lock(l.mode, &resolve(&l.table)?))).collect()
    }

    /// Steps that leave no trace that can be judged, as one stage: written down as begun before
    /// (unless an earlier run did), and as done after.
    pub(super) fn marked(
        &mut self,
        catalog: &mut Catalog,
        number: u32,
        statement: &Statement,
        begun: bool,
        title: &str,
        steps: Vec<Step>,
    ) {
        let mark = (number, statement_checksum(&statement.text));
        let mut marked = Vec::new();
        if !begun {
            marked.push(self.record_step(What::Begun(vec![mark])));
        }
        marked.extend(steps);
        self.note_done(number, statement);
        let done = What::Done(take(&mut self.unrecorded));
        marked.push(self.record_step(done));
        self.has_progress = true;
        let title = format!("{}: {title}", self.migration.id);
        self.push(catalog, Stage { title, steps: marked, lanes: 1, look_again: true });
    }

    /// What queues for a lock that stops others (VACUUM FULL) queues briefly and comes back. The
    /// exception is a concurrent detach: interrupted, it stays pending.
    pub(super) fn alone_step(&self, statement: SqlText, kind: &Kind, locks: Vec<Lock>) -> Step {
        let action = Action::RunAlone { migration: self.migration.id.clone(), statement };
        let detach = matches!(kind, Kind::DetachConcurrently(_));
        if !detach && locks.iter().any(|lock| lock.mode > LockMode::ShareUpdateExclusive) {
            self.frame.short(action, locks)
        } else {
            self.frame.patient(action, locks)
        }
    }

    /// DROP INDEX: concurrently, except for what only a plain DROP INDEX can do.
    pub(super) fn drop_index(
        &mut self,
        catalog: &mut Catalog,
        number: u32,
        statement: &Statement,
        drop: &DropIndex,
        begun: bool,
    ) {
        let resolve = |name: &Name| catalog.resolve_index(name).cloned();
        let missing = drop.names.iter().find(|name| resolve(name).is_none());
        match missing.filter(|_| !begun) {
            Some(_) if !self.is_certain() => {
                return self.drop_later(catalog, number, statement, drop);
            }
            Some(name) if !drop.if_exists => {
                return self.findings.push(no_such_index(&self.frame.title, name));
            }
            Some(_) | None => {}
        }
        let existing: Vec<QualifiedName> = drop.names.iter().filter_map(resolve).collect();
        let online = |name: &QualifiedName| drops_online(catalog, &self.created, name);
        if drop.cascade || !existing.iter().all(online) {
            for name in &existing {
                let index = &catalog.indexes[name];
                let table = index.table.clone();
                if !self.created.contains(&table) {
                    self.add_lock(LockMode::AccessExclusive, &table);
                }
            }
            self.together(catalog, number, statement);
            existing.iter().for_each(|name| follow_drop_index(catalog, name));
            return;
        }
        if existing.is_empty() {
            return self.note_done(number, statement);
        }
        self.end_group(catalog);
        let steps = existing.into_iter().map(|index| {
            let locks = vec![lock(LockMode::ShareUpdateExclusive, &catalog.indexes[&index].table)];
            self.frame.patient(Action::DropIndex { index }, locks)
        });
        let steps: Vec<Step> = steps.collect();
        let title = format!("drop {} concurrently", plural(steps.len(), "index", "indexes"));
        self.marked(catalog, number, statement, begun, &title, steps);
    }

    /// DROP INDEX of what an earlier statement will have made; how is seen when it is there.
    pub(super) fn drop_later(
        &mut self,
        catalog: &mut Catalog,
        number: u32,
        statement: &Statement,
        drop: &DropIndex,
    ) {
        self.end_group(catalog);
        let indexes = drop.names.iter().filter_map(|name| guess(catalog, name));
        let step = |index| self.frame.patient(Action::DropIndex { index }, Vec::new());
        let steps: Vec<Step> = indexes.map(step).collect();
        let title = format!("drop {} concurrently", plural(steps.len(), "index", "indexes"));
        self.marked(catalog, number, statement, false, &title, steps);
    }

    /// REINDEX: concurrently, after the leftovers of an interrupted one are gone.
    pub(super) fn reindex(
        &mut self,
        catalog: &mut Catalog,
        number: u32,
        statement: &Statement,
        reindex: &Reindex,
        begun: bool,
    ) {
        let table = match reindex.target {
            ReindexTarget::Table => self.table(catalog, &reindex.name),
            ReindexTarget::Index => catalog
                .resolve_index(&reindex.name)
                .map(|name| catalog.indexes[name].table.clone())
                .or_else(|| self.table(catalog, &reindex.name)),
        };
        let Some(table) = table.filter(|table| !self.created.contains(table)) else {
            return self.alone_if(reindex.concurrently, catalog, number, statement, begun);
        };
        self.end_group(catalog);
        let mut steps =
            if begun { self.drop_reindex_leftovers(catalog, &table) } else { Vec::new() };
        let text = concurrent_reindex(reindex);
        let locks = vec![lock(LockMode::ShareUpdateExclusive, &table)];
        let concurrent = SqlText { text, ..sql_text(number, statement) };
        steps.push(self.alone_step(concurrent, &statement.kind, locks));
        self.marked(catalog, number, statement, begun, "reindex concurrently", steps);
    }

    /// An interrupted REINDEX CONCURRENTLY leaves invalid `…_ccnew` or `…_ccold` indexes (manual,
    /// REINDEX, "Rebuilding Indexes Concurrently").
    pub(super) fn drop_reindex_leftovers(
        &self,
        catalog: &Catalog,
        table: &QualifiedName,
    ) -> Vec<Step> {
        let is_leftover = |name: &str| name.contains("_ccnew") || name.contains("_ccold");
        let tables: BTreeSet<QualifiedName> = catalog.tree(table).into_iter().collect();
        catalog
            .indexes
            .iter()
            .filter(|(name, index)| {
                !index.valid && is_leftover(name.name.as_str()) && tables.contains(&index.table)
            })
            .map(|(name, index)| {
                let locks = vec![lock(LockMode::ShareUpdateExclusive, &index.table)];
                let step = self.frame.patient(Action::DropIndex { index: name.clone() }, locks);
                Step { note: "left by an interrupted REINDEX".to_string(), ..step }
            })
            .collect()
    }

    /// DETACH CONCURRENTLY: finished if an earlier run left it pending.
    pub(super) fn detach(
        &mut self,
        catalog: &mut Catalog,
        number: u32,
        statement: &Statement,
        detach: &Detach,
        begun: bool,
    ) {
        let parent = catalog.resolve_relation(&detach.parent).cloned();
        let partition = catalog.resolve_relation(&detach.partition).cloned();
        let (Some(parent), Some(partition)) = (parent, partition) else {
            return self.alone_if(true, catalog, number, statement, begun);
        };
        let attached = catalog.relations[&partition].partition_of.clone();
        if attached.is_some() {
            self.finish_other_detaches(catalog, &parent, &partition);
        }
        match attached {
            Some(Partition { detach_pending: true, .. }) => {
                self.end_group(catalog);
                let title = format!("{}: finish the detach of {partition}", self.frame.title);
                let step = finalize_step(&self.frame, &parent, &partition);
                self.push(catalog, Stage { look_again: true, ..Stage::single(title, step) });
                self.note_done(number, statement);
            }
            None if begun => self.note_done(number, statement),
            Some(Partition { .. }) | None => {
                self.alone_if(true, catalog, number, statement, begun);
                if let Some(relation) = catalog.relations.get_mut(&partition) {
                    relation.partition_of = None;
                }
            }
        }
    }

    /// One pending detach blocks all others of the same parent (manual, ALTER TABLE, FINALIZE).
    pub(super) fn finish_other_detaches(
        &mut self,
        catalog: &mut Catalog,
        parent: &QualifiedName,
        partition: &QualifiedName,
    ) {
        let pending = catalog.partitions(parent).filter(|(name, relation)| {
            *name != partition && relation.partition_of.as_ref().is_some_and(|p| p.detach_pending)
        });
        let pending: Vec<QualifiedName> = pending.map(|(name, _)| name.clone()).collect();
        for sibling in pending {
            self.end_group(catalog);
            let title = format!("{}: finish the detach of {sibling}", self.frame.title);
            let step = finalize_step(&self.frame, parent, &sibling);
            self.push(catalog, Stage { look_again: true, ..Stage::single(title, step) });
        }
    }
}

fn no_such_index(subject: &str, name: &[Ident]) -> Finding {
    let name: Vec<String> = name.iter().map(ToString::to_string).collect();
    let message = format!("the index {} does not exist", name.join("."));
    Finding::new("no-such-index", Severity::Error, subject, message)
        .help("write DROP INDEX IF EXISTS if that may be so")
}

/// Whether DROP INDEX CONCURRENTLY can do it: not for constraints, partitioned indexes and their
/// parts (manual, DROP INDEX), and there is no need for it on tables the file itself creates.
fn drops_online(
    catalog: &Catalog,
    created: &BTreeSet<QualifiedName>,
    name: &QualifiedName,
) -> bool {
    let index = &catalog.indexes[name];
    let kind = catalog.relations.get(&index.table).map(|relation| relation.kind);
    index.constraint.is_none()
        && index.parent.is_none()
        && kind != Some(RelationKind::PartitionedTable)
        && !created.contains(&index.table)
}

fn concurrent_reindex(reindex: &Reindex) -> String {
    let options = match reindex.options.as_slice() {
        [] => String::new(),
        options => format!("({}) ", options.join(", ")),
    };
    let target = match reindex.target {
        ReindexTarget::Index => "INDEX",
        ReindexTarget::Table => "TABLE",
    };
    let name: Vec<String> = reindex.name.iter().map(ToString::to_string).collect();
    format!("REINDEX {options}{target} CONCURRENTLY {}", name.join("."))
}
