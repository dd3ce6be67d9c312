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
use crate::runbook::seclusion::SHADOW_SCHEMA;
use crate::runbook::trace;

/// Makes the tables that a traced runbook writes to.
pub fn prepare(session: &mut Session) -> Result<()> {
    let sql = trace::prepare().join(";\n");
    session.run(&sql).map_err(|failure| failure.explain("cannot prepare the trace of locks"))
}

/// What was traced; then the trace is removed.
pub fn take(session: &mut Session) -> Result<Vec<TracedLock>> {
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
    let sql = format!(
        "select n.nspname::text, c.relname::text, e.file from {}.existing e join pg_class c on \
         c.oid = e.oid join pg_namespace n on n.oid = c.relnamespace",
        SHADOW_SCHEMA
    );
    let rows = session.query(&sql, &[]).map_err(explain)?;
    let files: BTreeMap<QualifiedName, i64> = rows
        .iter()
        .filter_map(|row| {
            let file = row.get::<_, Option<i64>>(2).unwrap_or_default();
            Some((name(row, 0).ok()?, file))
        })
        .collect();
    session.run(&trace::remove()).map_err(explain)?;
    Ok(traced(&held, &files))
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
