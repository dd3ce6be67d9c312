//! Traces the locks of migrations on a shadow.

use std::collections::BTreeMap;

use super::catalog::name;
use super::failure::Failure;
use super::session::Session;
use crate::error::Result;
use crate::model::finding::Place;
use crate::model::ident::QualifiedName;
use crate::model::lock::LockMode;
use crate::model::lock_trace::{Held, TracedLock, traced};
use crate::runbook::trace;

/// Makes the tables that a traced runbook writes to.
pub fn prepare(session: &mut Session) -> Result<()> {
    let sql = trace::prepare().join(";\n");
    session.run(&sql).map_err(|failure| failure.explain("cannot prepare the trace of locks"))
}

/// What was traced.
pub struct Trace {
    /// The locks, on tables by the names that they had before.
    pub locks: Vec<TracedLock>,
    /// Those names, of tables that have others now.
    pub renamed: BTreeMap<QualifiedName, QualifiedName>,
}

/// What was traced; then the trace is removed.
pub fn take(session: &mut Session) -> Result<Trace> {
    let explain = |failure: Failure| failure.explain("cannot read the trace of locks");
    let held = session.each(include_str!("sql/lock_trace.sql"), &[], |row| {
        let line = usize::try_from(row.get::<_, i32>(2)).unwrap_or_default();
        Ok(Held {
            transaction: row.get(0),
            place: Place { path: row.get(1), line },
            table: name(row, 3)?,
            mode: mode(row.get(5)),
            file: row.get::<_, Option<i64>>(6).unwrap_or_default(),
            scans: row.get(7),
            scans_before: row.get(8),
            is_query: row.get(9),
        })
    });
    let held: Vec<Held> = held.map_err(explain)?.into_iter().collect::<Result<_>>()?;
    let mut files: BTreeMap<QualifiedName, i64> = BTreeMap::new();
    let mut renamed: BTreeMap<QualifiedName, QualifiedName> = BTreeMap::new();
    for row in session.query(include_str!("sql/lock_trace_tables.sql"), &[]).map_err(explain)? {
        let before = name(&row, 0)?;
        files.insert(before.clone(), row.get::<_, Option<i64>>(2).unwrap_or_default());
        let now = row.get::<_, Option<&str>>(3).map(|_| name(&row, 3)).transpose()?;
        renamed.extend(now.filter(|now| *now != before).map(|now| (now, before)));
    }
    session.run(&trace::remove()).map_err(explain)?;
    Ok(Trace { locks: traced(&held, &files), renamed })
}

/// `pg_locks.mode`.
fn mode(name: &str) -> LockMode {
    match name {
        "RowShareLock" => LockMode::RowShare,
        "RowExclusiveLock" => LockMode::RowExclusive,
        "ShareUpdateExclusiveLock" => LockMode::ShareUpdateExclusive,
        "ShareLock" => LockMode::Share,
        "ShareRowExclusiveLock" => LockMode::ShareRowExclusive,
        "ExclusiveLock" => LockMode::Exclusive,
        "AccessExclusiveLock" => LockMode::AccessExclusive,
        _ => LockMode::AccessShare,
    }
}
