//! The real ends of columns that an index begins with: the planner looks them up there itself, and
//! on a shadow it finds none.
//!
//! Each look is short, but not where an index begins with many rows that are gone. So all of them
//! have limits; and each batch is a transaction of its own, which holds few locks.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::PLAIN_TEXTS;
use crate::error::Result;
use crate::model::disclosure::Column;
use crate::model::finding::{Finding, Severity};
use crate::model::snapshot::{ColumnStatistics, Snapshot};
use crate::model::units::plural;
use crate::pg::catalog::{ident, name};
use crate::pg::failure::{Failure, Verdict};
use crate::pg::session::Session;

/// How many columns to ask for at once: each has a look at both ends of an index.
const PER_QUERY: usize = 100;
/// How long a batch may take. One that takes longer is halved, until the slow column is alone.
const LIMITS: &str = "SET LOCAL statement_timeout = '1s'; SET LOCAL lock_timeout = '100ms'";
/// When to stop looking.
const LIMIT: Duration = Duration::from_secs(30);

/// Puts the least and the greatest value of columns into their histograms, where they have some and
/// the planner would look the ends up. What cannot be looked up, or not in
/// time, is told.
pub fn add_ends(session: &mut Session, snapshot: &mut Snapshot) -> Result<()> {
    let has_bounds = |one: &ColumnStatistics| {
        let bounds = one.values.as_ref().map_or(0, |values| values.histogram_bounds.len());
        bounds > 1 && !one.inherited
    };
    let needed = snapshot.columns.iter().filter(|one| has_bounds(one));
    let needed: BTreeSet<Column> = needed.map(of).collect();
    let (ends, late) = looked_up(session, &needed)
        .map_err(|failure| failure.explain("cannot look up the ends of columns"))?;
    for column in snapshot.columns.iter_mut().filter(|one| has_bounds(one)) {
        let (Some((least, greatest)), Some(values)) = (ends.get(&of(column)), &mut column.values)
        else {
            continue;
        };
        if let [first, .., last] = values.histogram_bounds.as_mut_slice() {
            first.clone_from(least);
            last.clone_from(greatest);
        }
    }
    if late > 0 {
        let what = plural(late, "column", "columns");
        let message = format!("the ends of {what} could not be looked up in time");
        let finding =
            Finding::new("ends-unread", Severity::Info, &snapshot.server.database, message);
        snapshot.unread.push(finding.help("VACUUM tables whose first or last rows are deleted"));
    }
    Ok(())
}

fn of(one: &ColumnStatistics) -> Column {
    (one.relation.clone(), one.column.clone())
}

/// The least and the greatest value of columns.
type Ends = BTreeMap<Column, (String, String)>;

/// The ends of those that an index begins with, and how many were not found in time.
fn looked_up(
    session: &mut Session,
    needed: &BTreeSet<Column>,
) -> std::result::Result<(Ends, usize), Failure> {
    let (mut ends, mut late) = (Ends::new(), 0);
    if needed.is_empty() {
        return Ok((ends, late));
    }
    let columns = session.each(include_str!("../sql/snapshot_ends.sql"), &[], |row| {
        let column = (name(row, 0).ok()?, ident(row.get(2)).ok()?);
        needed.contains(&column).then_some(column)
    })?;
    let columns: Vec<Column> = columns.into_iter().flatten().collect();
    let mut batches: Vec<&[Column]> = columns.chunks(PER_QUERY).rev().collect();
    let begin = Instant::now();
    while let Some(batch) = batches.pop() {
        if begin.elapsed() > LIMIT {
            late += batch.len();
            continue;
        }
        match look(session, batch, &mut ends) {
            Ok(()) => {}
            Err(failure) if failure.verdict() == Verdict::Gone => return Err(failure),
            Err(_) if batch.len() > 1 => {
                let (first, second) = batch.split_at(batch.len() / 2);
                batches.extend([second, first]);
            }
            Err(_) => late += 1,
        }
    }
    Ok((ends, late))
}

/// Looks up the ends of a batch.
fn look(
    session: &mut Session,
    batch: &[Column],
    ends: &mut Ends,
) -> std::result::Result<(), Failure> {
    let each = batch.iter().enumerate().map(|(at, (table, column))| {
        format!(
            "(SELECT {at}, (SELECT t.{column}::text FROM ONLY {table} t WHERE t.{column} IS NOT \
             NULL ORDER BY t.{column} LIMIT 1), (SELECT t.{column}::text FROM ONLY {table} t WHERE \
             t.{column} IS NOT NULL ORDER BY t.{column} DESC LIMIT 1))"
        )
    });
    let sql = each.collect::<Vec<_>>().join("\nUNION ALL ");
    session.run(&format!("BEGIN READ ONLY; {LIMITS}; {PLAIN_TEXTS}"))?;
    let rows = session.query(&sql, &[]);
    session.roll_back();
    for row in rows? {
        let at = usize::try_from(row.get::<_, i32>(0)).unwrap_or_default();
        let both = row.get::<_, Option<String>>(1).zip(row.get(2));
        if let (Some(column), Some(both)) = (batch.get(at), both) {
            ends.insert(column.clone(), both);
        }
    }
    Ok(())
}
