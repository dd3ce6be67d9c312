//! What pgtune does to a DEFAULT partition that holds many rows of partitions to be created.

use serde::{Deserialize, Serialize};

use super::action::Script;
use super::partition::{NewPartition, by_pgtune_alone};
use super::swap::{Preparation, Swap, TakeBack, Takeover};
use crate::model::catalog::{Catalog, Partition};
use crate::model::ident::{Ident, QualifiedName};
use crate::model::units::plural;

/// One thing to do to a DEFAULT partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum DefaultAction {
    /// Make it the partition of a range that all its rows fit, and an empty one like it.
    Promote(Box<Promotion>),
    /// Make the tables that its rows will be copied into, and note its changes from then on.
    Prepare(Box<Preparation>),
    /// Copy its rows, some blocks at a time.
    Copy(Box<Swap>),
    /// Compare the copy with it.
    Compare(Box<Swap>),
    /// Put the copy in its place.
    TakeOver(Box<Takeover>),
    /// Give a copy up.
    TakeBack(TakeBack),
}

impl DefaultAction {
    /// What the action says to the server, without timeouts.
    pub fn script(&self) -> Script {
        match self {
            DefaultAction::Promote(promotion) => Script::own(promotion.sql()),
            DefaultAction::Prepare(preparation) => Script::own(preparation.sql()),
            DefaultAction::Copy(_) | DefaultAction::Compare(_) => {
                Script::alone(by_pgtune_alone(&self.name()))
            }
            DefaultAction::TakeOver(takeover) => Script::own(takeover.sql()),
            DefaultAction::TakeBack(copy) => Script::own(copy.sql()),
        }
    }

    /// What it does in a line for each table.
    pub fn headlines(&self) -> Vec<String> {
        match self {
            DefaultAction::Promote(promotion) => {
                let Promotion { default, name, bound, .. } = promotion.as_ref();
                vec![
                    format!("{default} becomes {name} {bound}"),
                    format!("create {default} DEFAULT"),
                ]
            }
            DefaultAction::Prepare(preparation) => {
                let tables = preparation.partitions.iter();
                let mut lines: Vec<String> =
                    tables.map(|(new, _)| format!("create {} {}", new.name, new.bound)).collect();
                lines.push(format!("note changes of {}", preparation.swap.default));
                lines
            }
            DefaultAction::Copy(_) | DefaultAction::Compare(_) | DefaultAction::TakeBack(_) => {
                vec![self.name()]
            }
            DefaultAction::TakeOver(takeover) => {
                let Takeover { swap, retired, partitions, .. } = takeover.as_ref();
                let attached = plural(partitions.len(), "partition", "partitions");
                vec![
                    format!("{} leaves as {retired}", swap.default),
                    format!("attach {attached} and another {} DEFAULT", swap.default),
                ]
            }
        }
    }

    /// What it does, whatever to.
    pub fn kind_name(&self) -> &'static str {
        match self {
            DefaultAction::Promote(_) => "make DEFAULT a partition, and a new one",
            DefaultAction::Prepare(_) => "make tables for the rows of DEFAULT",
            DefaultAction::Copy(_) => "copy the rows of DEFAULT",
            DefaultAction::Compare(_) => "compare the copy of DEFAULT",
            DefaultAction::TakeOver(_) => "put the copy of DEFAULT in its place",
            DefaultAction::TakeBack(_) => "give up a copy of DEFAULT",
        }
    }

    /// Its name in events and errors: "copy the rows of public.events_default".
    pub fn name(&self) -> String {
        match self {
            DefaultAction::Promote(promotion) => {
                format!("make {} the partition {}", promotion.default, promotion.name)
            }
            DefaultAction::Prepare(preparation) => {
                format!("make tables for the rows of {}", preparation.swap.default)
            }
            DefaultAction::Copy(swap) => format!("copy the rows of {}", swap.default),
            DefaultAction::Compare(swap) => {
                format!("compare the rows of {} with their copy", swap.default)
            }
            DefaultAction::TakeOver(takeover) => {
                format!("put the copy of {} in its place", takeover.swap.default)
            }
            DefaultAction::TakeBack(copy) => {
                format!("give up the copy beside {}", copy.parent)
            }
        }
    }

    /// How many partitions the table has more afterwards.
    pub fn created(&self) -> usize {
        match self {
            DefaultAction::Promote(_) => 1,
            DefaultAction::TakeOver(takeover) => takeover.partitions.len(),
            DefaultAction::Prepare(_)
            | DefaultAction::Copy(_)
            | DefaultAction::Compare(_)
            | DefaultAction::TakeBack(_) => 0,
        }
    }

    /// Changes `catalog` as the action will change the database.
    pub fn apply(&self, catalog: &mut Catalog) {
        match self {
            DefaultAction::Promote(promotion) => promotion.apply(catalog),
            DefaultAction::Prepare(preparation) => preparation.apply(catalog),
            DefaultAction::Copy(_) | DefaultAction::Compare(_) => {}
            DefaultAction::TakeOver(takeover) => takeover.apply(catalog),
            DefaultAction::TakeBack(copy) => copy.apply(catalog),
        }
    }
}

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
