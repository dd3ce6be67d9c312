//! A DEFAULT partition that becomes another one: what is said to the server.

use serde::{Deserialize, Serialize};

use super::partition::NewPartition;
use crate::model::catalog::{Catalog, Partition};
use crate::model::ident::{Ident, QualifiedName};

/// A DEFAULT partition that becomes the partition of a range, with an empty one in its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promotion {
    /// The DEFAULT partition.
    pub default: QualifiedName,
    /// What it will be called.
    pub name: QualifiedName,
    /// `FOR VALUES …`
    pub bound: String,
    /// A valid check that its rows fit the bound.
    pub proof: Ident,
    /// Tables that foreign keys of the partitioned table point at.
    pub references: Vec<QualifiedName>,
    /// The new DEFAULT partition, under the old one's name.
    pub fresh: NewPartition,
}

impl Promotion {
    /// One transaction. The check spares ATTACH the scan, and the foreign keys that DETACH leaves
    /// to the table are taken over as they are (`tryAttachPartitionForeignKey` in tablecmds.c).
    /// Who writes to tables that foreign keys point at goes on to this one: locked in that order,
    /// nobody waits in a circle.
    pub fn sql(&self) -> Vec<String> {
        let Promotion { default, name, bound, proof, references, fresh } = self;
        let parent = &fresh.parent;
        let mut sql: Vec<String> = references.iter().map(lock_reference).collect();
        sql.push(format!("LOCK TABLE ONLY {parent} IN ACCESS EXCLUSIVE MODE"));
        sql.push(format!("ALTER TABLE {parent} DETACH PARTITION {default}"));
        sql.push(format!("ALTER TABLE {default} RENAME TO {}", name.name));
        sql.push(format!("ALTER TABLE {parent} ATTACH PARTITION {name} {bound}"));
        sql.push(format!("ALTER TABLE {name} DROP CONSTRAINT {proof}"));
        sql.extend(fresh.create_sql());
        sql.extend(fresh.attach_sql());
        sql
    }

    /// Changes `catalog` likewise.
    pub(super) fn apply(&self, catalog: &mut Catalog) {
        let Some(mut relation) = catalog.relations.remove(&self.default) else { return };
        let (parent, bound) = (self.fresh.parent.clone(), self.bound.clone());
        relation.partition_of = Some(Partition { parent, bound, detach_pending: false });
        relation.checks.retain(|check| check.name != self.proof);
        catalog.relations.insert(self.name.clone(), relation);
        self.fresh.apply(catalog);
    }
}

fn lock_reference(table: &QualifiedName) -> String {
    format!("LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE")
}
