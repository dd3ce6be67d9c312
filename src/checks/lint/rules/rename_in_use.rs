//! Something is renamed that running programs may still use.

use crate::checks::lint::check::{At, Check, Found, Look};
use crate::checks::lint::squawk::Rule;
use crate::model::finding::Severity;
use crate::sql::alter_table::Action;

/// The check.
pub const CHECK: Check = Check {
    id: "rename-in-use",
    severity: Severity::Warning,
    meaning: "A table or column that was there before gets another name or schema. From one \
              moment to the next, the version of the application that still runs does not find \
              it.",
    doubt: "A view under the old name, made in the same transaction, keeps programs going.",
    remedy: "add the new one beside the old, move over, and drop the old one later",
    bad: include_str!("../examples/rename-in-use/bad.sql"),
    good: include_str!("../examples/rename-in-use/good.sql"),
    look: Look::Statement(look),
};

fn look(at: &At<'_>) -> Vec<Found> {
    let is_renamed = at.hits(&[Rule::RenamingColumn, Rule::RenamingTable]).next().is_some();
    let found = at.old_actions().filter_map(|(table, offset, action)| {
        let message = if let Action::SetSchema(schema) = action {
            format!("the table moves to the schema {schema}")
        } else if let Action::RenameColumn(old, new) = action {
            format!("{old} becomes {new}")
        } else if let Action::RenameTo(new) = action {
            format!("the table becomes {new}")
        } else {
            return None;
        };
        let asked = is_renamed || matches!(action, Action::SetSchema(_));
        asked.then(|| Found::new(table, offset, message))
    });
    found.collect()
}
