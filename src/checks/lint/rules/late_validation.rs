//! NOT VALID and VALIDATE in one transaction win nothing.

use crate::checks::lint::check::{At, Check, Found, Look};
use crate::model::finding::Severity;
use crate::sql::alter_table::Action;

/// The check.
pub const CHECK: Check = Check {
    id: "validate-in-same-transaction",
    severity: Severity::Error,
    meaning: "A constraint of a table of at least `check.scan_mb` is added NOT VALID and \
              validated in the same transaction. The lock of ADD CONSTRAINT is held until the \
              transaction ends, so that others wait for the whole validation after all.",
    doubt: "pgtune runs a file in one transaction unless index work stands in between.",
    remedy: "validate it in a migration of its own",
    bad: include_str!("../examples/validate-in-same-transaction/bad.sql"),
    good: include_str!("../examples/validate-in-same-transaction/good.sql"),
    look: Look::Statement(look),
};

fn look(at: &At<'_>) -> Vec<Found> {
    let Some(alter) = at.alter else { return Vec::new() };
    let Some(large) = at.large_to_scan(&alter.table) else { return Vec::new() };
    let mut added: Vec<&str> = at
        .not_valid
        .iter()
        .filter(|(table, _)| *table == large.name)
        .map(|(_, name)| name.as_str())
        .collect();
    let mut found = Vec::new();
    for (offset, action) in &alter.actions {
        if let Action::AddConstraint(constraint) = action {
            let name = constraint.name.as_ref().filter(|_| constraint.not_valid);
            added.extend(name.map(|name| name.as_str()));
        }
        let Action::Validate(name) = action else { continue };
        if added.contains(&name.as_str()) {
            let message = format!(
                "{} are read for {name} while the lock that added it is still held",
                large.size
            );
            found.push(Found::new(&large.name, *offset, message));
        }
    }
    found
}
