//! How high an index tree is, from its pages and its keys: each descent is charged by it.

use super::index_size::{Content, Shape, index_pages};
use super::index_tuple::{HEADER, INNER_FILL, PAGE, POINTER, aligned};

/// A heap TID behind a key, aligned, which tells equal keys apart.
const TID: f64 = 8.0;

/// A key column of a b-tree.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Key {
    /// Mean bytes of a value.
    pub width: f64,
    /// Distinct values.
    pub distinct: f64,
}

/// A b-tree, as far as it is known without reading it.
#[derive(Debug, Clone, PartialEq)]
pub struct Tree {
    /// Pages of its file.
    pub pages: u64,
    /// Its rows.
    pub rows: f64,
    /// Its key columns.
    pub keys: Vec<Key>,
    /// Mean bytes of the columns beside the keys.
    pub included_width: f64,
    /// UNIQUE
    pub is_unique: bool,
    /// Whether equal keys stand there once, with lists of rows.
    pub shares_keys: bool,
    /// `fillfactor`, in per cent.
    pub fillfactor: Option<f64>,
}

impl Tree {
    /// Levels above the leaves; 0 where there is one leaf.
    ///
    /// A build leaves all inner pages of a level as full as each other, its only one too. Where
    /// rows came one by one, a root is full before it is split.
    pub fn height(&self) -> u32 {
        // Without the metapage.
        let all = self.pages.saturating_sub(1) as f64;
        let entry = self.pivot_bytes() + POINTER;
        let fan_out = |fill: f64| (PAGE * fill / entry).floor().max(2.0);
        let root_max = if self.has_grown() { fan_out(1.0) } else { fan_out(INNER_FILL) };
        let mut level = (all * (1.0 - 1.0 / fan_out(INNER_FILL))).ceil();
        let mut height = 0;
        while level > 1.0 {
            level = if level <= root_max { 1.0 } else { (level / fan_out(INNER_FILL)).ceil() };
            height += 1;
        }
        height
    }

    /// Whether it is larger than a build would leave it.
    fn has_grown(&self) -> bool {
        const LARGER: f64 = 1.1;
        let shape = Shape {
            access_method: "btree",
            shares_keys: self.shares_keys,
            fillfactor: self.fillfactor,
            pages_per_range: None,
        };
        let distinct: f64 = self.keys.iter().map(|key| key.distinct.max(1.0)).product();
        let content = Content {
            rows: self.rows,
            width: self.keys.iter().map(|key| key.width).sum::<f64>() + self.included_width,
            distinct: distinct.min(self.rows),
            table_pages: 0,
        };
        self.pages as f64 > index_pages(&shape, &content) as f64 * LARGER
    }

    /// Mean bytes of what an inner page keeps of a key: as many columns as tell two leaves apart,
    /// and the TID of the row where all of them do not suffice (`_bt_truncate` in nbtutils.c). Two
    /// rows beside each other share their first columns the likelier the fewer values these have.
    fn pivot_bytes(&self) -> f64 {
        let rows = self.rows.max(1.0);
        let (mut width, mut bytes, mut distinct, mut reached) = (HEADER, 0.0, 1.0, 1.0);
        for (at, key) in self.keys.iter().enumerate() {
            width += key.width;
            distinct *= key.distinct.max(1.0);
            let is_told = self.is_unique && at + 1 == self.keys.len();
            let shared = if is_told { 0.0 } else { 1.0 - (distinct / rows).min(1.0) };
            // Those for which this column suffices, and no other does.
            bytes += aligned(width) * (reached - shared).max(0.0);
            reached = reached.min(shared);
        }
        bytes + (aligned(width) + TID) * reached
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(pages: u64, rows: f64, keys: &[(f64, f64)]) -> Tree {
        let keys = keys.iter().map(|&(width, distinct)| Key { width, distinct }).collect();
        let (is_unique, shares_keys) = (false, true);
        Tree { pages, rows, keys, included_width: 0.0, is_unique, shares_keys, fillfactor: None }
    }

    #[test]
    fn trees_are_as_high_as_real_ones() {
        let unique = |pages, rows| tree(pages, rows, &[(4.0, rows)]).height();
        // What bt_metap tells of indexes on generate_series.
        assert_eq!(unique(1, 1.0), 0);
        assert_eq!(unique(2, 300.0), 0);
        assert_eq!(unique(30, 10_000.0), 1);
        assert_eq!(unique(276, 100_000.0), 1);
        assert_eq!(unique(2_745, 1_000_000.0), 2);
        // Few values: the TID comes along.
        assert_eq!(tree(258, 300_000.0, &[(4.0, 10.0)]).height(), 2);
        // The second key is seldom needed.
        assert_eq!(tree(254, 65_159.0, &[(8.0, 29_759.0), (8.0, 65_159.0)]).height(), 2);
    }

    #[test]
    fn a_root_that_rows_came_to_one_by_one_is_full_before_it_is_split() {
        // Of rows in the order of hashint8.
        let grown = tree(291, 50_252.0, &[(8.0, 25_150.0), (4.0, 2.0)]);
        assert_eq!(Tree { is_unique: true, ..grown.clone() }.height(), 1);
        // As large as that it is when it is built with this fillfactor.
        assert_eq!(Tree { is_unique: true, fillfactor: Some(60.0), ..grown }.height(), 2);
    }

    #[test]
    fn a_tree_is_not_larger_than_built_for_each_row_having_its_own_entry() {
        // Of i % 10 as numeric for i up to 100,000, as built on 15.
        let built = tree(278, 100_000.0, &[(4.0, 10.0)]);
        assert_eq!(Tree { shares_keys: false, ..built.clone() }.height(), 2);
        assert_eq!(built.height(), 1, "integers would have grown to that");
    }
}
