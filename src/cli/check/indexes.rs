//! How large new indexes will be.

use std::collections::BTreeMap;

use crate::model::ident::QualifiedName;
use crate::model::units::human_bytes;
use crate::pg::foretell::Foretold;
use crate::report::{Report, Table};

/// The bytes of all indexes of each table that gets one.
pub fn bytes(foretold: &Foretold) -> BTreeMap<QualifiedName, u64> {
    let each = foretold.tables.iter();
    each.map(|(table, sizes)| (table.clone(), sizes.indexes_after)).collect()
}

/// The new indexes, each beside its table and all indexes of that.
pub fn told(report: Report, foretold: &Foretold) -> Report {
    let header = ["index", "table", "size", "of the table", "all its indexes", "after"];
    let mut table = Table::new("new indexes", &header).right_aligned(&[2, 3, 4, 5]);
    table.rows = foretold
        .new_indexes
        .iter()
        .filter_map(|(name, index)| {
            let sizes = foretold.tables.get(&index.table)?;
            let figures = [index.bytes, sizes.bytes, sizes.indexes_before, sizes.indexes_after];
            let names = vec![name.to_string(), index.table.to_string()];
            Some([names, figures.map(human_bytes).to_vec()].concat())
        })
        .collect();
    if table.rows.is_empty() { report } else { report.table(table) }
}
