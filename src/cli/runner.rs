//! Becomes the one runner of a database: what every command does before it changes anything.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::error::{Error, Kind, Result};
use crate::model::units::Millis;
use crate::pg::runner_lock::{self, RunnerLock};
use crate::pg::session::Session;
use crate::pg::{server, watch};

use super::context::Context;
use super::database::Database;
use super::interrupt;

/// How often to look whether the sessions of a killed run have ended.
const ORPHAN_POLL: Duration = Duration::from_millis(100);

/// What the one runner works with.
pub struct Runner {
    /// The runner lock, held.
    pub lock: RunnerLock,
    /// A session to change things with.
    pub lane: Session,
    /// What the server was when the lock was taken.
    pub server: server::Server,
    /// Becomes true when somebody wants the run to end.
    pub stopped: &'static AtomicBool,
}

/// Takes the runner lock on `session`, waiting up to `wait`, and opens a lane. Waits for what a
/// killed run left at work.
///
/// Errors where another runner is at work for too long, and behind a transaction pooler.
pub fn take_over(
    context: &Context,
    database: &Database,
    session: Session,
    wait: Millis,
) -> Result<Runner> {
    let stopped = interrupt::listen()?;
    let is_stopped = || stopped.load(Ordering::Relaxed);
    let tell = |holder: &runner_lock::Holder| {
        context.ui.status(&format!("waiting for another pgtune: {holder}"));
    };
    let mut lock = runner_lock::acquire(session, wait, tell, is_stopped)?;
    let mut lane = database.open_runner()?;
    let server = server::look(&mut lane, &database.history_table)?;
    lane.set_pid(server.pid);
    lock.refuse_pooler(server.pid)?;
    wait_for_orphans(context, &mut lane, server.pid, is_stopped)?;
    Ok(Runner { lock, lane, server, stopped })
}

/// Waits until the sessions of a killed run have ended: their work counts, or is rolled back.
fn wait_for_orphans(
    context: &Context,
    session: &mut Session,
    own_pid: i32,
    is_stopped: impl Fn() -> bool,
) -> Result<()> {
    let limit = context.profile().limits.build_wait;
    let begin = Instant::now();
    let mut told = false;
    loop {
        let orphans = watch::orphans(session, runner_lock::RUNNER, &[own_pid])
            .map_err(|failure| failure.explain("cannot look for sessions of an earlier run"))?;
        let Some(first) = orphans.first() else { return Ok(()) };
        if !told {
            context.ui.status(&format!("waiting for a session of an earlier run: {first}"));
            told = true;
        }
        if is_stopped() {
            return Err(Error::new(Kind::Interrupted, "interrupted; nothing was changed"));
        }
        if begin.elapsed() > limit.duration() {
            return Err(Error::new(
                Kind::Locked,
                format!("an earlier run is still at work: {first}"),
            )
            .hint(format!("end it with: select pg_terminate_backend({})", first.pid)));
        }
        std::thread::sleep(ORPHAN_POLL);
    }
}
