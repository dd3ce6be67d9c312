//! Many sessions at work at the same time, each on a thread of its own, watched from one.
//!
//! Clients add up for themselves what they see, so none waits for another. Whatever ends a run
//! (its time, somebody who stops it, a broken connection), what was seen until then counts.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use super::connect::Canceler;
use super::session::Session;
use crate::error::Result;

pub mod ingest;
pub mod queries;
pub mod rows;

/// How often the watcher looks.
const TICK: Duration = Duration::from_millis(50);
/// How often a statement that nobody wants any more is told so.
const CANCEL_INTERVAL: Duration = Duration::from_millis(250);
/// How long a statement may go on after the end of its run, before it is cancelled.
const LATE_LIMIT: Duration = Duration::from_secs(60);

/// Opens one more session.
pub type Open<'a> = &'a dyn Fn() -> Result<Session>;

/// How long to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// For so long.
    Elapsed(Duration),
    /// Until each statement ran so often, all clients together.
    Rounds(u64),
}

impl Until {
    /// When it ends, if that is known; `begin` is when it began.
    fn deadline(self, begin: Instant) -> Option<Instant> {
        match self {
            Until::Elapsed(duration) => begin.checked_add(duration),
            Until::Rounds(_) => None,
        }
    }
}

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Since its begin.
    pub elapsed: Duration,
    /// Statements that ended, or rows that were written.
    pub done: u64,
}

/// What a run's clients and its watcher share.
struct Shared {
    /// Whether to end now.
    halt: AtomicBool,
    /// Whether that is because statements went on long after the time.
    late: AtomicBool,
    /// Statements that ended, or rows that were written.
    done: AtomicU64,
    begin: Instant,
    until: Until,
}

impl Shared {
    fn new(until: Until) -> Shared {
        let (halt, late) = (AtomicBool::new(false), AtomicBool::new(false));
        Shared { halt, late, done: AtomicU64::new(0), begin: Instant::now(), until }
    }

    /// Whether a client should not begin anything more.
    fn is_over(&self) -> bool {
        let deadline = self.until.deadline(self.begin);
        self.is_halted() || deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    fn is_halted(&self) -> bool {
        self.halt.load(Ordering::Relaxed)
    }

    /// Whether it was the user who cancelled what ran: that is neither a success nor a failure.
    fn was_stopped(&self) -> bool {
        self.is_halted() && !self.late.load(Ordering::Relaxed)
    }

    fn count(&self, done: u64) {
        self.done.fetch_add(done, Ordering::Relaxed);
    }

    /// Sleeps until `due`, or until the run is over; whether to go on.
    fn wait_until(&self, due: Instant) -> bool {
        while !self.is_over() {
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            std::thread::sleep(left.min(TICK));
        }
        false
    }
}

/// A duration, however long it is.
fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::from_secs(u64::from(u32::MAX)))
}

/// Who looks on: the user who may stop it, and a display.
pub struct Watch<'a> {
    /// Becomes true when the user wants it to end.
    pub stopped: &'a AtomicBool,
    /// Gets the progress some times a second.
    pub observe: &'a mut dyn FnMut(Progress),
}

/// Opens `count` sessions; the error says which one there was no more room for.
fn open_all(open: Open<'_>, count: u32, watch: &Watch<'_>) -> Result<Vec<Session>> {
    let mut sessions = Vec::new();
    while sessions.len() < count as usize && !watch.stopped.load(Ordering::Relaxed) {
        let number = sessions.len() + 1;
        let session = open().map_err(|error| match (count, sessions.len()) {
            (1, _) => error,
            (_, 0) => error.context(format!("cannot open client 1 of {count}")),
            (_, fitting) => error
                .context(format!("cannot open client {number} of {count}"))
                .hint(format!("lower --concurrency to {fitting} or less")),
        })?;
        sessions.push(session);
    }
    Ok(sessions)
}

/// Lets each client work on a thread of its own until all have ended; cancels what still runs when
/// somebody stops it, or long after its time.
fn together<C: Send>(
    clients: &mut [C],
    canceler: impl Fn(&C) -> Canceler,
    work: impl Fn(usize, &mut C) + Sync,
    shared: &Shared,
    watch: &mut Watch<'_>,
) {
    let cancelers: Vec<Canceler> = clients.iter().map(canceler).collect();
    let (working, over) = channel::<()>();
    std::thread::scope(|scope| {
        for (index, client) in clients.iter_mut().enumerate() {
            let (working, work) = (working.clone(), &work);
            scope.spawn(move || {
                work(index, client);
                drop(working);
            });
        }
        drop(working);
        let mut cancelled = Instant::now();
        while over.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
            let (elapsed, done) = (shared.begin.elapsed(), shared.done.load(Ordering::Relaxed));
            (watch.observe)(Progress { elapsed, done });
            let deadline = shared.until.deadline(shared.begin);
            let is_late = deadline.is_some_and(|end| Instant::now() >= end + LATE_LIMIT);
            let is_first =
                (watch.stopped.load(Ordering::Relaxed) || is_late) && !shared.is_halted();
            if is_first {
                shared.late.store(is_late, Ordering::Relaxed);
                shared.halt.store(true, Ordering::Relaxed);
            }
            if shared.is_halted() && (is_first || cancelled.elapsed() >= CANCEL_INTERVAL) {
                cancelled = Instant::now();
                // A server that cannot be reached has broken the sessions, too.
                cancelers.iter().for_each(|canceler| drop(canceler.cancel()));
            }
        }
    });
}
