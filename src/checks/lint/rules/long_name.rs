//! A name that the server cuts.

use crate::checks::lint::check::{At, Check, Found, Look};
use crate::checks::lint::squawk::Rule;
use crate::model::finding::Severity;

/// The check.
pub const CHECK: Check = Check {
    id: "long-name",
    severity: Severity::Warning,
    meaning: "A name is longer than 63 bytes. PostgreSQL cuts it and only gives a notice: what \
              looks it up by its full name does not find it, and two may become one.",
    doubt: "Where everything uses it through SQL, it is cut everywhere alike.",
    remedy: "take a shorter name",
    bad: include_str!("../examples/long-name/bad.sql"),
    good: include_str!("../examples/long-name/good.sql"),
    look: Look::Statement(look),
};

fn look(at: &At<'_>) -> Vec<Found> {
    let hits = at.hits(&[Rule::IdentifierTooLong]);
    let found = hits.map(|hit| {
        let message = format!("{} is longer than 63 bytes", hit.text);
        Found::new(at.subject(), hit.offset, message)
    });
    found.collect()
}
