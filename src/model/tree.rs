//! How high an index tree is, from its pages and its keys: each descent is charged by it.

/// Bytes of a page for items: 8,192 without the page's header and the tree's own 16 bytes.
const PAGE: f64 = 8_192.0 - 24.0 - 16.0;
/// Builds and splits leave inner pages this full (`BTREE_NONLEAF_FILLFACTOR` in nbtree.h).
const INNER_FILL: f64 = 0.70;
/// An index tuple's header, and its line pointer.
const HEADER: f64 = 8.0;
const POINTER: f64 = 4.0;
/// A heap TID, which tells equal keys apart.
const TID: f64 = 8.0;

/// A key column of a b-tree.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Key {
    /// Mean bytes of a value.
    pub width: f64,
    /// Distinct values.
    pub distinct: f64,
}

/// Levels above the leaves of a b-tree with so many pages and rows; 0 where there is one leaf.
///
/// Inner pages keep of a key what tells two leaves apart: as many columns as it takes, and the TID
/// of the row where all of them do not suffice (`_bt_truncate` in nbtutils.c).
pub fn btree_height(pages: u64, rows: f64, keys: &[Key]) -> u32 {
    // Without the metapage.
    let all = pages.saturating_sub(1) as f64;
    let fan_out = (PAGE * INNER_FILL / (pivot_bytes(rows, keys) + POINTER)).floor().max(2.0);
    let mut level = (all * (1.0 - 1.0 / fan_out)).ceil();
    let mut height = 0;
    while level > 1.0 {
        level = (level / fan_out).ceil();
        height += 1;
    }
    height
}

/// Mean bytes of what an inner page keeps of a key. Two rows beside each other share their first
/// columns the likelier the fewer values these have; then the next one has to tell them apart.
fn pivot_bytes(rows: f64, keys: &[Key]) -> f64 {
    let rows = rows.max(1.0);
    let (mut bytes, mut distinct, mut shared) = (HEADER, 1.0, 1.0);
    for key in keys {
        bytes += key.width * shared;
        distinct *= key.distinct.max(1.0);
        shared = 1.0 - (distinct / rows).min(1.0);
    }
    aligned(bytes) + TID * shared
}

/// Items begin at multiples of eight bytes (`MAXALIGN`).
fn aligned(bytes: f64) -> f64 {
    (bytes / 8.0).ceil() * 8.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trees_are_as_high_as_real_ones() {
        let unique = |pages, rows| btree_height(pages, rows, &[Key { width: 4.0, distinct: rows }]);
        // What bt_metap tells of indexes on generate_series.
        assert_eq!(unique(1, 1.0), 0);
        assert_eq!(unique(2, 300.0), 0);
        assert_eq!(unique(30, 10_000.0), 1);
        assert_eq!(unique(276, 100_000.0), 1);
        assert_eq!(unique(2_745, 1_000_000.0), 2);
        // Few values: the TID comes along.
        let few = [Key { width: 4.0, distinct: 10.0 }];
        assert_eq!(btree_height(250, 100_000.0, &few), 2);
    }
}
