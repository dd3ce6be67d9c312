//! A foreign key whose rows cannot be found.

use crate::checks::lint::check::{Check, FoundAt, Look};
use crate::checks::lint::world::{Index, World};
use crate::model::check::CheckRules;
use crate::model::finding::Severity;
use crate::model::ident::Ident;

/// The check.
pub const CHECK: Check = Check {
    id: "foreign-key-without-index",
    severity: Severity::Warning,
    meaning: "The columns of a new foreign key are not the first keys, in any order, of a b-tree \
              without predicate; or the index of an old one is dropped. Each DELETE of a \
              referenced row, and each UPDATE of its key, then reads the whole referring table.",
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
            let of_key = |index: &Index| index.table == *name && index.shape.finds(&key.columns);
            let dropped = world.dropped.iter().find(|(_, index, _)| of_key(index));
            let dropped = dropped.map(|(_, _, place)| place);
            let Some(place) = key.made.as_ref().or(dropped).cloned() else { continue };
            if world.indexes_of(name).any(|(_, index)| of_key(index)) {
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
