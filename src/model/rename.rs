//! What became of the names of relations and columns, told by the numbers that the server gives
//! them (`pg_class.oid`, `pg_attribute.attnum`): what is known of them moves along. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::extended_statistics::ExtendedStatistics;
use super::ident::{Ident, QualifiedName};
use super::snapshot::{ColumnStatistics, RelationSize, Snapshot};

/// A relation and its columns.
#[derive(Debug, Clone, PartialEq)]
pub struct Named {
    /// Its name.
    pub name: QualifiedName,
    /// `relkind`
    pub kind: char,
    /// Its columns in the order of their numbers; `None` where one was dropped.
    pub columns: Vec<Option<Ident>>,
}

/// The relations of a database by their OIDs.
pub type Names = BTreeMap<u32, Named>;

/// A name of a table or column that finds nothing any more.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lost {
    /// The table, as it was called.
    pub table: QualifiedName,
    /// Its column, where the table itself is there.
    pub column: Option<Ident>,
    /// What it is called now; `None` where it is gone.
    pub now: Option<String>,
}

/// What a relation is called after migrations.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Heir<'a> {
    /// The same relation, whatever its name is.
    Itself(&'a Named, &'a Named),
    /// A new one that took its name: a copy, it may be.
    Namesake,
}

/// Names before and after.
pub struct Renames<'a> {
    before: BTreeMap<&'a QualifiedName, (u32, &'a Named)>,
    after: &'a Names,
    /// Names of relations with rows or entries that are new.
    new: BTreeSet<&'a QualifiedName>,
}

impl<'a> Renames<'a> {
    /// Compares the names of a database with those of a copy that was changed since.
    pub fn of(before: &'a Names, after: &'a Names) -> Renames<'a> {
        let new = after.iter().filter(|(oid, one)| {
            !before.contains_key(oid) && ['r', 'p', 'm', 'i', 'I'].contains(&one.kind)
        });
        Renames {
            before: before.iter().map(|(oid, one)| (&one.name, (*oid, one))).collect(),
            after,
            new: new.map(|(_, one)| &one.name).collect(),
        }
    }

    /// What a relation is called now; the name itself where nothing is known of it.
    pub fn name<'b>(&'b self, name: &'b QualifiedName) -> &'b QualifiedName {
        let itself = self.before.get(name).and_then(|(oid, _)| self.after.get(oid));
        itself.map_or(name, |now| &now.name)
    }

    /// The names that find nothing any more, neither the thing itself nor one that took its name.
    pub fn lost(&self) -> Vec<Lost> {
        let names: BTreeSet<&QualifiedName> = self.after.values().map(|one| &one.name).collect();
        let mut lost = Vec::new();
        for (name, (oid, before)) in &self.before {
            if !['r', 'p', 'm', 'f'].contains(&before.kind) {
                continue;
            }
            let table = || (*name).clone();
            let now = self.after.get(oid);
            if !names.contains(name) {
                let now = now.map(|now| now.name.to_string());
                lost.push(Lost { table: table(), column: None, now });
            }
            let Some(now) = now.filter(|now| now.name == before.name) else { continue };
            for (at, column) in before.columns.iter().enumerate() {
                let column = column.as_ref().filter(|_| !now.columns.contains(column));
                let Some(column) = column.cloned() else { continue };
                let now = now.columns.get(at).cloned().flatten().map(|now| now.to_string());
                lost.push(Lost { table: table(), column: Some(column), now });
            }
        }
        lost
    }

    fn heirs(&self, name: &QualifiedName) -> Vec<Heir<'a>> {
        let Some((oid, before)) = self.before.get(name) else { return vec![Heir::Namesake] };
        let itself = self.after.get(oid).map(|after| Heir::Itself(before, after));
        let namesake = self.new.contains(name).then_some(Heir::Namesake);
        itself.into_iter().chain(namesake).collect()
    }

    /// A snapshot with the names that things have now, and without those that are gone. A new
    /// relation with an old name is as large as the one that had it.
    pub fn renamed(&self, snapshot: &Snapshot) -> Snapshot {
        let mut relations: BTreeMap<QualifiedName, RelationSize> = BTreeMap::new();
        for one in &snapshot.relations {
            for heir in self.heirs(&one.name) {
                let table = one.table.as_ref().map(|table| self.name(table).clone());
                let name = heir.name(&one.name).clone();
                let moved = RelationSize { name: name.clone(), table, ..one.clone() };
                heir.keep(&mut relations, name, moved);
            }
        }
        let mut columns = BTreeMap::new();
        for one in &snapshot.columns {
            for heir in self.heirs(&one.relation) {
                let relation = heir.name(&one.relation).clone();
                for column in heir.columns(&one.column) {
                    let key = (relation.clone(), column.clone(), one.inherited);
                    let relation = relation.clone();
                    let moved = ColumnStatistics { relation, column, ..one.clone() };
                    heir.keep(&mut columns, key, moved);
                }
            }
        }
        let extended = snapshot.extended.iter().filter_map(|one| self.extended(one));
        Snapshot {
            relations: relations.into_values().collect(),
            columns: columns.into_values().collect(),
            extended: extended.collect(),
            ..snapshot.clone()
        }
    }

    fn extended(&self, one: &ExtendedStatistics) -> Option<ExtendedStatistics> {
        let heir = *self.heirs(&one.relation).first()?;
        let columns = one.columns.iter().map(|column| heir.columns(column).into_iter().next());
        Some(ExtendedStatistics {
            relation: heir.name(&one.relation).clone(),
            columns: columns.collect::<Option<Vec<Ident>>>()?,
            ..one.clone()
        })
    }
}

impl Heir<'_> {
    fn name<'b>(&'b self, name: &'b QualifiedName) -> &'b QualifiedName {
        match self {
            Heir::Itself(_, after) => &after.name,
            Heir::Namesake => name,
        }
    }

    /// The columns that a column has become: itself, and a new one that took its name.
    fn columns(&self, column: &Ident) -> Vec<Ident> {
        let Heir::Itself(before, after) = self else { return vec![column.clone()] };
        let is_it = |one: &Option<Ident>| one.as_ref() == Some(column);
        let Some(at) = before.columns.iter().position(is_it) else { return vec![column.clone()] };
        let itself = after.columns.get(at).cloned().flatten();
        let mut new = after.columns.iter().skip(before.columns.len());
        let namesake = new.any(is_it).then(|| column.clone());
        itself.into_iter().chain(namesake).collect()
    }

    /// Nothing takes the place of what is the thing itself.
    fn keep<K: Ord, V>(&self, all: &mut BTreeMap<K, V>, key: K, value: V) {
        match self {
            Heir::Itself(..) => drop(all.insert(key, value)),
            Heir::Namesake => drop(all.entry(key).or_insert(value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ident(name: &str) -> Ident {
        Ident::new(name).unwrap()
    }

    fn full(name: &str) -> QualifiedName {
        QualifiedName::new(ident("app"), ident(name))
    }

    fn names(all: &[(u32, &str, char, &[&str])]) -> Names {
        let column = |name: &&str| (!name.is_empty()).then(|| ident(name));
        let named = |&(oid, name, kind, columns): &(u32, &str, char, &[&str])| {
            let columns = columns.iter().map(column).collect();
            (oid, Named { name: full(name), kind, columns })
        };
        all.iter().map(named).collect()
    }

    fn snapshot(tables: &[(&str, u64, &[&str])]) -> Snapshot {
        let size = |&(name, file_pages, _): &(&str, u64, &[&str])| RelationSize {
            file_pages,
            ..RelationSize::new(full(name), 'r')
        };
        let statistics = |&(table, pages, columns): &(&str, u64, &[&str])| {
            let each = columns.iter().map(move |column| ColumnStatistics {
                relation: full(table),
                column: ident(column),
                inherited: false,
                null_frac: 0.0,
                avg_width: 4,
                n_distinct: pages as f32,
                correlation: None,
                most_common_freqs: Vec::new(),
                values: None,
                is_substituted: false,
            });
            each.collect::<Vec<_>>()
        };
        Snapshot {
            relations: tables.iter().map(size).collect(),
            columns: tables.iter().flat_map(statistics).collect(),
            ..Snapshot::default()
        }
    }

    /// `table pages` and `table.column pages`
    fn told(snapshot: &Snapshot) -> Vec<String> {
        let sizes = snapshot.relations.iter().map(|one| format!("{} {}", one.name, one.file_pages));
        let columns = snapshot.columns.iter();
        let columns =
            columns.map(|one| format!("{}.{} {}", one.relation, one.column, one.n_distinct));
        sizes.chain(columns).collect()
    }

    #[test]
    fn what_is_known_moves_along_with_names() {
        let before = names(&[(1, "orders", 'r', &["id", "at"]), (2, "gone", 'r', &["id"])]);
        let after = names(&[(1, "purchases", 'r', &["id", "placed"]), (3, "orders", 'v', &["id"])]);
        let known = snapshot(&[("orders", 7, &["id", "at"]), ("gone", 3, &["id"])]);
        let moved = Renames::of(&before, &after).renamed(&known);
        let expected =
            ["app.purchases 7", "app.purchases.id 7", "app.purchases.placed 7"].map(str::to_string);
        assert_eq!(told(&moved), expected);
    }

    #[test]
    fn names_are_lost_unless_something_takes_them() {
        let before = names(&[
            (1, "orders", 'r', &["id", "at", "note"]),
            (2, "gone", 'p', &["id"]),
            (3, "moved", 'm', &["id"]),
            (4, "viewed", 'r', &["id"]),
            (5, "by_id", 'i', &["id"]),
            (6, "copied", 'r', &["id"]),
        ]);
        let after = names(&[
            (1, "orders", 'r', &["id", "placed", "", "at2"]),
            (3, "elsewhere", 'm', &["id"]),
            (4, "under", 'r', &["id"]),
            (7, "viewed", 'v', &["id"]),
            (8, "copied", 'r', &["id"]),
        ]);
        let told = |one: Lost| {
            let column = one.column.map(|one| format!(".{one}")).unwrap_or_default();
            let now = one.now.map(|now| format!(" is {now}")).unwrap_or_default();
            format!("{}{column}{now}", one.table)
        };
        let lost: Vec<String> = Renames::of(&before, &after).lost().into_iter().map(told).collect();
        let expected = ["app.gone", "app.moved is app.elsewhere", "app.orders.at is placed"];
        assert_eq!(lost, [expected.as_slice(), &["app.orders.note"]].concat());
    }

    #[test]
    fn what_takes_a_name_is_taken_for_a_copy() {
        let before = names(&[(1, "t", 'r', &["id", "n"])]);
        let known = snapshot(&[("t", 7, &["id", "n"])]);
        // A new table in its place, and the old one beside it.
        let swapped = names(&[(1, "old", 'r', &["id", "n"]), (2, "t", 'r', &["id", "n"])]);
        let moved = told(&Renames::of(&before, &swapped).renamed(&known));
        assert_eq!(moved[..2], ["app.old 7".to_string(), "app.t 7".to_string()]);
        assert_eq!(moved.len(), 6);
        // A new column in the place of one that was dropped.
        let widened = names(&[(1, "t", 'r', &["id", "", "n"])]);
        let moved = told(&Renames::of(&before, &widened).renamed(&known));
        assert_eq!(moved, ["app.t 7", "app.t.id 7", "app.t.n 7"].map(str::to_string));
        // Two that changed their names.
        let before = names(&[(1, "a", 'r', &["id"]), (2, "b", 'r', &["id"])]);
        let after = names(&[(1, "b", 'r', &["id"]), (2, "a", 'r', &["id"])]);
        let known = snapshot(&[("a", 1, &[]), ("b", 2, &[])]);
        let moved = told(&Renames::of(&before, &after).renamed(&known));
        assert_eq!(moved, ["app.a 2", "app.b 1"].map(str::to_string));
    }
}
