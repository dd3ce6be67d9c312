//! The lock that lets one pgtune at a time change a database.
//!
//! A session-level advisory lock, polled for by `pg_try_advisory_lock` in autocommit on a session
//! of its own: a blocking wait would hold a snapshot and deadlock with CREATE INDEX CONCURRENTLY.
//! It ends with its session, so a killed pgtune leaves no lock behind.

use std::time::{Duration, Instant};

use postgres::types::Type;

use super::failure::Failure;
use super::session::Session;
use crate::error::{Error, Kind, Result};
use crate::model::units::{Millis, human_duration};

/// `application_name` of sessions that change the database. Only the holder of the runner lock has
/// any, so one that is left without a runner is recognised by it.
pub const RUNNER: &str = "pgtune run";

/// The lock's two keys: "pgtu" and "ne\0\x01" as big-endian integers.
const KEYS: (i32, i32) = (0x7067_7475, 0x6e65_0001);

/// Polling starts here and doubles up to the longest pause.
const SHORTEST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How often the holder makes sure that it still holds the lock.
const CHECK_EVERY: Duration = Duration::from_secs(5);

/// The server notices within a minute when the holder's machine is gone, not after hours.
const KEEPALIVES: &str = "SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10; \
                          SET tcp_keepalives_count = 3";

/// The lock, held as long as this lives.
pub struct RunnerLock {
    session: Session,
    checked: Instant,
}

/// Who holds the lock.
#[derive(Debug, Clone, PartialEq)]
pub struct Holder {
    /// The server's process.
    pub pid: i32,
    /// `application_name`
    pub application: String,
    /// The role.
    pub user: String,
    /// The client's address.
    pub client: String,
    /// How long the session exists.
    pub age: Duration,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Holder { pid, application, user, client, age } = self;
        let age = human_duration(*age);
        write!(f, "pid {pid} ({application}, {user}@{client}), connected {age}")
    }
}

/// Takes the lock, waiting up to `wait`. `tell` hears once who holds it; `stop` ends the wait.
pub fn acquire(
    mut session: Session,
    wait: Millis,
    mut tell: impl FnMut(&Holder),
    stop: impl Fn() -> bool,
) -> Result<RunnerLock> {
    let explain = |failure: Failure| failure.explain("cannot take the runner lock");
    session.run(KEEPALIVES).map_err(explain)?;
    let begin = Instant::now();
    let mut pause = SHORTEST_PAUSE;
    let mut told = false;
    // The lock's session idles as long as the run takes.
    session.lift_limits().map_err(explain)?;
    loop {
        if try_lock(&mut session).map_err(explain)? {
            return Ok(RunnerLock { session, checked: Instant::now() });
        }
        let current = if told { None } else { holder(&mut session).map_err(explain)? };
        if let Some(holder) = &current {
            tell(holder);
            told = true;
        }
        if stop() {
            return Err(Error::new(Kind::Interrupted, "interrupted; nothing was changed"));
        }
        if begin.elapsed() >= wait.duration() {
            return Err(gave_up(&mut session, wait));
        }
        std::thread::sleep(pause.min(wait.duration().saturating_sub(begin.elapsed())));
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn gave_up(session: &mut Session, wait: Millis) -> Error {
    let holder = holder(session).ok().flatten();
    let who = holder.map_or_else(|| "another session".to_string(), |holder| holder.to_string());
    Error::new(
        Kind::Locked,
        format!("another pgtune is at work, and {wait} of waiting were not enough"),
    )
    .hint(format!("the lock is held by {who}"))
    .hint("wait longer with --wait 1h; if that session is dead, end it with pg_terminate_backend")
}

fn try_lock(session: &mut Session) -> std::result::Result<bool, Failure> {
    let keys: [(&(dyn postgres::types::ToSql + Sync), Type); 2] =
        [(&KEYS.0, Type::INT4), (&KEYS.1, Type::INT4)];
    let rows = session.query("select pg_try_advisory_lock($1, $2)", &keys)?;
    Ok(rows.first().is_some_and(|row| row.get(0)))
}

/// Who holds the lock now, if anybody.
pub fn holder(session: &mut Session) -> std::result::Result<Option<Holder>, Failure> {
    let keys: [(&(dyn postgres::types::ToSql + Sync), Type); 2] =
        [(&KEYS.0, Type::INT4), (&KEYS.1, Type::INT4)];
    let rows = session.query(include_str!("sql/lock_holder.sql"), &keys)?;
    Ok(rows.first().map(|row| Holder {
        pid: row.get(0),
        application: row.get(1),
        user: row.get(2),
        client: row.get(3),
        age: Duration::from_secs_f64(row.get::<_, f64>(4).max(0.0)),
    }))
}

impl RunnerLock {
    /// Every few seconds, errors when the session that holds the lock is gone, and the lock with
    /// it; between them it costs nothing.
    pub fn check(&mut self) -> Result<()> {
        if self.checked.elapsed() < CHECK_EVERY {
            return Ok(());
        }
        self.checked = Instant::now();
        self.session
            .run("")
            .map_err(|failure| failure.explain("the session that holds the runner lock is gone"))
    }

    /// The session that holds the lock: what it runs is over before another gets the lock.
    pub fn session(&mut self) -> &mut Session {
        &mut self.session
    }

    /// Two sessions served by one backend share a transaction pooler: session settings and locks
    /// would land anywhere. `other` is the process of another session to the same place.
    pub fn refuse_pooler(&mut self, other: i32) -> Result<()> {
        if self.pid()? != other {
            return Ok(());
        }
        let message = "the connection goes through a transaction pooler, which mixes sessions up";
        Err(Error::new(Kind::Database, message).hint(
            "connect to the server itself, or to a pool in session mode: pgtune needs session \
             locks and settings that stay where they are",
        ))
    }

    /// The server's process of the holding session.
    fn pid(&mut self) -> Result<i32> {
        self.session.learn_pid().map_err(|failure| failure.explain("cannot ask for the session"))
    }
}
