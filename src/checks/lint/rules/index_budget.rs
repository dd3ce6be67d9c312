//! More indexes than a table shall have.

use std::collections::BTreeMap;

use crate::checks::lint::check::{Check, FoundAt, Look};
use crate::checks::lint::world::World;
use crate::model::check::CheckRules;
use crate::model::finding::{Place, Severity};
use crate::model::ident::QualifiedName;
use crate::model::units::human_bytes;

/// The check.
pub const CHECK: Check = Check {
    id: "index-budget",
    severity: Severity::Warning,
    meaning: "A table gets a new index and has then more than `check.indexes_max`, or its indexes \
              take more than `check.indexes_ratio` times its own size. Each INSERT, and most \
              UPDATEs, write to all of them.",
    doubt: "A table that is hardly written to may have many. The size of a new index is foretold \
            from the table's statistics; where the migrations cannot be run, it is not counted in.",
    remedy: "drop indexes that no query needs, merge some, or raise the budget in [check]",
    bad: include_str!("../examples/index-budget/bad.sql"),
    good: include_str!("../examples/index-budget/good.sql"),
    look: Look::End(look),
};

fn look(world: &World, rules: &CheckRules) -> Vec<FoundAt> {
    // The last new index is the one too many.
    let mut last: BTreeMap<&QualifiedName, &Place> = BTreeMap::new();
    for index in world.indexes.values() {
        let Some(place) = &index.made else { continue };
        let of_table = last.entry(&index.table).or_insert(place);
        *of_table = place.max(*of_table);
    }
    let over = last.into_iter().filter_map(|(table, place)| {
        let message = over_budget(world, rules, table)?;
        Some(FoundAt { subject: table.to_string(), message, place: place.clone() })
    });
    over.collect()
}

fn over_budget(world: &World, rules: &CheckRules, table: &QualifiedName) -> Option<String> {
    let count = world.indexes_of(table).count();
    if count > rules.indexes_max {
        return Some(format!("has {count} indexes; the budget is {}", rules.indexes_max));
    }
    let table_bytes = world.bytes(table);
    let tree = world.tree(table);
    let of_tree = world.indexes.values().filter(|index| tree.contains(&index.table));
    let known = || of_tree.map(|index| index.bytes).sum();
    let bytes = world.index_bytes.get(table).copied().unwrap_or_else(known);
    let is_over = bytes as f64 > rules.indexes_ratio * table_bytes as f64;
    (is_over && table_bytes >> 20 >= rules.rewrite_mb).then(|| {
        let (indexes, table) = (human_bytes(bytes), human_bytes(table_bytes));
        let ratio = rules.indexes_ratio;
        format!("its indexes take {indexes}, the table {table}; the budget is {ratio} x")
    })
}
