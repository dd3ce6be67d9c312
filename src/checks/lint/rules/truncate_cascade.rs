//! TRUNCATE takes tables that it does not name.

use crate::checks::lint::check::{At, Check, Found, Look};
use crate::checks::lint::squawk::Rule;
use crate::model::finding::Severity;
use crate::sql::locks::locks;
use crate::sql::tokens::{Cursor, tokens};

/// The check.
pub const CHECK: Check = Check {
    id: "truncate-cascade",
    severity: Severity::Error,
    meaning: "TRUNCATE … CASCADE also empties all tables that refer to these, and those that \
              refer to them, whatever they hold by the time it runs.",
    doubt: "All of the tables may be meant.",
    remedy: "name all tables that are to be emptied, and leave CASCADE out",
    bad: include_str!("../examples/truncate-cascade/bad.sql"),
    good: include_str!("../examples/truncate-cascade/good.sql"),
    look: Look::Statement(look),
};

fn look(at: &At<'_>) -> Vec<Found> {
    let tokens: Vec<_> = tokens(at.text).collect();
    let names = locks(Cursor::new(at.text, &tokens));
    let old = names.iter().find_map(|lock| at.old(&lock.table));
    let hits = at.hits(&[Rule::BanTruncateCascade]);
    let found = hits.filter_map(|hit| {
        let message = "tables that refer to it are emptied too, unnamed";
        Some(Found::new(&old.as_ref()?.0, hit.offset, message))
    });
    found.take(1).collect()
}
