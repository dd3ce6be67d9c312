//! A primary key that will run out of numbers.

use crate::checks::lint::check::{Check, FoundAt, Look};
use crate::checks::lint::world::World;
use crate::model::check::CheckRules;
use crate::model::finding::Severity;

/// The check.
pub const CHECK: Check = Check {
    id: "small-key",
    severity: Severity::Warning,
    meaning: "A new primary key is one column of type integer or smallint. At 2,147,483,647 \
              (32,767) no row can be inserted any more, and the way to bigint is a rewrite under \
              lock. A row is rarely smaller for it, since values are aligned to 8 bytes.",
    doubt: "A table of a few fixed rows never gets there. A key that refers to another table has \
            that table's type and is not looked at.",
    remedy: "make it bigint",
    bad: include_str!("../examples/small-key/bad.sql"),
    good: include_str!("../examples/small-key/good.sql"),
    look: Look::End(look),
};

fn look(world: &World, _: &CheckRules) -> Vec<FoundAt> {
    let found = world.tables.iter().filter_map(|(name, table)| {
        let key = table.primary_key.as_ref()?;
        let place = key.made.clone()?;
        let [column] = key.columns.as_slice() else { return None };
        let refers = table.foreign_keys.iter().any(|foreign| foreign.columns.contains(column));
        let type_name = &table.columns.get(column)?.type_name;
        let is_small = type_name.is_small_integer() && !type_name.is_array && !refers;
        let message = format!("its key {column} is {type_name}");
        is_small.then(|| FoundAt { subject: name.to_string(), message, place })
    });
    found.collect()
}
