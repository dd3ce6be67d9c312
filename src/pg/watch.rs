//! Watches sessions at work from another session: who is in their way, and how far they are.

use std::time::Duration;

use postgres::types::Type;

use super::failure::Failure;
use super::session::Session;
use crate::model::ident::QualifiedName;
use crate::model::units::{Millis, human_duration};

/// A session in somebody's way.
#[derive(Debug, Clone, PartialEq)]
pub struct Blocker {
    /// Who waits.
    pub waiting_pid: i32,
    /// Who is waited for.
    pub pid: i32,
    /// `application_name`
    pub application: String,
    /// The role.
    pub user: String,
    /// `state`: "idle in transaction", "active".
    pub state: String,
    /// How long its transaction is open.
    pub transaction_age: Duration,
    /// What it runs, or ran last.
    pub query: String,
}

impl std::fmt::Display for Blocker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Blocker { pid, application, user, state, transaction_age, query, .. } = self;
        let age = human_duration(*transaction_age);
        let query: String = query.split_whitespace().collect::<Vec<_>>().join(" ");
        let query: String = query.chars().take(QUERY_CHARS_MAX).collect();
        let application = if application.is_empty() { "no name" } else { application };
        write!(f, "pid {pid} ({application}, {user}, {state} for {age}): {query}")
    }
}

impl std::fmt::Display for Orphan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let query: String = self.query.split_whitespace().collect::<Vec<_>>().join(" ");
        let query: String = query.chars().take(QUERY_CHARS_MAX).collect();
        write!(f, "pid {} (for {}): {query}", self.pid, human_duration(self.age))
    }
}

/// How much of a blocker's query is shown.
const QUERY_CHARS_MAX: usize = 80;

/// How far an index build is (manual, section 28.4.4, CREATE INDEX Progress Reporting).
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// Whose build.
    pub pid: i32,
    /// The phase, in the server's words.
    pub phase: String,
    /// Work done in this phase, in blocks or tuples.
    pub done: u64,
    /// Work to do in this phase; 0 where unknown.
    pub total: u64,
}

impl Progress {
    /// Whether the build waits for other transactions, or for its first lock.
    pub fn is_waiting(&self) -> bool {
        self.phase.starts_with("waiting")
    }
}

/// A session whose client is gone and which is still at work.
#[derive(Debug, Clone, PartialEq)]
pub struct Orphan {
    /// The server's process.
    pub pid: i32,
    /// How long its statement runs.
    pub age: Duration,
    /// The statement.
    pub query: String,
}

/// Who the backends `pids` wait for.
pub fn blockers(session: &mut Session, pids: &[i32]) -> Result<Vec<Blocker>, Failure> {
    let rows = session.query(include_str!("sql/blockers.sql"), &[(&pids, Type::INT4_ARRAY)])?;
    Ok(rows.iter().map(blocker).collect())
}

/// Who this session would wait for if it detached partitions of `table`, and is at it for longer
/// than `age`: the longest first.
pub fn long_users(
    session: &mut Session,
    table: &QualifiedName,
    age: Millis,
) -> Result<Vec<Blocker>, Failure> {
    let (table, seconds) = (table.to_string(), age.duration().as_secs_f64());
    let parameters: [(&(dyn postgres::types::ToSql + Sync), Type); 2] =
        [(&table, Type::TEXT), (&seconds, Type::FLOAT8)];
    let rows = session.query(include_str!("sql/long_users.sql"), &parameters)?;
    let mut users: Vec<Blocker> = rows.iter().map(blocker).collect();
    users.sort_by_key(|user| std::cmp::Reverse(user.transaction_age));
    Ok(users)
}

fn blocker(row: &postgres::Row) -> Blocker {
    Blocker {
        waiting_pid: row.get(0),
        pid: row.get(1),
        application: row.get(2),
        user: row.get(3),
        state: row.get(4),
        transaction_age: seconds(row.get(5)),
        query: row.get(6),
    }
}

/// How far the index builds of the backends `pids` are.
pub fn progress(session: &mut Session, pids: &[i32]) -> Result<Vec<Progress>, Failure> {
    let rows = session.query(include_str!("sql/progress.sql"), &[(&pids, Type::INT4_ARRAY)])?;
    let count = |row: &postgres::Row, at: usize| row.get::<_, Option<i64>>(at).unwrap_or(0) as u64;
    Ok(rows
        .iter()
        .map(|row| {
            // Each phase counts in one of the three; the others stand at 0.
            let at = [2, 4, 6].into_iter().find(|at| count(row, at + 1) > 0).unwrap_or(2);
            let (done, total) = (count(row, at), count(row, at + 1));
            Progress { pid: row.get(0), phase: row.get(1), done, total }
        })
        .collect())
}

/// Sessions of dead runners that are still at work. `application` is the name runners give their
/// sessions, `own` are those of this runner.
pub fn orphans(
    session: &mut Session,
    application: &str,
    own: &[i32],
) -> Result<Vec<Orphan>, Failure> {
    let rows = session.query(
        include_str!("sql/orphans.sql"),
        &[(&application, Type::TEXT), (&own, Type::INT4_ARRAY)],
    )?;
    let orphan = |row: &postgres::Row| Orphan {
        pid: row.get(0),
        age: seconds(row.get(1)),
        query: row.get(2),
    };
    Ok(rows.iter().map(orphan).collect())
}

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds.max(0.0))
}
