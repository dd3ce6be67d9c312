//! A foreign key whose rows cannot be found.

use crate::checks::lint::check::{Check, FoundAt, Look};
use crate::checks::lint::world::World;
use crate::model::check::CheckRules;
use crate::model::finding::Severity;
use crate::model::ident::Ident;

/// The check.
pub const CHECK: Check = Check {
    id: "foreign-key-without-index",
    severity: Severity::Warning,
    meaning: "A new foreign key whose columns are not the first keys, in any order, of a b-tree \
              without predicate. Each DELETE of a referenced row, and each UPDATE of its key, \
              then reads the whole referring table.",
    doubt: "Where referenced rows are never deleted and nobody joins by the key, no index is \
            needed.",
    remedy: "create an index that begins with these columns, in the same file",
    bad: include_str!("../examples/foreign-key-without-index/bad.sql"),
    good: include_str!("../examples/foreign-key-without-index/good.sql"),
    look: Look::End(look),
};

fn look(world: &World, _: &CheckRules) -> Vec<FoundAt> {
    let mut found = Vec::new();
    for (name, table) in &world.tables {
        for key in &table.foreign_keys {
            let Some(place) = key.made.clone() else { continue };
            if world.indexes_of(name).any(|(_, index)| index.shape.finds(&key.columns)) {
                continue;
            }
            let columns: Vec<String> = key.columns.iter().map(Ident::to_string).collect();
            let columns = columns.join(", ");
            let message =
                format!("no index finds the rows that refer to {} by {columns}", key.references);
            found.push(FoundAt { subject: name.to_string(), message, place });
        }
    }
    found
}
