//! What a database remembers of partitions that are to leave, or have left.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::ident::QualifiedName;

/// The rows about tables that are still there.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Ledger {
    /// Whether the table is there, with all of its columns.
    pub prepared: bool,
    /// Its rows, without those about dropped tables.
    pub retired: Vec<Retired>,
}

/// A partition that is to leave, or has left.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Retired {
    /// Its name now.
    pub table: QualifiedName,
    /// The partitioned table it was written down for, by its name now.
    pub parent: QualifiedName,
    /// `FOR VALUES …`, as it was then.
    pub bound: String,
    /// How far it is.
    pub progress: RetiredProgress,
    /// Whether its rows are in the archive.
    pub archived: bool,
    /// Whether a rule drops it after its grace; otherwise it stays.
    pub expires: bool,
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
    /// Back from its archive: a partition that stays.
    Restored,
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

    /// Whether a table is back from its archive, to stay.
    pub fn is_restored(&self, table: &QualifiedName) -> bool {
        self.of(table).is_some_and(|retired| retired.progress == RetiredProgress::Restored)
    }

    /// Writes down that partitions are to leave.
    pub fn retire(
        &mut self,
        parent: &QualifiedName,
        partitions: &[(QualifiedName, String)],
        expires: bool,
    ) {
        self.retired.retain(|known| !partitions.iter().any(|(table, _)| *table == known.table));
        self.retired.extend(partitions.iter().map(|(table, bound)| Retired {
            table: table.clone(),
            parent: parent.clone(),
            bound: bound.clone(),
            progress: RetiredProgress::Retiring,
            archived: false,
            expires,
        }));
    }

    /// Writes down that a table's rows are in the archive.
    pub fn archived(&mut self, table: &QualifiedName) {
        let these = self.retired.iter_mut().filter(|retired| retired.table == *table);
        these.for_each(|retired| retired.archived = true);
    }

    /// Writes down that a partition is back.
    pub fn restored(&mut self, table: &QualifiedName, parent: &QualifiedName, bound: &str) {
        let (table, parent, bound) = (table.clone(), parent.clone(), bound.to_string());
        let progress = RetiredProgress::Restored;
        self.retired.retain(|known| known.table != table);
        self.retired.push(Retired {
            table,
            parent,
            bound,
            progress,
            archived: true,
            expires: false,
        });
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ident::Ident;

    #[test]
    fn a_partition_that_is_back_is_no_longer_one_that_left() {
        let name = |text: &str| {
            QualifiedName::new(Ident::new("public").unwrap(), Ident::new(text).unwrap())
        };
        let (table, parent) = (name("ev_2025_09"), name("ev"));
        let mut ledger = Ledger::default();
        ledger.retire(&parent, &[(table.clone(), "FOR VALUES …".to_string())], true);
        ledger.detached(std::slice::from_ref(&table));
        ledger.restored(&table, &parent, "FOR VALUES …");
        assert!(ledger.is_restored(&table), "{ledger:?}");
        assert_eq!(ledger.retired.len(), 1);
    }
}
