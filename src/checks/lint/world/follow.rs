//! What statements do to what is known of the database, as far as their text tells.

use super::{Check, Column, ForeignKey, Index, PrimaryKey, Seen, Table, World};
use crate::model::finding::Place;
use crate::model::ident::{Ident, QualifiedName};
use crate::sql::alter_table::{Action, alter_table};
use crate::sql::column::{self, Body, Constraint, Element, Key, elements};
use crate::sql::index_shape::IndexShape;
use crate::sql::split::newlines;
use crate::sql::statement::{CreateIndex, CreateTable, Kind, kind_of};
use crate::sql::tokens::{Cursor, Kind as TokenKind, tokens};

/// How many names of one form are tried.
const NUMBERS_MAX: usize = 1_000;

impl World {
    /// Does what a statement does. `made` is its place, for a pending one.
    pub fn follow(&mut self, text: &str, made: Option<&Place>) {
        match kind_of(text) {
            Kind::CreateTable(table) => self.create_table(&table, text, made),
            Kind::CreateIndex(index) => self.create_index(&index, made),
            Kind::DropTable(names) => names.iter().for_each(|name| self.drop_table(name)),
            Kind::DropIndex(drop) => drop.names.iter().for_each(|name| {
                let Some(name) = self.resolve_index(name) else { return };
                self.drop_index(&name, made);
            }),
            Kind::AddKey(_) | Kind::DetachConcurrently(_) | Kind::Other => {
                self.alter_table(text, made);
                self.rename_index(text);
                self.drop_materialized_views(text);
            }
            Kind::Reindex(_)
            | Kind::TransactionBoundary
            | Kind::Set(_)
            | Kind::AddEnumValue
            | Kind::Alone => {}
        }
    }

    fn create_table(&mut self, create: &CreateTable, text: &str, made: Option<&Place>) {
        let mut name = self.name(&create.name);
        if create.temporary {
            name = QualifiedName::new(Ident::from_sql("pg_temp"), name.name);
        }
        if create.if_not_exists && self.tables.contains_key(&name) {
            return;
        }
        let table = Table {
            made: made.cloned(),
            is_partitioned: create.partition_by.is_some(),
            parent: create.partition_of.as_ref().and_then(|parent| self.resolve(parent)),
            ..Table::default()
        };
        self.tables.insert(name.clone(), table);
        for (offset, element) in read(text, elements) {
            let made = at(made, text, offset);
            match element {
                Element::Column(column) => self.add_column(&name, &column, made.as_ref()),
                Element::Constraint(added) => self.add_constraint(&name, &added, made.as_ref()),
            }
        }
    }

    fn create_index(&mut self, create: &CreateIndex, made: Option<&Place>) {
        let Some(table) = self.resolve(&create.table) else { return };
        let Some(shape) = IndexShape::read(&create.tail) else { return };
        let name = match &create.name {
            Some(name) => table.sibling(name.clone()),
            None => self.free_name(&table, &create.columns.join("_"), "idx"),
        };
        if create.if_not_exists && self.indexes.contains_key(&name) {
            return;
        }
        let (unique, made) = (create.unique, made.cloned());
        let has_constraint = false;
        let index = Index { table, shape, unique, has_constraint, bytes: 0, scans: 0, made };
        self.indexes.insert(name, index);
    }

    /// `table_columns_idx`, with a number where that is taken.
    fn free_name(&self, table: &QualifiedName, columns: &str, label: &str) -> QualifiedName {
        let middle = if columns.is_empty() { "_" } else { &format!("_{columns}_") };
        let name = format!("{}{middle}{label}", table.name.as_str());
        let numbered = |n: usize| if n == 0 { name.clone() } else { format!("{name}{n}") };
        let names =
            (0..NUMBERS_MAX).filter_map(|n| Some(table.sibling(Ident::new(numbered(n)).ok()?)));
        let mut free = names.filter(|name| !self.indexes.contains_key(name));
        free.next().unwrap_or_else(|| table.clone())
    }

    fn drop_index(&mut self, name: &QualifiedName, made: Option<&Place>) {
        let dropped = self.indexes.remove(name).zip(made.cloned());
        self.dropped.extend(dropped.map(|(index, place)| (name.clone(), index, place)));
    }

    fn drop_table(&mut self, name: &[Ident]) {
        let Some(name) = self.resolve(name) else { return };
        let tree = self.tree(&name);
        self.tables.retain(|name, _| !tree.contains(name));
        self.indexes.retain(|_, index| !tree.contains(&index.table));
    }

    fn drop_materialized_views(&mut self, text: &str) {
        let names = read(text, |mut cursor| {
            cursor.take(&["drop", "materialized", "view"]).then_some(())?;
            cursor.take(&["if", "exists"]);
            Some(cursor.take_names())
        });
        names.iter().flatten().for_each(|name| self.drop_table(name));
    }

    fn alter_table(&mut self, text: &str, made: Option<&Place>) {
        let Some(alter) = alter_table(text) else { return };
        let Some(mut name) = self.resolve(&alter.table) else { return };
        for (offset, action) in &alter.actions {
            name = self.act(name, action, at(made, text, *offset).as_ref());
        }
    }

    /// Does one action; returns the table's name after it.
    fn act(&mut self, name: QualifiedName, action: &Action, made: Option<&Place>) -> QualifiedName {
        match action {
            Action::AddColumn(column) => self.add_column(&name, column, made),
            Action::AddConstraint(constraint) => self.add_constraint(&name, constraint, made),
            Action::Attach(part) | Action::Detach(part) => {
                let attached = matches!(action, Action::Attach(_)).then(|| name.clone());
                let part = self.resolve(part);
                if let Some(part) = part.and_then(|part| self.tables.get_mut(&part)) {
                    part.parent = attached;
                }
            }
            Action::DropColumn(column) => {
                let named = self.indexes_of(&name).filter(|(_, index)| index.shape.names(column));
                let named: Vec<QualifiedName> = named.map(|(index, _)| index.clone()).collect();
                named.iter().for_each(|index| self.drop_index(index, made));
                self.change(&name, |table| {
                    table.columns.remove(column);
                    table.foreign_keys.retain(|key| !key.columns.contains(column));
                });
            }
            Action::SetType { column, type_name, .. } => self.change(&name, |table| {
                if let Some(column) = table.columns.get_mut(column) {
                    column.type_name = type_name.clone();
                    column.seen = Seen::default();
                }
            }),
            Action::SetNotNull(column) => self.change(&name, |table| {
                if let Some(column) = table.columns.get_mut(column) {
                    column.not_null = true;
                }
            }),
            Action::Validate(constraint) => self.change(&name, |table| {
                let named = |check: &&mut Check| check.name.as_ref() == Some(constraint);
                table.checks.iter_mut().filter(named).for_each(|check| check.valid = true);
            }),
            Action::DropConstraint(constraint) => {
                self.drop_index(&name.sibling(constraint.clone()), made);
                self.change(&name, |table| {
                    table.checks.retain(|check| check.name.as_ref() != Some(constraint));
                    table.foreign_keys.retain(|key| key.name.as_ref() != Some(constraint));
                });
            }
            Action::RenameColumn(old, new) => self.rename_column(&name, old, new),
            Action::RenameTo(new) => return self.move_table(&name, name.sibling(new.clone())),
            Action::SetSchema(schema) => {
                let moved = QualifiedName::new(schema.clone(), name.name.clone());
                return self.move_table(&name, moved);
            }
            Action::SetLogged(_)
            | Action::SetAccessMethod
            | Action::SetTablespace
            | Action::Other => {}
        }
        name
    }

    fn change(&mut self, name: &QualifiedName, change: impl FnOnce(&mut Table)) {
        if let Some(table) = self.tables.get_mut(name) {
            change(table);
        }
    }

    /// A column of partitions has the name of the table's.
    fn rename_column(&mut self, table: &QualifiedName, old: &Ident, new: &Ident) {
        let tree = self.tree(table);
        for name in &tree {
            self.change(name, |table| {
                if let Some(column) = table.columns.remove(old) {
                    table.columns.insert(new.clone(), column);
                }
                let primary = table.primary_key.iter_mut().map(|key| &mut key.columns);
                let foreign = table.foreign_keys.iter_mut().map(|key| &mut key.columns);
                for column in primary.chain(foreign).flatten().filter(|column| *column == old) {
                    column.clone_from(new);
                }
            });
        }
        let dropped = self.dropped.iter_mut().map(|(_, index, _)| index);
        let indexes = self.indexes.values_mut().chain(dropped);
        let indexes = indexes.filter(|index| tree.contains(&index.table));
        indexes.for_each(|index| index.shape.rename(old, new));
    }

    fn move_table(&mut self, old: &QualifiedName, new: QualifiedName) -> QualifiedName {
        if let Some(table) = self.tables.remove(old) {
            self.tables.insert(new.clone(), table);
        }
        let names: Vec<QualifiedName> =
            self.indexes_of(old).map(|(name, _)| name.clone()).collect();
        for name in names {
            let Some(mut index) = self.indexes.remove(&name) else { continue };
            index.table = new.clone();
            // They live in the schema of their table.
            self.indexes.insert(new.sibling(name.name), index);
        }
        let parts = self.tables.values_mut().filter(|part| part.parent.as_ref() == Some(old));
        parts.for_each(|part| part.parent = Some(new.clone()));
        new
    }

    /// `ALTER INDEX old RENAME TO new`; ALTER TABLE may say it too.
    fn rename_index(&mut self, text: &str) {
        let renamed = read(text, |mut cursor| {
            cursor.take(&["alter"]).then_some(())?;
            cursor.take_any(&["index", "table"])?;
            cursor.take(&["if", "exists"]);
            let old = cursor.take_name()?;
            cursor.take(&["rename", "to"]).then_some(())?;
            Some((old, cursor.take_ident()?))
        });
        let Some((old, new)) = renamed else { return };
        let Some(old) = self.resolve_index(&old) else { return };
        if let Some(index) = self.indexes.remove(&old) {
            self.indexes.insert(old.sibling(new), index);
        }
    }

    fn add_column(&mut self, name: &QualifiedName, column: &column::Column, made: Option<&Place>) {
        let (type_name, not_null) = (column.type_name.clone(), column.not_null);
        let known = Column { type_name, not_null, seen: Seen::default() };
        let itself = vec![column.name.clone()];
        let references = column.references.as_ref().map(|references| ForeignKey {
            name: None,
            columns: itself.clone(),
            references: self.shown(references),
            made: made.cloned(),
        });
        let check = column.check.clone();
        self.change(name, |table| {
            table.columns.insert(column.name.clone(), known);
            table.foreign_keys.extend(references);
            let check = check.map(|text| Check { name: None, text, valid: true });
            table.checks.extend(check);
        });
        if let Some(key) = column.key {
            self.add_key(name, None, key, &itself, made);
        }
    }

    fn add_constraint(&mut self, name: &QualifiedName, added: &Constraint, made: Option<&Place>) {
        let valid = !added.not_valid;
        match &added.body {
            Body::Key { key, columns } => {
                self.add_key(name, added.name.as_ref(), *key, columns, made);
            }
            Body::KeyUsingIndex { key, index } => {
                let index = name.sibling(index.clone());
                let Some(mut found) = self.indexes.remove(&index) else { return };
                found.has_constraint = true;
                let keys = found.shape.keys.iter();
                let columns = keys.filter_map(|key| Ident::new(&key.expression).ok()).collect();
                self.note_primary_key(name, *key, columns, made);
                let constraint = added.name.clone().map(|constraint| name.sibling(constraint));
                self.indexes.insert(constraint.unwrap_or(index), found);
            }
            Body::ForeignKey { columns, references } => {
                let references = self.shown(references);
                let (name_of_key, made) = (added.name.clone(), made.cloned());
                let columns = columns.clone();
                let key = ForeignKey { name: name_of_key, columns, references, made };
                self.change(name, |table| table.foreign_keys.push(key));
            }
            Body::Check(text) => {
                let check = Check { name: added.name.clone(), text: text.clone(), valid };
                self.change(name, |table| table.checks.push(check));
            }
            Body::NotNull(column) => {
                let text = format!("{column} is not null");
                let check = Check { name: added.name.clone(), text, valid };
                self.change(name, |table| table.checks.push(check));
            }
            Body::Exclude => {}
        }
    }

    fn add_key(
        &mut self,
        name: &QualifiedName,
        constraint: Option<&Ident>,
        key: Key,
        columns: &[Ident],
        made: Option<&Place>,
    ) {
        let names: Vec<&str> = columns.iter().map(Ident::as_str).collect();
        let index = match (constraint, key) {
            (Some(constraint), _) => name.sibling(constraint.clone()),
            (None, Key::Primary) => self.free_name(name, "", "pkey"),
            (None, Key::Unique) => self.free_name(name, &names.join("_"), "key"),
        };
        let shape = IndexShape::of_columns(columns);
        let backing = Index {
            table: name.clone(),
            shape,
            unique: true,
            has_constraint: true,
            bytes: 0,
            scans: 0,
            made: made.cloned(),
        };
        self.indexes.insert(index, backing);
        self.note_primary_key(name, key, columns.to_vec(), made);
    }

    fn note_primary_key(
        &mut self,
        name: &QualifiedName,
        key: Key,
        columns: Vec<Ident>,
        made: Option<&Place>,
    ) {
        if key == Key::Primary {
            let key = PrimaryKey { columns, made: made.cloned() };
            self.change(name, |table| table.primary_key = Some(key));
        }
    }

    fn shown(&self, name: &[Ident]) -> String {
        self.resolve(name).unwrap_or_else(|| self.name(name)).to_string()
    }
}

/// The place of a part of a statement.
fn at(statement: Option<&Place>, text: &str, offset: usize) -> Option<Place> {
    let Place { path, line } = statement?;
    Some(Place { path: path.clone(), line: line + newlines(text.get(..offset)?) })
}

/// Reads a statement from its left.
fn read<T>(text: &str, read: impl FnOnce(Cursor<'_>) -> T) -> T {
    let tokens: Vec<_> = tokens(text).filter(|token| token.kind != TokenKind::Comment).collect();
    read(Cursor::new(text, &tokens))
}
