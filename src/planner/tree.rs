//! A partitioned table with its partitions at any depth, and an index of it with its parts.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::catalog::{Catalog, Index, IndexDefinition, Relation, RelationKind};
use crate::model::ident::{Ident, QualifiedName};
use crate::runbook::action::NewIndex;
use crate::sql::tokens::{Cursor, Kind, tokens};

use super::names::{index_names, is_free};

/// One table of a partition tree, and the index it has or shall have.
#[derive(Debug, Clone)]
pub struct Node {
    /// The table.
    pub table: QualifiedName,
    /// 0 for the root.
    pub depth: usize,
    /// Otherwise partitioned itself.
    pub leaf: bool,
    /// Size of a leaf in bytes.
    pub size_bytes: u64,
    /// The index: an existing one, or the name for the one to make.
    pub index: QualifiedName,
    /// The index of the parent table.
    pub parent_index: Option<QualifiedName>,
    /// What exists under that name.
    pub found: Found,
}

/// What exists of a node's index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Absent,
    /// An index of the right definition, not attached to the parent's.
    Loose {
        /// Whether it can be used.
        valid: bool,
    },
    /// An index attached to the parent's (the root's own index counts as attached).
    Attached {
        /// Whether it can be used.
        valid: bool,
    },
}

impl Found {
    /// Whether there is an index, and it can be used.
    pub fn valid(self) -> bool {
        match self {
            Found::Absent => false,
            Found::Loose { valid } | Found::Attached { valid } => valid,
        }
    }
}

/// The catalog's partitions and indexes by table, looked up many times.
struct Lookup<'a> {
    partitions: BTreeMap<&'a QualifiedName, Vec<(&'a QualifiedName, &'a Relation)>>,
    indexes: BTreeMap<&'a QualifiedName, Vec<(&'a QualifiedName, &'a Index)>>,
}

impl<'a> Lookup<'a> {
    fn new(catalog: &'a Catalog) -> Lookup<'a> {
        let (mut partitions, mut indexes) = (BTreeMap::<_, Vec<_>>::new(), BTreeMap::new());
        for (name, relation) in &catalog.relations {
            if let Some(partition) = &relation.partition_of {
                partitions.entry(&partition.parent).or_default().push((name, relation));
            }
        }
        for (name, index) in &catalog.indexes {
            indexes.entry(&index.table).or_insert_with(Vec::new).push((name, index));
        }
        Lookup { partitions, indexes }
    }
}

/// The tree under `wanted.table`, parents before their partitions.
///
/// `label` is what PostgreSQL ends the names of new indexes with: "idx", "key" or "pkey".
pub fn tree(catalog: &Catalog, wanted: &NewIndex, label: &str) -> Vec<Node> {
    let lookup = Lookup::new(catalog);
    let root = Node {
        table: wanted.table.clone(),
        depth: 0,
        leaf: false,
        size_bytes: 0,
        index: wanted.name.clone(),
        parent_index: None,
        found: catalog
            .indexes
            .get(&wanted.name)
            .map_or(Found::Absent, |index| Found::Attached { valid: index.valid }),
    };
    let mut nodes = vec![root];
    // Names cut to their longest may be equal.
    let mut taken: BTreeSet<QualifiedName> = BTreeSet::new();
    let mut next = 0;
    while next < nodes.len() {
        let parent = nodes[next].clone();
        next += 1;
        for (table, relation) in lookup.partitions.get(&parent.table).into_iter().flatten() {
            let node = node(catalog, &lookup, wanted, label, &parent, &taken, (table, relation));
            taken.insert(node.index.clone());
            nodes.push(node);
        }
    }
    nodes
}

fn node(
    catalog: &Catalog,
    lookup: &Lookup<'_>,
    wanted: &NewIndex,
    label: &str,
    parent: &Node,
    taken: &BTreeSet<QualifiedName>,
    (table, relation): (&QualifiedName, &Relation),
) -> Node {
    let parent_index = catalog.indexes.get(&parent.index).filter(|_| parent.found.exists());
    let definition = parent_index.map(|index| &index.definition);
    let candidates = lookup.indexes.get(table).into_iter().flatten();
    // An attached index first, then a valid one, then an invalid leftover.
    let existing = candidates
        .filter_map(|(name, index)| {
            let found = match &index.parent {
                Some(of) if *of == parent.index => Found::Attached { valid: index.valid },
                None if matches(&index.definition, definition, wanted) => {
                    Found::Loose { valid: index.valid }
                }
                Some(_) | None => return None,
            };
            Some((*name, found))
        })
        .max_by_key(|(_, found)| (matches!(found, Found::Attached { .. }), found.valid()));
    let (index, found) = match existing {
        Some((name, found)) => (name.clone(), found),
        None => {
            let columns = definition.map_or(&wanted.columns, |parent| &parent.columns);
            let name = index_names(table, columns, label)
                .find(|name| is_free(catalog, name) && !taken.contains(name))
                .expect("some number is free");
            (name, Found::Absent)
        }
    };
    Node {
        table: table.clone(),
        depth: parent.depth + 1,
        leaf: relation.kind != RelationKind::PartitionedTable,
        size_bytes: relation.size_bytes,
        index,
        parent_index: Some(parent.index.clone()),
        found,
    }
}

impl Found {
    fn exists(self) -> bool {
        self != Found::Absent
    }
}

/// Whether an index is what the parent's index needs: by the parent's own definition, which is
/// canonical, or by the text of the migration, which is what planned ones have.
fn matches(
    definition: &IndexDefinition,
    parent: Option<&IndexDefinition>,
    wanted: &NewIndex,
) -> bool {
    let same = match parent {
        // Planned ones have the migration's text.
        Some(_) if definition.using == wanted.tail => true,
        Some(parent) if parent.using != wanted.tail => {
            without_storage(&definition.using) == without_storage(&parent.using)
        }
        Some(_) | None => plain(&definition.using) == plain(&wanted.tail),
    };
    definition.unique == wanted.unique && same
}

/// The server's own text without storage options, which do not matter for attaching.
fn without_storage(using: &str) -> String {
    let tokens: Vec<_> = tokens(using).collect();
    let mut cursor = Cursor::new(using, &tokens);
    while !cursor.sees(&["with"]) && !cursor.at_end() {
        if cursor.take_group().is_none() {
            cursor.skip();
        }
    }
    let behind = cursor.rest();
    let before = &using[..using.len() - behind.len()];
    cursor.skip();
    cursor.take_group();
    format!("{} {}", before.trim_end(), cursor.rest()).trim_end().to_string()
}

/// An index definition in a plain form: words in lower case, `USING btree` spelled out, without
/// ASC, parentheses and storage options, which do not matter for attaching.
pub fn plain(using: &str) -> Vec<String> {
    let tokens: Vec<_> = tokens(using).filter(|token| token.kind != Kind::Comment).collect();
    let mut cursor = Cursor::new(using, &tokens);
    let mut words = Vec::new();
    if !cursor.sees(&["using"]) {
        words.extend(["using".to_string(), "btree".to_string()]);
    }
    while !cursor.at_end() {
        let storage = cursor.sees(&["with"]) || cursor.sees(&["tablespace"]);
        if storage {
            cursor.skip();
            if cursor.take_group().is_none() {
                cursor.skip();
            }
        } else if cursor.take(&["asc"])
            || cursor.take_kind(Kind::Open)
            || cursor.take_kind(Kind::Close)
        {
        } else {
            words.push(match cursor.clone().take_ident() {
                Some(name) => name.as_str().to_string(),
                None => cursor.first_text().to_string(),
            });
            cursor.skip();
        }
    }
    words
}

/// Whether an existing index of the wanted name is the wanted one, as far as text can tell.
pub fn is_the_wanted_one(existing: &Index, table: &QualifiedName, new: &NewIndex) -> bool {
    let columns: Vec<&Ident> = existing.definition.columns.iter().collect();
    let method = |using: &str| plain(using).into_iter().nth(1);
    existing.table == *table
        && existing.definition.unique == new.unique
        && columns == new.columns.iter().collect::<Vec<_>>()
        && method(&existing.definition.using) == method(&new.tail)
}

/// Whether an existing index says what the new one would, as far as two spellings can be compared.
pub fn says_the_same(existing: &Index, new: &NewIndex) -> bool {
    is_the_wanted_one(existing, &new.table, new)
        && spelling(&existing.definition.using) == spelling(&new.tail)
}

/// Whether an existing index is what an earlier run made of a statement without a name. A valid
/// one must say the same, as far as two spellings can be compared: the same columns may well have
/// several partial indexes.
pub fn is_an_earlier_try(existing: &Index, new: &NewIndex) -> bool {
    says_the_same(existing, new)
        || (!existing.valid && is_the_wanted_one(existing, &new.table, new))
}

/// A definition without what the server adds to it or writes in another way: casts, schemas, the
/// operators behind LIKE and IN.
fn spelling(using: &str) -> Vec<String> {
    const LEFT_OUT: &[&str] =
        &["(", ")", "[", "]", ",", "any", "array", "cast", "varying", "precision", "time", "zone"];
    let words = plain(using);
    let mut spelled: Vec<String> = Vec::new();
    let mut skip = 0;
    for (i, word) in words.iter().enumerate() {
        let next = words.get(i + 1).map_or("", String::as_str);
        match word.as_str() {
            _ if skip > 0 => skip -= 1,
            ":" => skip = 2,
            "as" => skip = 1,
            _ if next == "." => skip = 1,
            "like" => spelled.extend(["~", "~"].map(str::to_string)),
            "in" => spelled.push("=".to_string()),
            "!" if next == "=" => {
                spelled.extend(["<", ">"].map(str::to_string));
                skip = 1;
            }
            left_out if LEFT_OUT.contains(&left_out) => {}
            other => spelled.push(other.to_string()),
        }
    }
    spelled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_are_compared() {
        for (text, server) in [
            ("(a) where b = 'x'", "USING btree (a) WHERE (b = 'x'::text)"),
            (
                "(a) where b in ('x', 'y')",
                "USING btree (a) WHERE (b = ANY (ARRAY['x'::text, 'y'::text]))",
            ),
            (
                "(a) where b like 'x%' and c != 1",
                "USING btree (a) WHERE ((b ~~ 'x%'::text) AND (c <> 1))",
            ),
            ("(f(a))", "USING btree (public.f(a))"),
        ] {
            assert_eq!(spelling(text), spelling(server), "{text}");
        }
        assert_ne!(
            spelling("(a) where b = 'x'"),
            spelling("USING btree (a) WHERE (b = 'y'::text)")
        );
        assert_ne!(spelling("(a) where b"), spelling("USING btree (a)"));
    }

    #[test]
    fn equal_definitions_look_alike() {
        assert_eq!(plain("(a, B asc) where c"), plain("USING btree (a, b) WHERE c"));
        assert_eq!(plain("(a) with (fillfactor = 70)"), plain("USING btree (a)"));
        assert_eq!(plain("(a) where (b > 0)"), plain("USING btree (a) WHERE (b > 0)"));
        assert_ne!(plain("(a)"), plain("using brin (a)"));
        assert_ne!(plain("(\"A\")"), plain("(a)"));
    }
}
