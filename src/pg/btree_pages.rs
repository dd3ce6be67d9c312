//! The pages of a b-tree without entries that has a height: what the planner reads of an index.

use crate::model::page::{self, BYTES, HEADER};

/// Bytes of `BTPageOpaqueData` at the end of each page.
const SPECIAL: usize = 16;
/// Where `btm_allequalimage` is in an index's file.
pub const ALL_EQUAL_IMAGE: usize = HEADER + 40;

/// All pages, from the metapage on: behind it one for each level, the inner ones with one downlink
/// that stands for minus infinity, and at last an empty leaf. `all_equal_image` is as the server
/// decided when it built the index: whether equal keys may share an entry.
pub fn pages(height: u32, all_equal_image: bool) -> Vec<u8> {
    let mut pages = metapage(height, all_equal_image);
    page::seal(&mut pages, 0);
    for block in 1..=height + 1 {
        let mut page = level(height + 1 - block, block);
        page::seal(&mut page, block);
        pages.extend(page);
    }
    pages
}

/// `BTMetaPageData` (nbtree.h): the root is block 1.
fn metapage(height: u32, all_equal_image: bool) -> Vec<u8> {
    const MAGIC: u32 = 0x0005_3162;
    const VERSION: u32 = 4;
    const META: u16 = 1 << 3;
    let mut page = page::empty(SPECIAL);
    // btm_magic, btm_version, btm_root, btm_level, btm_fastroot, btm_fastlevel; no deleted pages.
    for (at, number) in [MAGIC, VERSION, 1, height, 1, height].into_iter().enumerate() {
        let place = HEADER + 4 * at;
        page[place..place + 4].copy_from_slice(&number.to_le_bytes());
    }
    // btm_last_cleanup_num_heap_tuples, a number that is aligned to 8 bytes: unknown.
    page[HEADER + 32..HEADER + 40].copy_from_slice(&(-1.0_f64).to_le_bytes());
    page[ALL_EQUAL_IMAGE] = u8::from(all_equal_image);
    page::set_bounds(&mut page, ALL_EQUAL_IMAGE + 8, BYTES - SPECIAL);
    let flags = BYTES - SPECIAL + 12;
    page[flags..flags + 2].copy_from_slice(&META.to_le_bytes());
    page
}

/// The only page of a level: the leaf is at 0.
fn level(level: u32, block: u32) -> Vec<u8> {
    let mut page = page::empty(SPECIAL);
    let special = BYTES - SPECIAL;
    if level > 0 {
        // An item of 8 bytes, LP_NORMAL: its offset, flags and length (`ItemIdData`).
        let upper = special - 8;
        page::set_bounds(&mut page, HEADER + 4, upper);
        let item = upper as u32 | 1 << 15 | 8 << 17;
        page[HEADER..HEADER + 4].copy_from_slice(&item.to_le_bytes());
        // The block below, no attributes (INDEX_ALT_TID_MASK), 8 bytes.
        let child = block + 1;
        let tuple = [(child >> 16) as u16, (child & 0xFFFF) as u16, 0, 8 | 0x2000];
        let bytes: Vec<u8> = tuple.iter().flat_map(|number| number.to_le_bytes()).collect();
        page[upper..upper + 8].copy_from_slice(&bytes);
    }
    // BTPageOpaqueData: no neighbours, the level, BTP_LEAF and BTP_ROOT.
    let flags = u16::from(level == 0) | u16::from(block == 1) << 1;
    page[special + 8..special + 12].copy_from_slice(&level.to_le_bytes());
    page[special + 12..special + 14].copy_from_slice(&flags.to_le_bytes());
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_a_server() {
        let checksums = |pages: &[u8]| -> Vec<u16> {
            let each = pages.chunks(BYTES);
            each.map(|page| u16::from_le_bytes([page[8], page[9]])).collect()
        };
        // As `page_checksum` of pageinspect says of them.
        assert_eq!(checksums(&pages(2, true)), [17919, 36310, 15931, 920]);
        assert_eq!(checksums(&pages(0, false)), [13151, 57151]);
    }
}
