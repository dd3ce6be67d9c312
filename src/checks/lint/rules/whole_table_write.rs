//! All rows of a large table are changed in one transaction.

use crate::checks::lint::check::{At, Check, Found, Look};
use crate::model::finding::Severity;
use crate::sql::tokens::{Cursor, Kind, tokens};

/// The check.
pub const CHECK: Check = Check {
    id: "whole-table-write",
    severity: Severity::Warning,
    meaning: "An UPDATE or DELETE without WHERE on a table of at least `check.rewrite_mb`: each \
              row stays locked until the end, the table grows by its own size, and replicas fall \
              behind.",
    doubt: "Where nobody else writes to the table, and there is room, it may be the fastest way.",
    remedy: "change the rows in batches outside of the migration; TRUNCATE instead of DELETE",
    bad: include_str!("../examples/whole-table-write/bad.sql"),
    good: include_str!("../examples/whole-table-write/good.sql"),
    look: Look::Statement(look),
};

fn look(at: &At<'_>) -> Vec<Found> {
    let tokens: Vec<_> = tokens(at.text).filter(|token| token.kind != Kind::Comment).collect();
    let mut cursor = Cursor::new(at.text, &tokens);
    let what = match (cursor.take(&["update"]), cursor.take(&["delete", "from"])) {
        (true, _) => "changed",
        (_, true) => "deleted",
        (false, false) => return Vec::new(),
    };
    cursor.take(&["only"]);
    let Some(large) = cursor.take_name().and_then(|name| at.large_to_write(&name)) else {
        return Vec::new();
    };
    while !cursor.at_end() {
        if cursor.sees(&["where"]) {
            return Vec::new();
        }
        cursor.skip_item();
    }
    let message = format!("all rows of {} are {what} in one transaction", large.size);
    vec![Found::new(large.name, 0, message)]
}
