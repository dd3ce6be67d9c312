//! What a migration's own statements do to the catalog, as far as their heads tell: enough to plan
//! the statements behind them, which are planned again when they are reached.

use crate::model::catalog::{Catalog, Index, IndexDefinition, Partition, Relation, RelationKind};
use crate::model::ident::{Ident, QualifiedName};
use crate::planner::names::{distinct_columns, index_name};
use crate::sql::statement::{CreateIndex, CreateTable};

/// The schema that stands for the session's own: temporary tables.
pub fn temporary_schema() -> Ident {
    Ident::from_sql("pg_temp")
}

/// The table that `CREATE TABLE` makes.
pub fn new_table(catalog: &Catalog, table: &CreateTable) -> Option<QualifiedName> {
    match table.temporary {
        true => Some(QualifiedName::new(temporary_schema(), table.name.last()?.clone())),
        false => guess(catalog, &table.name),
    }
}

/// What `name` will be called if an earlier statement creates it.
pub fn guess(catalog: &Catalog, name: &[Ident]) -> Option<QualifiedName> {
    match name {
        [name] => {
            let schema = catalog.search_path.first()?;
            Some(QualifiedName::new(schema.clone(), name.clone()))
        }
        [.., schema, name] => Some(QualifiedName::new(schema.clone(), name.clone())),
        [] => None,
    }
}

pub fn follow_create_table(catalog: &mut Catalog, table: &CreateTable) {
    let Some(name) = guess(catalog, &table.name).filter(|_| !table.temporary) else { return };
    let parent = table.partition_of.as_ref().and_then(|p| catalog.resolve_relation(p)).cloned();
    let kind = match &table.partition_by {
        Some(_) => RelationKind::PartitionedTable,
        None => RelationKind::Table,
    };
    let partition_of =
        parent.map(|parent| Partition { parent, bound: String::new(), detach_pending: false });
    let partition_key = table.partition_by.clone();
    let relation = Relation { partition_of, partition_key, ..Relation::empty(kind) };
    catalog.relations.entry(name).or_insert(relation);
}

pub fn follow_drop_table(catalog: &mut Catalog, name: &[Ident]) {
    if let Some(table) = catalog.resolve_relation(name).cloned() {
        catalog.relations.remove(&table);
        catalog.indexes.retain(|_, index| index.table != table);
    }
}

/// Dropping a partitioned index drops its parts.
pub fn follow_drop_index(catalog: &mut Catalog, name: &QualifiedName) {
    catalog.indexes.remove(name);
    let parts: Vec<QualifiedName> =
        catalog.attached_indexes(name).map(|(part, _)| part.clone()).collect();
    parts.iter().for_each(|part| follow_drop_index(catalog, part));
}

/// A CREATE INDEX that runs as it stands.
pub fn follow_create_index(catalog: &mut Catalog, create: &CreateIndex) {
    let Some(table) = catalog.resolve_relation(&create.table).cloned() else { return };
    let columns = distinct_columns(&create.columns);
    let name = match &create.name {
        Some(name) => table.sibling(name.clone()),
        None => index_name(catalog, &table, &columns, "idx"),
    };
    catalog.indexes.entry(name).or_insert(Index {
        table,
        definition: IndexDefinition { unique: create.unique, using: create.tail.clone(), columns },
        valid: true,
        builder_pid: None,
        parent: None,
        constraint: None,
        size_bytes: 0,
    });
}
