//! Bytes of index tuples and of the pages that hold them, as sizes are foretold with. Pure.

/// Bytes of a page for items: 8,192 without the page's header and an index's own 16 bytes.
pub const PAGE: f64 = 8_192.0 - 24.0 - 16.0;
/// How full builds and splits leave inner pages (`BTREE_NONLEAF_FILLFACTOR` in nbtree.h).
pub const INNER_FILL: f64 = 0.70;
/// A tuple's header (`IndexTupleData` in itup.h).
pub const HEADER: f64 = 8.0;
/// A tuple's line pointer (`ItemIdData` in itemid.h).
pub const POINTER: f64 = 4.0;

/// As many bytes as an item takes: it begins at a multiple of eight (`MAXALIGN`).
pub fn aligned(bytes: f64) -> f64 {
    (bytes / 8.0).ceil() * 8.0
}
