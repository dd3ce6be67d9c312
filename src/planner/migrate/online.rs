//! Index work of a migration: what is to be built, under which name, and whether it is there.

use std::mem::take;

use super::File;
use super::effects::{guess, temporary_schema};
use crate::model::catalog::{Catalog, RelationKind};
use crate::model::finding::{Finding, Severity};
use crate::model::ident::{Ident, QualifiedName};
use crate::model::migration::statement_checksum;
use crate::planner::index::{self, Wanted};
use crate::planner::names::{distinct_columns, index_names, is_free};
use crate::planner::tree::{is_an_earlier_try, is_the_wanted_one};
use crate::runbook::Stage;
use crate::runbook::action::{NewIndex, NewKey, apply_all};
use crate::runbook::history::What;
use crate::sql::Statement;
use crate::sql::statement::{AddKey, CreateIndex};

impl File<'_> {
    /// Plans index work; nothing where it is already done. Without a `name` the statement's index
    /// cannot be told for sure from another like it, so that it is done is recorded at once.
    pub(super) fn online(
        &mut self,
        catalog: &mut Catalog,
        number: u32,
        statement: &Statement,
        wanted: &Wanted,
        name: Option<&Ident>,
    ) {
        self.end_group(catalog);
        let mut planned = index::create(catalog, &self.frame, wanted);
        if planned.is_err() && !self.certain {
            // What stands in the way may be gone by then; the catalog is read again before.
            catalog.indexes.remove(&wanted.index.name);
            planned = index::create(catalog, &self.frame, wanted);
        }
        match planned {
            Ok(mut stages) => {
                let mark = needs_mark(wanted, name) && !stages.is_empty();
                if mark && !self.progress.contains_key(&number) {
                    let mark = What::Begun(vec![(number, statement_checksum(&statement.text))]);
                    let step = self.record_step(mark);
                    let title = format!("{}: note what is about to be built", self.migration.id);
                    self.has_progress = true;
                    self.stages.push(Stage::single(title, step));
                }
                self.certain &= stages.is_empty();
                self.note_done(number, statement);
                if let Some(last) = stages.last_mut().filter(|_| name.is_none()) {
                    let done = What::Done(take(&mut self.unrecorded));
                    let record = self.record_step(done);
                    self.has_progress = true;
                    apply_all(std::iter::once(&record.action), catalog);
                    last.steps.push(record);
                    last.lanes = 1;
                }
                self.stages.extend(stages);
            }
            Err(finding) => self.findings.push(finding),
        }
    }

    /// The table that a name means now, or will mean if an earlier statement creates it.
    pub(super) fn table(&self, catalog: &Catalog, name: &[Ident]) -> Option<QualifiedName> {
        let known = catalog.resolve_relation(name).cloned();
        known.or_else(|| if self.is_certain() { None } else { guess(catalog, name) })
    }

    /// The table that a name means, if this file creates it. Temporary tables come first.
    pub(super) fn created_table(&self, catalog: &Catalog, name: &[Ident]) -> Option<QualifiedName> {
        let temporary = QualifiedName::new(temporary_schema(), name.last()?.clone());
        if name.len() == 1 && self.created.contains(&temporary) {
            return Some(temporary);
        }
        let table = catalog.resolve_relation(name).cloned().or_else(|| guess(catalog, name));
        table.filter(|table| self.created.contains(table))
    }

    /// The index to build online; `None` where the statement runs as written: on a table that
    /// this file creates, ON ONLY, or on a table that does not exist, which the server will say.
    pub(super) fn new_index(&self, catalog: &Catalog, create: &CreateIndex) -> Option<NewIndex> {
        if self.created_table(catalog, &create.table).is_some() && !create.concurrently {
            return None;
        }
        let table = self.table(catalog, &create.table)?;
        let kind = catalog.relations.get(&table).map_or(RelationKind::Table, |r| r.kind);
        let only = create.only && kind == RelationKind::PartitionedTable;
        if only || kind == RelationKind::ForeignTable {
            return None;
        }
        let columns = distinct_columns(&create.columns);
        let new = NewIndex {
            name: table.clone(),
            table,
            unique: create.unique,
            tail: create.tail.clone(),
            columns,
            only: false,
        };
        let name = match &create.name {
            Some(name) => new.table.sibling(name.clone()),
            None => self.default_name(catalog, &new, "idx"),
        };
        Some(NewIndex { name, ..new })
    }

    /// IF NOT EXISTS is content with any index of the name, but not with an invalid one.
    pub(super) fn is_there_already(
        &mut self,
        catalog: &Catalog,
        create: &CreateIndex,
        new: &NewIndex,
    ) -> bool {
        let existing = catalog.indexes.get(&new.name).filter(|index| index.valid);
        let Some(existing) = existing.filter(|_| create.if_not_exists && self.certain) else {
            return false;
        };
        if !is_the_wanted_one(existing, &new.table, new) {
            let message = format!(
                "{} exists as another index, on {} {}; IF NOT EXISTS leaves it alone",
                new.name, existing.table, existing.definition.using
            );
            let subject = &self.frame.title;
            let finding = Finding::new("another-index", Severity::Warning, subject, message);
            self.findings.push(finding.help("give the new index a name of its own"));
        }
        true
    }

    /// The key to add online, by the same rules.
    pub(super) fn new_key(&self, catalog: &Catalog, add: &AddKey) -> Option<NewKey> {
        let table = self.table(catalog, &add.table)?;
        let kind = catalog.relations.get(&table).map(|relation| relation.kind);
        let only = add.only && kind == Some(RelationKind::PartitionedTable);
        if only || self.created_table(catalog, &add.table).is_some() {
            return None;
        }
        let key = NewKey {
            table: table.clone(),
            name: table.name.clone(),
            primary: add.primary,
            tail: add.tail.clone(),
            nulls_not_distinct: add.nulls_not_distinct,
            attributes: add.attributes.clone(),
            key: add.key.clone(),
            columns: distinct_columns(&add.columns),
        };
        let name = add.name.clone().unwrap_or_else(|| {
            let label = if add.primary { "pkey" } else { "key" };
            self.default_name(catalog, &key.new_index(), label).name
        });
        Some(NewKey { name, ..key })
    }

    /// The name for an index that the file leaves unnamed: that of an equal index where there is
    /// one (an earlier run made it), else a free one.
    pub(super) fn default_name(
        &self,
        catalog: &Catalog,
        new: &NewIndex,
        label: &str,
    ) -> QualifiedName {
        let ours = |name: &QualifiedName| {
            catalog.indexes.get(name).is_some_and(|index| is_an_earlier_try(index, new))
        };
        index_names(&new.table, &new.columns, label)
            .find(|name| ours(name) || is_free(catalog, name))
            .expect("some number is free")
    }
}

/// Whether what is there after a crash could be mistaken for somebody else's: a key, or an index
/// whose definition the server spells in another way.
fn needs_mark(wanted: &Wanted, name: Option<&Ident>) -> bool {
    let tail = wanted.index.tail.to_ascii_lowercase();
    let spelled_anew = tail.contains("where") || tail.matches('(').count() > 1;
    wanted.key.is_some() || (name.is_some() && spelled_anew)
}
