//! Something is dropped that running programs may still use.

use crate::checks::lint::check::{At, Check, Found, Look};
use crate::checks::lint::squawk::Rule;
use crate::model::finding::Severity;
use crate::sql::alter_table::Action;
use crate::sql::statement::Kind;

/// The check.
pub const CHECK: Check = Check {
    id: "drop-in-use",
    severity: Severity::Warning,
    meaning: "A table or column that was there before is dropped. The version of the application \
              that still runs while this is deployed fails where it uses it, and the rows are \
              gone.",
    doubt: "That nothing uses it any more cannot be seen from here.",
    remedy: "deploy the version that does not use it first, and then allow this with a reason",
    bad: include_str!("../examples/drop-in-use/bad.sql"),
    good: include_str!("../examples/drop-in-use/good.sql"),
    look: Look::Statement(look),
};

fn look(at: &At<'_>) -> Vec<Found> {
    if at.hits(&[Rule::BanDropTable, Rule::BanDropColumn]).next().is_none() {
        return Vec::new();
    }
    if let Kind::DropTable(names) = at.kind {
        let old = names.iter().filter_map(|name| at.old(name));
        return old.map(|(name, _)| Found::new(name, 0, "the table is dropped")).collect();
    }
    let found = at.old_actions().filter_map(|(table, offset, action)| {
        let Action::DropColumn(column) = action else { return None };
        Some(Found::new(table, offset, format!("the column {column} is dropped")))
    });
    found.collect()
}
