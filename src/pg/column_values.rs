//! Reads what the server's statistics know of the values of columns.

use std::collections::{BTreeMap, BTreeSet};

use postgres::types::Type;

use super::failure::Failure;
use super::session::Session;
use crate::error::Result;
use crate::model::disclosure::Column;
use crate::query_plan::values::{ColumnValues, QUANTILES};

/// The values of `columns`, one query for all; without those that have no statistics, or whose
/// statistics the role may not see (`pg_stats` shows those of columns that it may read).
pub fn column_values(
    session: &mut Session,
    columns: &BTreeSet<Column>,
) -> Result<BTreeMap<Column, ColumnValues>> {
    if columns.is_empty() {
        return Ok(BTreeMap::new());
    }
    let relations: Vec<String> = columns.iter().map(|(name, _)| name.to_string()).collect();
    let names: Vec<&str> = columns.iter().map(|(_, column)| column.as_str()).collect();
    let quantiles = QUANTILES.map(i32::from).to_vec();
    let rows = session.query(
        include_str!("sql/column_values.sql"),
        &[
            (&relations, Type::TEXT_ARRAY),
            (&names, Type::TEXT_ARRAY),
            (&quantiles, Type::INT4_ARRAY),
        ],
    );
    let rows =
        rows.map_err(|failure: Failure| failure.explain("cannot read the statistics of columns"))?;
    let keys = relations.iter().map(String::as_str).zip(names.iter().copied());
    let asked: BTreeMap<(&str, &str), &Column> = keys.zip(columns).collect();
    let mut values = BTreeMap::new();
    for row in rows {
        if let Some(&column) = asked.get(&(row.get(0), row.get(1))) {
            let picked = |at| row.get::<_, Option<Vec<String>>>(at).unwrap_or_default();
            values.insert(column.clone(), ColumnValues { common: picked(2), bounds: picked(3) });
        }
    }
    Ok(values)
}
