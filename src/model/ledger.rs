//! What a database remembers of partitions that are to leave, or have left.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::ident::QualifiedName;

/// The rows about tables that are still there.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Ledger {
    /// Whether the table is there.
    pub exists: bool,
    /// Its rows, without those about dropped tables.
    pub retired: Vec<Retired>,
}

/// A partition that is to leave, or has left.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Retired {
    /// Its name now.
    pub table: QualifiedName,
    /// The partitioned table it was written down for.
    pub parent: QualifiedName,
    /// `FOR VALUES …`, as it was then.
    pub bound: String,
    /// How far it is.
    pub progress: RetiredProgress,
}

/// How far a partition's leaving is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RetiredProgress {
    /// Written down; it may be attached still.
    Retiring,
    /// Detached, by the server's clock.
    DetachedAt(DateTime<Utc>),
    /// Detached in the run that is being planned.
    DetachedNow,
}

impl Ledger {
    /// Whether there is nothing to say about it.
    pub fn is_empty(&self) -> bool {
        *self == Ledger::default()
    }

    /// What is known about a table.
    pub fn of(&self, table: &QualifiedName) -> Option<&Retired> {
        self.retired.iter().find(|retired| retired.table == *table)
    }

    /// Writes down that partitions are to leave.
    pub fn retire(&mut self, parent: &QualifiedName, partitions: &[(QualifiedName, String)]) {
        self.retired.extend(partitions.iter().map(|(table, bound)| Retired {
            table: table.clone(),
            parent: parent.clone(),
            bound: bound.clone(),
            progress: RetiredProgress::Retiring,
        }));
    }

    /// Writes down that tables are detached.
    pub fn detached(&mut self, tables: &[QualifiedName]) {
        let these = self.retired.iter_mut().filter(|retired| tables.contains(&retired.table));
        these.for_each(|retired| retired.progress = RetiredProgress::DetachedNow);
    }

    /// Forgets tables that are no more, or are partitions again.
    pub fn forget(&mut self, tables: &[QualifiedName]) {
        self.retired.retain(|retired| !tables.contains(&retired.table));
    }
}
