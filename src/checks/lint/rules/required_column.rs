//! A column that existing rows cannot have.

use crate::checks::lint::check::{At, Check, Found, Look};
use crate::model::finding::Severity;
use crate::sql::alter_table::Action;

/// The check.
pub const CHECK: Check = Check {
    id: "required-column",
    severity: Severity::Error,
    meaning: "A column is added NOT NULL and without a default to a table that was there before. \
              With a single row in it, the migration fails; and programs of the version before, \
              which do not know the column, cannot insert any more.",
    doubt: "The table may be empty.",
    remedy: "add it with a default, or without NOT NULL, and fill it first",
    bad: include_str!("../examples/required-column/bad.sql"),
    good: include_str!("../examples/required-column/good.sql"),
    look: Look::Statement(look),
};

fn look(at: &At<'_>) -> Vec<Found> {
    let found = at.old_actions().filter_map(|(table, offset, action)| {
        let Action::AddColumn(column) = action else { return None };
        let has_value =
            column.default.is_some() || column.generated.is_some() || column.type_name.is_serial();
        let message = format!("rows that are there have no value for {}", column.name);
        (column.not_null && !has_value).then(|| Found::new(table, offset, message))
    });
    found.collect()
}
