//! Reads the history tables of other migration tools: one query each, which changes nothing.

use super::session::Session;
use crate::error::Result;
use crate::model::foreign::{ForeignRow, Tool};
use crate::model::ident::Ident;

/// Reads all rows of `tool`'s history in `table` (with or without a schema).
///
/// Errors where there is no such table, or where it is no table of that tool.
pub fn rows(session: &mut Session, tool: Tool, table: &[Ident]) -> Result<Vec<ForeignRow>> {
    let table = table.iter().map(ToString::to_string).collect::<Vec<_>>().join(".");
    let rows = session.query(&query(tool).replace("{table}", &table), &[]).map_err(|failure| {
        failure
            .explain(&format!("cannot read {table} as a history of {}", tool.name()))
            .hint("name its table with --table schema.table; `pgtune adopt --help` lists the tools")
    })?;
    Ok(rows
        .iter()
        .map(|row| ForeignRow {
            version: row.get(0),
            name: row.get(1),
            file: row.get(2),
            kind: row.get(3),
            checksum: row.get(4),
            finished: row.get(5),
        })
        .collect())
}

fn query(tool: Tool) -> &'static str {
    match tool {
        Tool::Refinery => include_str!("sql/adopt_refinery.sql"),
        Tool::Flyway => include_str!("sql/adopt_flyway.sql"),
        Tool::Sqlx => include_str!("sql/adopt_sqlx.sql"),
        Tool::GolangMigrate => include_str!("sql/adopt_golang_migrate.sql"),
        Tool::Dbmate => include_str!("sql/adopt_dbmate.sql"),
        Tool::Liquibase => include_str!("sql/adopt_liquibase.sql"),
    }
}
