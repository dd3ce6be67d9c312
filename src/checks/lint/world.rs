//! What the checks know of the database: tables, columns, constraints and indexes, as the
//! snapshot's DDL and the statements that are followed (`follow`) make them, with their sizes.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::finding::Place;
use crate::model::ident::{Ident, QualifiedName};
use crate::model::snapshot::{ColumnStatistics, Snapshot};
use crate::sql::index_shape::IndexShape;
use crate::sql::setting::{SearchPath, parse_path};
use crate::sql::statement::Kind;
use crate::sql::tokens::names;
use crate::sql::type_name::TypeName;
use crate::sql::{Statement, parse_dump};

mod follow;

/// A database.
#[derive(Debug, Clone, Default)]
pub struct World {
    /// The schemas that names without one are looked up in.
    pub search_path: Vec<Ident>,
    /// Those that a session begins with; none: `public`.
    session_path: Vec<Ident>,
    /// Tables, partitioned tables, materialized views.
    pub tables: BTreeMap<QualifiedName, Table>,
    /// Indexes of these.
    pub indexes: BTreeMap<QualifiedName, Index>,
    /// Indexes that pending statements drop, with their names and places.
    pub dropped: Vec<(QualifiedName, Index, Place)>,
    /// How many bytes all indexes of a table and of its partitions will have, where that was
    /// foretold.
    pub index_bytes: BTreeMap<QualifiedName, u64>,
}

/// A table.
#[derive(Debug, Clone, Default)]
pub struct Table {
    /// The pending statement that makes it; `None` where it was there before.
    pub made: Option<Place>,
    /// Whether it has partitions instead of rows.
    pub is_partitioned: bool,
    /// The partitioned table that it belongs to.
    pub parent: Option<QualifiedName>,
    /// Bytes of its own file.
    pub bytes: u64,
    /// Bytes of its TOAST.
    pub toast_bytes: u64,
    /// Whether a pending statement may have changed its rows.
    pub is_written: bool,
    /// Its columns, as far as they are known.
    pub columns: BTreeMap<Ident, Column>,
    /// Its primary key.
    pub primary_key: Option<PrimaryKey>,
    /// Its check constraints.
    pub checks: Vec<Check>,
    /// Its foreign keys.
    pub foreign_keys: Vec<ForeignKey>,
}

/// A column.
#[derive(Debug, Clone)]
pub struct Column {
    /// Its type.
    pub type_name: TypeName,
    /// Whether it is declared NOT NULL.
    pub not_null: bool,
    /// What ANALYZE has seen of its values.
    pub seen: Seen,
}

/// What ANALYZE has seen of a column's values; nothing, where it has not looked.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Seen {
    /// The share of NULLs.
    pub null_fraction: f32,
    /// Whether two rows had the same value.
    pub repeats: bool,
}

impl Seen {
    /// By `n_distinct`, which is as many as there are rows with a value where no two rows of the
    /// sample had the same one (`compute_scalar_stats` in analyze.c).
    fn of(statistics: &ColumnStatistics) -> Seen {
        const ROUNDING: f32 = 1e-5;
        let ColumnStatistics { null_frac, n_distinct, .. } = *statistics;
        let repeats = n_distinct != 0.0 && (n_distinct + 1.0 - null_frac).abs() > ROUNDING;
        Seen { null_fraction: null_frac, repeats }
    }
}

/// A primary key.
#[derive(Debug, Clone)]
pub struct PrimaryKey {
    /// Its columns.
    pub columns: Vec<Ident>,
    /// The pending statement that makes it.
    pub made: Option<Place>,
}

/// A check constraint, or a NOT NULL with a name.
#[derive(Debug, Clone)]
pub struct Check {
    /// Its name.
    pub name: Option<Ident>,
    /// What it says.
    pub text: String,
    /// Whether all rows are known to pass.
    pub valid: bool,
}

impl Check {
    /// Whether it says, alone or with others, that a column has a value.
    pub fn says_not_null(&self, column: &Ident) -> bool {
        let spelled = |text: &str| {
            let words: Vec<&str> =
                text.split(['(', ')', ' ', '\n']).filter(|w| !w.is_empty()).collect();
            words.join(" ").to_lowercase()
        };
        let wanted = spelled(&format!("{column} is not null"));
        spelled(&self.text).split(" and ").any(|part| part == wanted)
    }
}

/// A foreign key.
#[derive(Debug, Clone)]
pub struct ForeignKey {
    /// Its name.
    pub name: Option<Ident>,
    /// The columns that refer.
    pub columns: Vec<Ident>,
    /// The table that is referred to, as to be shown.
    pub references: String,
    /// The pending statement that makes it.
    pub made: Option<Place>,
}

/// An index.
#[derive(Debug, Clone)]
pub struct Index {
    /// The table it is on.
    pub table: QualifiedName,
    /// What it indexes.
    pub shape: IndexShape,
    /// UNIQUE.
    pub unique: bool,
    /// Whether it is that of a key or another constraint.
    pub has_constraint: bool,
    /// Bytes of its file.
    pub bytes: u64,
    /// How often the snapshot's server has scanned it and, of a partitioned one, its parts;
    /// whatever it is called since.
    pub scans: u64,
    /// The pending statement that makes it.
    pub made: Option<Place>,
}

impl World {
    /// The database of a snapshot. Where that has no DDL, the applied migrations tell the columns.
    pub fn of_snapshot<'a>(
        snapshot: &Snapshot,
        applied: impl Iterator<Item = &'a [Statement]>,
    ) -> World {
        let search_path = snapshot.settings.get("search_path");
        let session_path = search_path.map_or_else(Vec::new, |path| parse_path(path));
        let mut world = World { session_path, ..World::default() };
        match snapshot.ddl.as_deref().map(parse_dump) {
            Some(Ok(statements)) => statements.iter().for_each(|text| world.follow(text, None)),
            // Sizes alone are better than nothing.
            Some(Err(_)) => {}
            None => applied.for_each(|statements| {
                world.begin_file();
                for statement in statements {
                    world.follow_path(&statement.kind);
                    world.follow(&statement.text, None);
                }
            }),
        }
        world.begin_file();
        world.take_sizes(snapshot);
        world
    }

    /// Tables of the snapshot that no statement made are known by name and size alone.
    fn take_sizes(&mut self, snapshot: &Snapshot) {
        for relation in &snapshot.relations {
            let bytes = relation.file_pages * u64::from(snapshot.server.block_size);
            if matches!(relation.kind, 'i' | 'I') {
                if let Some(index) = self.indexes.get_mut(&relation.name) {
                    index.bytes = bytes;
                    index.scans = relation.counters.idx_scan.unwrap_or_default();
                }
                continue;
            }
            let table = self.tables.entry(relation.name.clone()).or_default();
            table.bytes = bytes;
            table.toast_bytes = relation.toast_pages * u64::from(snapshot.server.block_size);
            table.is_partitioned |= relation.kind == 'p';
        }
        self.add_scans_of_parts();
        for statistics in &snapshot.columns {
            let table = self.tables.get_mut(&statistics.relation);
            if let Some(column) = table.and_then(|one| one.columns.get_mut(&statistics.column)) {
                column.seen = Seen::of(statistics);
            }
        }
    }

    /// Nobody scans a partitioned index itself: scans of its parts, which are like it, are its own.
    fn add_scans_of_parts(&mut self) {
        let is_partitioned =
            |index: &Index| self.tables.get(&index.table).is_some_and(|table| table.is_partitioned);
        let partitioned = self.indexes.iter().filter(|(_, index)| is_partitioned(index));
        let sums: Vec<(QualifiedName, u64)> = partitioned
            .map(|(name, index)| {
                let tree = self.tree(&index.table);
                let is_part = |one: &&Index| one.shape == index.shape && tree.contains(&one.table);
                let scans = self.indexes.values().filter(is_part).map(|one| one.scans).sum();
                (name.clone(), scans)
            })
            .collect();
        for (name, scans) in sums {
            self.indexes.entry(name).and_modify(|index| index.scans = scans);
        }
    }

    /// A file begins with the search path of the session.
    pub fn begin_file(&mut self) {
        self.search_path = match self.session_path.is_empty() {
            true => vec![Ident::from_sql("public")],
            false => self.session_path.clone(),
        };
    }

    /// Follows a setting of the search path.
    pub fn follow_path(&mut self, kind: &Kind) {
        let Kind::Set(set) = kind else { return };
        match &set.search_path {
            Some(SearchPath::To(path)) => self.search_path.clone_from(path),
            Some(SearchPath::Default) => self.begin_file(),
            None => {}
        }
    }

    /// Notes which tables may have other rows after a statement that is about rows; which ones code
    /// is about is not known.
    pub fn note_write(&mut self, text: &str, runs_code: bool) {
        let end = text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len());
        let heads = ["update", "delete", "merge", "with", "truncate"];
        if !runs_code && !heads.iter().any(|head| text[..end].eq_ignore_ascii_case(head)) {
            return;
        }
        let names = names(text);
        for (name, table) in &mut self.tables {
            table.is_written |= runs_code || names.contains(&name.name);
        }
    }

    /// The full name that a new object gets.
    pub fn name(&self, name: &[Ident]) -> QualifiedName {
        let public = || Ident::from_sql("public");
        let first = self.search_path.first().cloned().unwrap_or_else(public);
        match name {
            [.., schema, name] => QualifiedName::new(schema.clone(), name.clone()),
            [name] => QualifiedName::new(first, name.clone()),
            [] => QualifiedName::new(first, public()),
        }
    }

    /// The table that a name means. The role's own search path is not known, so a name without a
    /// schema may also mean the only table of that name.
    pub fn resolve(&self, name: &[Ident]) -> Option<QualifiedName> {
        find(&self.tables, &self.search_path, name)
    }

    /// The index that a name means.
    pub fn resolve_index(&self, name: &[Ident]) -> Option<QualifiedName> {
        find(&self.indexes, &self.search_path, name)
    }

    /// The bytes of a table with all its partitions.
    pub fn bytes(&self, table: &QualifiedName) -> u64 {
        self.tree(table).iter().filter_map(|name| self.tables.get(name)).map(|t| t.bytes).sum()
    }

    /// The bytes of their TOAST.
    pub fn toast_bytes(&self, table: &QualifiedName) -> u64 {
        let tree = self.tree(table);
        tree.iter().filter_map(|name| self.tables.get(name)).map(|t| t.toast_bytes).sum()
    }

    /// A table and its partitions at any depth.
    pub fn tree(&self, table: &QualifiedName) -> BTreeSet<QualifiedName> {
        let (mut tree, mut open) = (BTreeSet::new(), vec![table.clone()]);
        while let Some(parent) = open.pop() {
            if self.tables.get(&parent).is_some_and(|table| table.is_partitioned) {
                let is_part =
                    |(_, part): &(&QualifiedName, &Table)| part.parent.as_ref() == Some(&parent);
                open.extend(self.tables.iter().filter(is_part).map(|(name, _)| name.clone()));
            }
            tree.insert(parent);
        }
        tree
    }

    /// The indexes of one table.
    pub fn indexes_of<'a>(
        &'a self,
        table: &'a QualifiedName,
    ) -> impl Iterator<Item = (&'a QualifiedName, &'a Index)> {
        self.indexes.iter().filter(move |(_, index)| index.table == *table)
    }
}

fn find<T>(
    all: &BTreeMap<QualifiedName, T>,
    path: &[Ident],
    name: &[Ident],
) -> Option<QualifiedName> {
    match name {
        [.., schema, name] => {
            Some(QualifiedName::new(schema.clone(), name.clone())).filter(|n| all.contains_key(n))
        }
        [name] => {
            let temporary = Ident::from_sql("pg_temp");
            let schemas = std::iter::once(&temporary).chain(path);
            let mut names = schemas.map(|s| QualifiedName::new(s.clone(), name.clone()));
            names.find(|full| all.contains_key(full)).or_else(|| {
                let mut same = all.keys().filter(|full| full.name == *name);
                same.next().filter(|_| same.next().is_none()).cloned()
            })
        }
        [] => None,
    }
}
