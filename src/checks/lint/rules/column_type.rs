//! Types that people regret.

use crate::checks::lint::check::{At, Check, Found, Look};
use crate::checks::lint::squawk::{Hit, Rule};
use crate::model::finding::Severity;
use crate::sql::alter_table::Action;

/// The check.
pub const CHECK: Check = Check {
    id: "column-type",
    severity: Severity::Info,
    meaning: "A new column has a type with a trap: `char(n)` is filled up with blanks; the length \
              of `varchar(n)` can only shrink with a scan; `timestamp` names no moment without a \
              time zone; a `serial` leaves its sequence open to everybody, where an identity does \
              not.",
    doubt: "A matter of taste as long as nobody stumbles. Each has its use.",
    remedy: "text with a CHECK, timestamptz, GENERATED ALWAYS AS IDENTITY",
    bad: include_str!("../examples/column-type/bad.sql"),
    good: include_str!("../examples/column-type/good.sql"),
    look: Look::Statement(look),
};

fn look(at: &At<'_>) -> Vec<Found> {
    let found = [
        (&[Rule::BanCharField] as &'static [Rule], "is filled up with blanks"),
        (&[Rule::PreferTextField], "has a length that can only shrink with a scan"),
        (&[Rule::PreferTimestampTz], "names no moment without a time zone"),
        (&[Rule::PreferIdentity], "leaves its sequence open; an identity does not"),
    ];
    // A column that is there has its trap already.
    let is_new = |hit: &&Hit| {
        let actions = at.alter.map(|alter| alter.actions.as_slice()).unwrap_or_default();
        let action = actions.iter().rfind(|(offset, _)| *offset <= hit.offset);
        !matches!(action, Some((_, Action::SetType { .. })))
    };
    let found = found.into_iter().flat_map(|(rules, what)| {
        at.hits(rules)
            .filter(is_new)
            .map(move |hit| Found::new(at.subject(), hit.offset, format!("{} {what}", hit.text)))
    });
    let mut found: Vec<Found> = found.collect();
    found.sort_by_key(|found| found.offset);
    found
}
