//! Reads what makes values of one column those of another: one query for each kind of tie.

use postgres::Row;

use crate::error::Result;
use crate::model::disclosure::{Column, Ties};
use crate::model::groups::Groups;
use crate::pg::catalog::{ident, name};
use crate::pg::session::Session;

/// How the columns of the database hang together.
pub fn ties(session: &mut Session) -> Result<Ties> {
    let trees = read(session, include_str!("../sql/snapshot_trees.sql"), |row| {
        Ok((name(row, 0)?, name(row, 2)?))
    })?;
    let expressions = read(session, include_str!("../sql/snapshot_expressions.sql"), |row| {
        let column = (name(row, 0)?, ident(row.get(2))?);
        Ok((column, (name(row, 3)?, row.get(5))))
    })?;
    let keys = read(session, include_str!("../sql/snapshot_keys.sql"), pair)?;
    let sources = read(session, include_str!("../sql/snapshot_sources.sql"), pair)?;
    let origins = read(session, include_str!("../sql/snapshot_origins.sql"), |row| {
        Ok(((name(row, 0)?, ident(row.get(2))?), row.get(3)))
    })?;
    Ok(Ties {
        trees: Groups::of(trees),
        expressions: expressions.into_iter().collect(),
        keys,
        sources,
        origins,
    })
}

/// Two columns.
fn pair(row: &Row) -> Result<(Column, Column)> {
    Ok(((name(row, 0)?, ident(row.get(2))?), (name(row, 3)?, ident(row.get(5))?)))
}

fn read<T>(session: &mut Session, sql: &str, one: impl FnMut(&Row) -> Result<T>) -> Result<Vec<T>> {
    let rows = session.each(sql, &[], one);
    let rows = rows.map_err(|failure| failure.explain("cannot read how columns hang together"))?;
    rows.into_iter().collect()
}
