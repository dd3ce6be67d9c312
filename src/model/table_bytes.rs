//! How large tables of a snapshot are, and how long work on all of their rows takes. Pure.

use std::collections::BTreeMap;

use super::ident::QualifiedName;
use super::lock_trace::Work;
use super::snapshot::{RelationSize, Snapshot};

/// What a disk and a processor get done of reading, sorting and writing: a cautious guess, which a
/// small server beats.
const BYTES_PER_MS: u64 = 50_000;

/// How large the tables of a snapshot are.
pub struct TableBytes<'a> {
    block_bytes: u64,
    tables: BTreeMap<&'a QualifiedName, &'a RelationSize>,
    /// Pages of all indexes, by their table.
    index_pages: BTreeMap<&'a QualifiedName, u64>,
}

impl<'a> TableBytes<'a> {
    /// Those of this snapshot.
    pub fn of(snapshot: &'a Snapshot) -> TableBytes<'a> {
        let is_index = |one: &&RelationSize| matches!(one.kind, 'i' | 'I');
        let (indexes, tables): (Vec<_>, Vec<_>) = snapshot.relations.iter().partition(is_index);
        let mut index_pages: BTreeMap<&QualifiedName, u64> = BTreeMap::new();
        for index in indexes {
            let Some(table) = &index.table else { continue };
            *index_pages.entry(table).or_default() += index.file_pages;
        }
        TableBytes {
            block_bytes: u64::from(snapshot.server.block_size),
            tables: tables.into_iter().map(|one| (&one.name, one)).collect(),
            index_pages,
        }
    }

    /// Whether a table is there.
    pub fn has(&self, table: &QualifiedName) -> bool {
        self.tables.contains_key(table)
    }

    /// The bytes that work on a table is about: with its TOAST where that is written too; 0 where
    /// the table is not there.
    pub fn worked_on(&self, table: &QualifiedName, work: Work) -> u64 {
        let Some(size) = self.tables.get(table) else { return 0 };
        let toast_pages = match work {
            Work::Rewrite => size.toast_pages,
            Work::FullScan | Work::Instant => 0,
        };
        (size.file_pages + toast_pages) * self.block_bytes
    }

    /// About how many milliseconds the work takes; `None` where it does not grow with the table. A
    /// table that is written anew gets its indexes anew.
    pub fn expected_ms(&self, table: &QualifiedName, work: Work) -> Option<u64> {
        let bytes = self.worked_on(table, work);
        match work {
            Work::Rewrite => {
                let index_pages = self.index_pages.get(table).copied().unwrap_or_default();
                Some((bytes + index_pages * self.block_bytes) / BYTES_PER_MS)
            }
            Work::FullScan => Some(bytes / BYTES_PER_MS),
            Work::Instant => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ident::Ident;
    use crate::model::snapshot::ServerFacts;

    #[test]
    fn a_rewrite_is_about_toast_and_indexes_too() {
        let name = |name| QualifiedName::new(Ident::from_sql("app"), Ident::from_sql(name));
        let (pages, toast_pages) = (1_000_000, 500_000);
        let (table, index) = (RelationSize::new(name("t"), 'r'), RelationSize::new(name("i"), 'i'));
        let table = RelationSize { toast_pages, file_pages: pages, ..table };
        let index = RelationSize { table: Some(name("t")), file_pages: pages, ..index };
        let server = ServerFacts { block_size: 8_192, ..ServerFacts::default() };
        let relations = vec![table, index];
        let snapshot = Snapshot { server, relations, ..Snapshot::default() };
        let sizes = TableBytes::of(&snapshot);
        let told = |work| (sizes.worked_on(&name("t"), work), sizes.expected_ms(&name("t"), work));
        assert_eq!(told(Work::Instant), (8_192_000_000, None));
        assert_eq!(told(Work::FullScan), (8_192_000_000, Some(163_840)));
        assert_eq!(told(Work::Rewrite), (12_288_000_000, Some(409_600)));
        assert!(sizes.has(&name("t")) && !sizes.has(&name("i")) && !sizes.has(&name("u")));
        assert_eq!(sizes.worked_on(&name("u"), Work::Rewrite), 0);
    }
}
