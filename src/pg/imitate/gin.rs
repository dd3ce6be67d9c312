//! Makes the first page of a GIN index say what it says elsewhere: how many pages held what when it
//! was built or vacuumed. The planner reads it (`ginGetStats`).
//!
//! A build leaves that page in memory, where no file reaches it. So the index gets the file of a
//! table that was made just now, no page of which anybody has seen.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::model::ident::literal;
use crate::model::page::{self, BYTES, HEADER};
use crate::model::snapshot::{GinPages, RelationSize};
use crate::pg::failure::Failure;
use crate::pg::session::Session;

/// Gives the GIN indexes whose counts are known new, empty files.
pub fn renew_files(
    session: &mut Session,
    relations: &[RelationSize],
) -> std::result::Result<(), Failure> {
    for one in relations.iter().filter(|one| one.gin.is_some()) {
        let (index, schema) = (&one.name, &one.name.schema);
        let swap = format!(
            "DO $$ DECLARE of_index oid := (SELECT i.indexrelid FROM pg_index i JOIN pg_class c ON \
             c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam WHERE a.amname = 'gin' AND \
             c.relkind = 'i' AND c.oid = to_regclass({})); of_table oid; BEGIN \
             IF of_index IS NULL THEN RETURN; END IF; \
             CREATE TABLE {schema}.pgtune_new_file (); \
             of_table := {}::regclass; \
             UPDATE pg_class c SET relfilenode = o.relfilenode FROM pg_class o \
             WHERE (c.oid, o.oid) IN ((of_index, of_table), (of_table, of_index)); \
             DROP TABLE {schema}.pgtune_new_file; END $$",
            literal(&index.to_string()),
            literal(&format!("{schema}.pgtune_new_file")),
        );
        session.run(&swap)?;
    }
    Ok(())
}

/// The command that writes the first pages into the file at `path`.
pub fn write(path: &str, gin: &GinPages) -> String {
    format!("echo {} | base64 -d > {path}", BASE64.encode(pages(gin)))
}

/// The metapage, and the root of a tree without entries.
fn pages(gin: &GinPages) -> Vec<u8> {
    const NO_BLOCK: [u8; 4] = u32::MAX.to_le_bytes();
    const PADDING: [u8; 4] = [0; 4];
    const VERSION: i32 = 2;
    // GinMetaPageData (ginblock.h): the list of what is pending is empty, whatever its count.
    let mut counts = [NO_BLOCK, NO_BLOCK, PADDING].concat();
    counts.extend(gin.pending_pages.to_le_bytes());
    counts.extend(0_i64.to_le_bytes());
    for pages in [gin.total_pages, gin.entry_pages, gin.data_pages] {
        counts.extend(pages.to_le_bytes());
    }
    counts.extend(PADDING);
    counts.extend(gin.entries.to_le_bytes());
    counts.extend(VERSION.to_le_bytes());
    counts.extend(PADDING);
    let (mut first, mut root) = (page_with(GIN_META), page_with(GIN_LEAF));
    let end = HEADER + counts.len();
    first[HEADER..end].copy_from_slice(&counts);
    page::set_bounds(&mut first, end, BYTES - SPECIAL);
    page::seal(&mut first, 0);
    page::seal(&mut root, 1);
    [first, root].concat()
}

/// Bytes of `GinPageOpaqueData` at the end of each page.
const SPECIAL: usize = 8;
const GIN_LEAF: u16 = 1 << 1;
const GIN_META: u16 = 1 << 3;

/// An empty page that has no neighbour.
fn page_with(flags: u16) -> Vec<u8> {
    let mut page = page::empty(SPECIAL);
    let special = BYTES - SPECIAL;
    page[special..special + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    page[special + 6..].copy_from_slice(&flags.to_le_bytes());
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_a_server() {
        let gin = GinPages {
            pending_pages: 1,
            total_pages: 17,
            entry_pages: 9,
            data_pages: 7,
            entries: 31,
        };
        // As `page_checksum` of pageinspect says of them.
        let pages = pages(&gin);
        let checksum = |block: usize| &pages[block * BYTES + 8..block * BYTES + 10];
        assert_eq!(checksum(0), 61_065_u16.to_le_bytes());
        assert_eq!(checksum(1), 27_255_u16.to_le_bytes());
    }
}
