//! Rows that ANALYZE has seen would make the statement fail.

use crate::checks::lint::check::{At, Check, Found, Look};
use crate::checks::lint::world::Table;
use crate::model::finding::Severity;
use crate::model::ident::{Ident, QualifiedName};
use crate::sql::alter_table::Action;
use crate::sql::column::{Body, Key};
use crate::sql::index_shape::IndexShape;
use crate::sql::statement::Kind;

/// The check.
pub const CHECK: Check = Check {
    id: "refused-by-rows",
    severity: Severity::Error,
    meaning: "ANALYZE has seen rows in production that the statement fails on: NULLs in a column \
              that is to have none (NOT NULL, PRIMARY KEY, the validation of such a CHECK), or \
              equal values in a column that alone makes a unique index. The deployment would stop \
              half-way.",
    doubt: "The statistics are as old as the last ANALYZE: where the rows were mended since, take \
            a new snapshot after another. Tables whose rows an earlier pending statement may \
            change are left out, and so are indexes on expressions, on several columns or with \
            WHERE.",
    remedy: "mend the rows first, in an earlier migration or outside of them",
    bad: include_str!("../examples/refused-by-rows/bad.sql"),
    good: include_str!("../examples/refused-by-rows/good.sql"),
    look: Look::Statement(look),
};

fn look(at: &At<'_>) -> Vec<Found> {
    if let Kind::CreateIndex(create) = at.kind {
        let shape = IndexShape::read(&create.tail).filter(|_| create.unique);
        let column = shape.as_ref().and_then(only_column);
        let found = at.old(&create.table).zip(column);
        return found.and_then(|(of, column)| repeats(&of, &column, 0)).into_iter().collect();
    }
    let Some(alter) = at.alter else { return Vec::new() };
    let Some(of) = at.old(&alter.table) else { return Vec::new() };
    alter.actions.iter().flat_map(|(offset, action)| refused(&of, *offset, action)).collect()
}

/// The one column that a unique index is on.
fn only_column(shape: &IndexShape) -> Option<Ident> {
    let [key] = shape.keys.as_slice() else { return None };
    let column = Ident::new(&key.expression).ok()?;
    (key.is_column && shape.predicate.is_none()).then_some(column)
}

/// What is wrong with one action of an ALTER TABLE.
fn refused(of: &(QualifiedName, &Table), offset: usize, action: &Action) -> Vec<Found> {
    let null = |column: &Ident| nulls(of, column, offset);
    match action {
        Action::SetNotNull(column) => null(column).into_iter().collect(),
        Action::Validate(name) => {
            let mut checks = of.1.checks.iter();
            let check = checks.find(|check| check.name.as_ref() == Some(name) && !check.valid);
            let columns = of.1.columns.keys();
            let said = columns.filter(|one| check.is_some_and(|check| check.says_not_null(one)));
            said.filter_map(null).collect()
        }
        Action::AddConstraint(constraint) if !constraint.not_valid => match &constraint.body {
            Body::NotNull(column) => null(column).into_iter().collect(),
            Body::Key { key, columns } => {
                let empty = columns.iter().filter(|_| *key == Key::Primary).filter_map(null);
                let same = match columns.as_slice() {
                    [column] => repeats(of, column, offset),
                    _ => None,
                };
                empty.chain(same).take(1).collect()
            }
            Body::Check(_)
            | Body::KeyUsingIndex { .. }
            | Body::ForeignKey { .. }
            | Body::Exclude => Vec::new(),
        },
        Action::AddConstraint(_)
        | Action::AddColumn(_)
        | Action::DropColumn(_)
        | Action::SetType { .. }
        | Action::DropConstraint(_)
        | Action::Attach(_)
        | Action::Detach(_)
        | Action::SetLogged(_)
        | Action::SetAccessMethod
        | Action::SetTablespace
        | Action::RenameColumn(..)
        | Action::RenameTo(_)
        | Action::SetSchema(_)
        | Action::Other => Vec::new(),
    }
}

fn nulls((name, table): &(QualifiedName, &Table), column: &Ident, offset: usize) -> Option<Found> {
    let share = table.columns.get(column)?.seen.null_fraction;
    let percent = f64::from(share) * 100.0;
    let message = format!("ANALYZE has seen NULLs in {column} ({percent:.2} % of the rows)");
    (share > 0.0 && !table.is_written).then(|| Found::new(name, offset, message))
}

fn repeats(
    (name, table): &(QualifiedName, &Table),
    column: &Ident,
    offset: usize,
) -> Option<Found> {
    let message = format!("ANALYZE has seen rows with the same {column}");
    let repeats = table.columns.get(column)?.seen.repeats && !table.is_written;
    repeats.then(|| Found::new(name, offset, message))
}
