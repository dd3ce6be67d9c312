//! Reads what is known of several columns together, and of expressions: one query for each.

use std::collections::BTreeMap;

use postgres::Row;

use super::column;
use crate::error::{Error, Kind, Result};
use crate::model::extended_statistics::{
    CommonGroups, Expression, ExtendedStatistics, dependencies, ndistinct,
};
use crate::model::ident::QualifiedName;
use crate::model::snapshot::ColumnStatistics;
use crate::pg::catalog::{ident, name};
use crate::pg::failure::Failure;
use crate::pg::session::Session;

/// Of which statistics object, whether inherited, of which expression.
type Key = (QualifiedName, bool, String);

/// Reads the extended statistics that the role may see. Needs an empty search path, so that
/// expressions are written in the same way everywhere.
pub fn extended(
    session: &mut Session,
) -> std::result::Result<Result<Vec<ExtendedStatistics>>, Failure> {
    let of_expressions = include_str!("../sql/snapshot_extended_expressions.sql");
    let of_expressions = session.each(of_expressions, &[], |row| {
        let statistics = column(row)?;
        Ok(((name(row, 17)?, statistics.inherited, row.get(19)), statistics))
    })?;
    let of_expressions: Result<BTreeMap<Key, ColumnStatistics>> =
        of_expressions.into_iter().collect();
    let mut of_expressions = match of_expressions {
        Ok(known) => known,
        Err(error) => return Ok(Err(error)),
    };
    let sql = include_str!("../sql/snapshot_extended.sql");
    let read = session.each(sql, &[], |row| one(row, &mut of_expressions))?;
    Ok(read.into_iter().collect())
}

fn one(
    row: &Row,
    of_expressions: &mut BTreeMap<Key, ColumnStatistics>,
) -> Result<ExtendedStatistics> {
    let (object, inherited) = (name(row, 0)?, row.get(4));
    let attnums: Vec<i16> = row.get(5);
    let columns: Vec<String> = row.get(6);
    let texts: Vec<String> = row.get(7);
    let expression = |text: String| {
        let statistics = of_expressions.remove(&(object.clone(), inherited, text.clone()));
        Expression { text, statistics }
    };
    let odd = || Error::new(Kind::Database, format!("cannot read the statistics {object}"));
    let groups: Option<&str> = row.get(8);
    let groups = groups.map(|text| ndistinct(text, &attnums).ok_or_else(odd)).transpose()?;
    let depend: Option<&str> = row.get(9);
    let depend = depend.map(|text| dependencies(text, &attnums).ok_or_else(odd)).transpose()?;
    let values: Option<&str> = row.get(10);
    let values = values.map(|text| serde_json::from_str(text).map_err(|_| odd())).transpose()?;
    let most_common = values.map(|values| CommonGroups {
        frequencies: row.get(11),
        base_frequencies: row.get(12),
        values: Some(values),
    });
    Ok(ExtendedStatistics {
        columns: columns.into_iter().map(ident).collect::<Result<_>>()?,
        expressions: texts.into_iter().map(expression).collect(),
        relation: name(row, 2)?,
        inherited,
        ndistinct: groups.unwrap_or_default(),
        dependencies: depend.unwrap_or_default(),
        most_common,
        name: object,
    })
}
