//! How many pages an index will have that is not built yet, as a fresh build would leave it.

use super::index_tuple::{HEADER, INNER_FILL, PAGE, POINTER, aligned};

/// What a leaf of a b-tree is filled to at a build, where the index does not say (in per cent).
const BTREE_FILL: f64 = 90.0;
/// A heap TID in a list of them.
const TID: f64 = 6.0;
/// The longest list of rows of one key that a build makes (`_bt_load` in nbtsort.c: a tenth of a
/// page).
const POSTING_MAX: f64 = 808.0;

/// What the planner expects of an index's rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Content {
    /// Rows that fulfil its predicate.
    pub rows: f64,
    /// Mean bytes of all of its columns.
    pub width: f64,
    /// Distinct values of its key columns together.
    pub distinct: f64,
    /// Pages of the table.
    pub table_pages: u64,
}

/// What of an index's definition decides about its size.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape<'a> {
    /// Its access method.
    pub access_method: &'a str,
    /// Of a b-tree: whether equal keys stand there once, with lists of rows.
    pub shares_keys: bool,
    /// `fillfactor`, in per cent.
    pub fillfactor: Option<f64>,
    /// `pages_per_range` of BRIN.
    pub pages_per_range: Option<f64>,
}

/// Whether equal keys of a b-tree stand there once, with lists of rows (`_bt_load` in nbtsort.c).
/// `all_equal_image` is as its metapage says: whether keys that are equal have the same bytes, and
/// there are no columns beside them.
pub fn shares_keys(all_equal_image: bool, is_unique: bool, options: &[String]) -> bool {
    // All that `parse_bool` reads as false, which is kept as it was written.
    let is_off = |value: &str| {
        let value = value.to_ascii_lowercase();
        value == "0" || value == "of" || value == "off" || {
            !value.is_empty() && ["false", "no"].iter().any(|word| word.starts_with(&value))
        }
    };
    let is_told_not_to = storage_parameter(options, "deduplicate_items").is_some_and(is_off);
    all_equal_image && !is_unique && !is_told_not_to
}

/// The value of a storage parameter, of those of a relation.
pub fn storage_parameter<'a>(options: &'a [String], name: &str) -> Option<&'a str> {
    options.iter().find_map(|option| option.strip_prefix(name)?.strip_prefix('='))
}

/// Pages of the index's file.
pub fn index_pages(shape: &Shape<'_>, content: &Content) -> u64 {
    let pages = match shape.access_method {
        "brin" => brin(shape, content),
        "hash" => hash(shape, content),
        "gin" => gin(content),
        "btree" => btree(shape, content),
        // A tree of entries that are as wide as values: GiST, SP-GiST, those of extensions.
        _ => plain_leaves(shape, content) * 1.02 + 1.0,
    };
    pages.ceil().max(1.0) as u64
}

fn btree(shape: &Shape<'_>, content: &Content) -> f64 {
    let leaves = plain_leaves(shape, content);
    let leaves = if shape.shares_keys { leaves.min(shared_leaves(shape, content)) } else { leaves };
    // Inner pages are few, however wide their keys are; one page says where the root is.
    let fan_out = (PAGE * INNER_FILL / (aligned(HEADER + content.width) + POINTER)).max(2.0);
    leaves + leaves / (fan_out - 1.0) + 1.0
}

/// Leaves with an entry for each row.
fn plain_leaves(shape: &Shape<'_>, content: &Content) -> f64 {
    let entry = aligned(HEADER + content.width) + POINTER;
    content.rows * entry / filled(shape)
}

/// Leaves of a b-tree whose equal keys stand there once, with lists of rows.
fn shared_leaves(shape: &Shape<'_>, content: &Content) -> f64 {
    let keys = content.distinct.clamp(1.0, content.rows.max(1.0));
    let rows_per_key = content.rows / keys;
    let key = aligned(HEADER + content.width);
    let rows_per_entry = ((POSTING_MAX - key) / TID).floor().max(1.0);
    let entries_per_key = (rows_per_key / rows_per_entry).ceil();
    let rows_in_each = rows_per_key / entries_per_key;
    let list = if rows_in_each > 1.0 { rows_in_each * TID } else { 0.0 };
    keys * entries_per_key * (aligned(key + list) + POINTER) / filled(shape)
}

/// Bytes of a leaf that a build uses.
fn filled(shape: &Shape<'_>) -> f64 {
    PAGE - 8_192.0 * (100.0 - shape.fillfactor.unwrap_or(BTREE_FILL)) / 100.0
}

/// A summary for each range of pages, a map to find them, and the first page.
fn brin(shape: &Shape<'_>, content: &Content) -> f64 {
    const PAGES_PER_RANGE: f64 = 128.0;
    const RANGES_OF_MAP_PAGE: f64 = 1_360.0;
    let ranges = content.table_pages as f64 / shape.pages_per_range.unwrap_or(PAGES_PER_RANGE);
    let summary = aligned(HEADER + 2.0 * content.width) + POINTER;
    1.0 + (ranges / RANGES_OF_MAP_PAGE).ceil() + (ranges * summary / PAGE).ceil()
}

/// Buckets for all rows, filled to three quarters; their number is a power of two.
fn hash(shape: &Shape<'_>, content: &Content) -> f64 {
    const ENTRY: f64 = 16.0 + POINTER;
    let fill = shape.fillfactor.unwrap_or(75.0) / 100.0;
    let buckets = (content.rows * ENTRY / (8_192.0 * fill)).max(2.0);
    2.0_f64.powf(buckets.log2().ceil()) + 2.0
}

/// Elements with compressed lists of rows: what is wide has many. A rule of thumb; nobody counts
/// the keys in JSON.
fn gin(content: &Content) -> f64 {
    const BYTES_PER_ELEMENT: f64 = 12.0;
    const BYTES_PER_ROW: f64 = 2.5;
    let elements = (content.width / BYTES_PER_ELEMENT).max(1.0);
    1.0 + content.rows * elements * BYTES_PER_ROW / (PAGE * 0.9)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BTREE: Shape<'_> = Shape {
        access_method: "btree",
        shares_keys: true,
        fillfactor: None,
        pages_per_range: None,
    };

    #[track_caller]
    fn near(pages: u64, real: u64) {
        let off = (pages as f64 / real as f64 - 1.0).abs();
        assert!(off < 0.06, "{pages} pages instead of {real}");
    }

    #[test]
    fn b_trees_are_as_large_as_real_ones() {
        let content =
            |rows, width, distinct| Content { rows, width, distinct, table_pages: 17_242 };
        let of_million = |width, distinct| index_pages(&BTREE, &content(1e6, width, distinct));
        // Of i, i % 1000, i % 10, and so on, for i up to a million, on 15.
        near(of_million(4.0, 1e6), 2_745);
        near(of_million(4.0, 1e3), 896);
        near(of_million(4.0, 10.0), 850);
        near(of_million(12.0, 1e3), 897);
        near(of_million(12.0, 1e6), 3_853);
        near(of_million(33.0, 1e6), 7_210);
        near(index_pages(&BTREE, &content(1e5, 4.0, 100.0)), 91);
        let unshared = Shape { shares_keys: false, ..BTREE };
        near(index_pages(&unshared, &content(1e6, 4.0, 10.0)), 2_745);
        near(index_pages(&unshared, &content(1e6, 45.0, 1e6)), 8_274);
        // Of i % 1000 as numeric and as an array, and of 'key ' || i % 1000 as text, with a
        // collation that is not deterministic and with `deduplicate_items = off`, for i up to half
        // a million, on 15.
        near(index_pages(&unshared, &content(5e5, 4.0, 1e3)), 1_376);
        near(index_pages(&unshared, &content(5e5, 25.0, 1e3)), 3_043);
        near(index_pages(&BTREE, &content(5e5, 7.0, 1e3)), 450);
        near(index_pages(&unshared, &content(5e5, 7.0, 1e3)), 1_376);
    }

    #[test]
    fn equal_keys_are_shared_where_all_is_for_it() {
        let shares = |option: &str| shares_keys(true, false, &[option.to_string()]);
        for off in ["off", "OF", "f", "False", "no", "0"] {
            assert!(!shares(&format!("deduplicate_items={off}")), "{off}");
        }
        for on in ["deduplicate_items=on", "deduplicate_items=1", "fillfactor=70"] {
            assert!(shares(on), "{on}");
        }
        assert!(!shares_keys(false, false, &[]), "numeric");
        assert!(!shares_keys(true, true, &[]), "UNIQUE");
    }

    #[test]
    fn other_methods() {
        let content = Content { rows: 1e6, width: 8.0, distinct: 1e6, table_pages: 10_000 };
        let brin = Shape { access_method: "brin", ..BTREE };
        assert_eq!(index_pages(&brin, &content), 3);
        let hash = Shape { access_method: "hash", ..BTREE };
        assert_eq!(index_pages(&hash, &content), 4_098);
        assert_eq!(index_pages(&BTREE, &Content { rows: 0.0, ..content }), 1);
    }
}
