//! Reads what a database is made of, one query for each kind of thing.

use postgres::Row;
use postgres::types::Type;

use super::catalog::name;
use super::failure::Failure;
use super::session::Session;
use crate::error::Result;
use crate::model::ident::QualifiedName;
use crate::model::structure::{ColumnForm, Part, Structure};

/// Reads it, without the table that migrations are recorded in and others that `is_left_out`.
pub fn read(
    session: &mut Session,
    is_left_out: impl Fn(&QualifiedName) -> bool,
) -> Result<Structure> {
    let explain = |failure: Failure| failure.explain("cannot read what the shadow is made of");
    let tables = session.each(include_str!("sql/structure_tables.sql"), &[], |row| name(row, 0));
    let tables = tables.map_err(explain)?.into_iter().collect::<Result<Vec<_>>>()?;
    let mut structure = Structure::default();
    structure.tables.extend(tables.into_iter().filter(|table| !is_left_out(table)));
    let names: Vec<String> = structure.tables.iter().map(ToString::to_string).collect();
    let of_tables = [(&names as &(dyn postgres::types::ToSql + Sync), Type::TEXT_ARRAY)];
    let columns = session.each(include_str!("sql/structure_columns.sql"), &of_tables, |row| {
        let form = ColumnForm { type_name: row.get(3), not_null: row.get(4), default: row.get(5) };
        Ok(((name(row, 0)?, row.get(2)), form))
    });
    structure.columns = columns.map_err(explain)?.into_iter().collect::<Result<_>>()?;
    let indexes = session.each(include_str!("sql/structure_indexes.sql"), &of_tables, part);
    structure.indexes = indexes.map_err(explain)?.into_iter().collect::<Result<_>>()?;
    let constraints = session.each(include_str!("sql/structure_constraints.sql"), &of_tables, part);
    structure.constraints = constraints.map_err(explain)?.into_iter().collect::<Result<_>>()?;
    Ok(structure)
}

fn part(row: &Row) -> Result<Part> {
    Ok(Part { name: name(row, 0)?, table: name(row, 2)?, definition: row.get(4) })
}

/// How many definitions are spelled again.
const SPELLED_MAX: usize = 200;

/// Spells definitions as they are once they were dumped and made again: the server writes a list of
/// varchar's values in another way then. What cannot be made again stays as it is.
pub fn spell_again(session: &mut Session, structure: &mut Structure) -> Result<()> {
    let explain = |failure: Failure| failure.explain("cannot try what the shadow is made of");
    let is_moving = |part: &&mut Part| part.definition.contains("ARRAY[");
    session.run("BEGIN").map_err(explain)?;
    let indexes = structure.indexes.iter_mut().filter(is_moving).map(|part| {
        let (unique, tail) = match part.definition.strip_prefix("UNIQUE ") {
            Some(tail) => ("UNIQUE ", tail),
            None => ("", part.definition.as_str()),
        };
        let make = format!("CREATE {unique}INDEX pgtune_again ON {} {tail}", part.table);
        (make, include_str!("sql/structure_indexes.sql"), part)
    });
    let is_check = |part: &&mut Part| part.definition.starts_with("CHECK ");
    let checks = structure.constraints.iter_mut().filter(is_moving).filter(is_check).map(|part| {
        let (table, definition) = (&part.table, &part.definition);
        let make =
            format!("ALTER TABLE {table} ADD CONSTRAINT again_pgtune {definition} NOT VALID");
        (make, include_str!("sql/structure_constraints.sql"), part)
    });
    for (make, read, part) in indexes.chain(checks).take(SPELLED_MAX) {
        session.run("SAVEPOINT again").map_err(explain)?;
        if session.run(&make).is_ok() {
            let tables = vec![part.table.to_string()];
            let found = session.each(read, &[(&tables, Type::TEXT_ARRAY)], self::part);
            let found = found.map_err(explain)?.into_iter().collect::<Result<Vec<_>>>()?;
            let new = found.into_iter().find(|one| one.name.name.as_str().contains("again"));
            if let Some(new) = new {
                part.definition = new.definition;
            }
        }
        session.run("ROLLBACK TO SAVEPOINT again").map_err(explain)?;
    }
    session.roll_back();
    Ok(())
}
