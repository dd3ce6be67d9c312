//! A new index does what another does.

use crate::checks::lint::check::{Check, FoundAt, Look};
use crate::checks::lint::world::{Index, World};
use crate::model::check::CheckRules;
use crate::model::finding::Severity;
use crate::model::ident::QualifiedName;

/// The check.
pub const CHECK: Check = Check {
    id: "duplicate-index",
    severity: Severity::Warning,
    meaning: "A new index has the same keys, order, predicate and columns as another one of the \
              table. It answers no query better, and each write keeps it up to date.",
    doubt: "A second index may be there for a while, to be swapped for the first.",
    remedy: "leave one of them out; keep the one that a constraint needs",
    bad: include_str!("../examples/duplicate-index/bad.sql"),
    good: include_str!("../examples/duplicate-index/good.sql"),
    look: Look::End(look),
};

/// Whether two indexes are the same but for their names.
pub fn is_twin(one: &Index, other: &Index) -> bool {
    one.table == other.table && one.unique == other.unique && one.shape == other.shape
}

fn look(world: &World, _: &CheckRules) -> Vec<FoundAt> {
    let mut found = Vec::new();
    for (name, index) in &world.indexes {
        let Some(place) = &index.made else { continue };
        // Of two new ones, the later is the duplicate.
        let is_earlier = |(other_name, other): &(&QualifiedName, &Index)| {
            *other_name != name
                && is_twin(index, other)
                && (&other.made, *other_name) < (&index.made, name)
        };
        if let Some((other, _)) = world.indexes_of(&index.table).find(is_earlier) {
            let message = format!("the index {} is the same as {}", name.name, other.name);
            found.push(FoundAt { subject: index.table.to_string(), message, place: place.clone() });
        }
    }
    found
}
