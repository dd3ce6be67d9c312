//! An index that another one could stand in for.

use std::collections::BTreeSet;

use super::duplicate_index::is_twin;
use crate::checks::lint::check::{Check, FoundAt, Look};
use crate::checks::lint::world::{Index, World};
use crate::model::check::CheckRules;
use crate::model::finding::Severity;
use crate::model::ident::QualifiedName;

/// The check.
pub const CHECK: Check = Check {
    id: "redundant-index",
    severity: Severity::Warning,
    meaning: "The keys of one b-tree are the first keys of another with the same order and \
              predicate, and one of the two is new. Unique indexes, those of constraints, and \
              those whose predicates differ are never called redundant.",
    doubt: "The narrow index is smaller and may stay in memory; whether queries get slower \
            without it is what `pgtune check` shows with the drop in a migration.",
    remedy: "leave the narrow one out, or drop it in the same migration",
    bad: include_str!("../examples/redundant-index/bad.sql"),
    good: include_str!("../examples/redundant-index/good.sql"),
    look: Look::End(look),
};

fn look(world: &World, _: &CheckRules) -> Vec<FoundAt> {
    let mut found = Vec::new();
    let new: BTreeSet<&QualifiedName> =
        world.indexes.values().filter(|index| index.made.is_some()).map(|i| &i.table).collect();
    for table in new {
        let indexes: Vec<(&QualifiedName, &Index)> = world.indexes_of(table).collect();
        let mut removable = indexes.clone();
        removable.retain(|(_, index)| !index.unique && !index.has_constraint);
        for (name, narrow) in removable {
            let stands_in = |(other_name, wide): &&(&QualifiedName, &Index)| {
                *other_name != name
                    && (narrow.made.is_some() || wide.made.is_some())
                    && narrow.shape.is_prefix_of(&wide.shape)
                    && !is_twin(narrow, wide)
            };
            let Some((other, wide)) = indexes.iter().find(stands_in) else { continue };
            let Some(place) = narrow.made.clone().or_else(|| wide.made.clone()) else { continue };
            let message = format!("{} can stand in for the index {}", other.name, name.name);
            found.push(FoundAt { subject: table.to_string(), message, place });
        }
    }
    found
}
