//! A large table is read from end to end while others wait.

use crate::checks::lint::check::{At, Check, Found, Large, Look};
use crate::model::finding::Severity;
use crate::model::ident::Ident;
use crate::sql::alter_table::Action;
use crate::sql::column::Body;

/// The check.
pub const CHECK: Check = Check {
    id: "table-scan-under-lock",
    severity: Severity::Error,
    meaning: "A table of at least `check.scan_mb` is read from end to end while a lock keeps \
              others from it: by `SET NOT NULL` without a valid `CHECK (… IS NOT NULL)`, by a \
              CHECK or foreign key that is added without `NOT VALID`, and by `ATTACH PARTITION` \
              of a table without any valid CHECK that implies the bound.",
    doubt: "Whether a CHECK implies a partition's bound is not worked out: any valid one counts. \
            A table that is in memory is read in a second per gigabyte or so.",
    remedy: "add the constraint NOT VALID, validate it in a later migration, and then SET NOT \
             NULL or ATTACH, which need no scan any more",
    bad: include_str!("../examples/table-scan-under-lock/bad.sql"),
    good: include_str!("../examples/table-scan-under-lock/good.sql"),
    look: Look::Statement(look),
};

fn look(at: &At<'_>) -> Vec<Found> {
    let Some(alter) = at.alter else { return Vec::new() };
    let large = at.large_to_scan(&alter.table);
    let mut found = Vec::new();
    for (offset, action) in &alter.actions {
        if let Action::Attach(part) = action
            && let Some(part) = at.large_to_scan(part)
            && !part.table.checks.iter().any(|check| check.valid)
        {
            let message = format!(
                "{} are read under ACCESS EXCLUSIVE: does every row fit the bound?",
                part.size
            );
            found.push(Found::new(&part.name, *offset, message));
        }
        let cause = large.as_ref().and_then(|large| Some((large, cause(large, action)?)));
        if let Some((large, (lock, why))) = cause {
            let message = format!("{} are read under {lock}: {why}", large.size);
            found.push(Found::new(&large.name, *offset, message));
        }
    }
    found
}

/// The lock that is held while the table is read, and why it is read.
fn cause(large: &Large<'_>, action: &Action) -> Option<(&'static str, String)> {
    let (strongest, weaker) = ("ACCESS EXCLUSIVE", "SHARE ROW EXCLUSIVE");
    match action {
        Action::SetNotNull(column) => {
            let why = format!("is there a NULL in {column}?");
            (!is_proven(large, column)).then_some((strongest, why))
        }
        Action::AddConstraint(constraint) if !constraint.not_valid => match &constraint.body {
            Body::Check(text) => Some((strongest, format!("do all rows pass CHECK ({text})?"))),
            Body::NotNull(column) => {
                let why = format!("is there a NULL in {column}?");
                (!is_proven(large, column)).then_some((strongest, why))
            }
            Body::ForeignKey { .. } => Some((weaker, "are all references there?".to_string())),
            // Their indexes are built, which is another check's business.
            Body::Key { .. } | Body::KeyUsingIndex { .. } | Body::Exclude => None,
        },
        Action::AddColumn(column) => {
            let text = column.check.as_ref()?;
            Some((strongest, format!("do all rows pass CHECK ({text})?")))
        }
        Action::AddConstraint(_)
        | Action::DropColumn(_)
        | Action::SetType { .. }
        | Action::Validate(_)
        | Action::DropConstraint(_)
        | Action::Attach(_)
        | Action::Detach(_)
        | Action::SetLogged(_)
        | Action::SetAccessMethod
        | Action::SetTablespace
        | Action::RenameColumn(..)
        | Action::RenameTo(_)
        | Action::SetSchema(_)
        | Action::Other => None,
    }
}

/// Whether the column is known to have no NULL.
fn is_proven(large: &Large<'_>, column: &Ident) -> bool {
    let declared = large.table.columns.get(column).is_some_and(|known| known.not_null);
    let mut checks = large.table.checks.iter();
    declared || checks.any(|check| check.valid && check.says_not_null(column))
}
