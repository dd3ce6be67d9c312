//! Runs stages of a runbook: steps in lanes, watched from a session of their own.
//!
//! There is no resume code. A run that ends early leaves the catalog as it is, and the next one
//! plans from that. Lanes are threads with a session each; all they tell passes one channel, so
//! the observer is called from one thread only.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::thread;
use std::time::{Duration, Instant};

use crate::archive::store::Place;
use crate::error::{Error, Kind, Result};
use crate::pg::connect::{Canceler, Notice};
use crate::pg::failure::Verdict;
use crate::pg::runner_lock::RunnerLock;
use crate::pg::session::Session;
use crate::runbook::print::step_name;
use crate::runbook::{Stage, Step, Waiting};

mod archiving;
mod copying;
pub mod event;
mod explain;
mod lanes;
mod retry;
mod step;
mod watchdog;

use event::Event;
use lanes::{Lanes, Message};
use step::{Retry, Told};
use watchdog::Watchdog;

/// How often running steps are looked at.
const TICK: Duration = Duration::from_millis(100);
/// After a stop, a step gets this long to finish before it is cancelled.
const STOP_GRACE: Duration = Duration::from_secs(1);

/// Opens one more session like those of the run.
pub type OpenSession<'a> = dyn Fn() -> Result<Session> + Sync + 'a;

/// What a run works with.
pub struct Crew<'a> {
    /// Sessions at hand, one for each lane used so far; at least one.
    pub sessions: Vec<Session>,
    /// The runner lock; a private server needs none.
    pub lock: Option<RunnerLock>,
    /// Watches the others; opened when there is something to watch.
    pub watcher: Option<Session>,
    /// Where archives are, for those who may archive.
    pub archive: Option<Place<'a>>,
    /// Opens more.
    pub open: &'a OpenSession<'a>,
    /// Becomes true when somebody wants the run to end.
    pub stopped: &'a AtomicBool,
}

/// A step at work.
struct Running {
    pid: i32,
    canceler: Canceler,
    started: Instant,
    waiting: Waiting,
    /// Why it was cancelled, where we did that.
    cancelled: Option<String>,
    /// Who was last seen in its way.
    blocker: Option<String>,
}

/// Runs the stages in order; `observe` hears of everything, on this thread.
///
/// Errors name the step that failed, what of it is committed, and what may be left behind.
pub fn run(stages: &[Stage], crew: &mut Crew<'_>, observe: &mut dyn FnMut(&Event)) -> Result<()> {
    let archive = crew.archive.take();
    let result = thread::scope(|scope| {
        let mut lanes = Lanes::new(scope, &mut crew.sessions, crew.stopped, archive.as_ref());
        let result = run_stages(stages, crew, &mut lanes, observe);
        crew.sessions = lanes.end();
        result
    });
    crew.archive = archive;
    result
}

fn run_stages<'env>(
    stages: &'env [Stage],
    crew: &mut Crew<'_>,
    lanes: &mut Lanes<'_, 'env>,
    observe: &mut dyn FnMut(&Event),
) -> Result<()> {
    let mut first_step = 0;
    for stage in stages {
        if crew.stopped.load(Ordering::Relaxed) {
            return Err(interrupted());
        }
        if let Some(lock) = &mut crew.lock {
            lock.check()?;
        }
        observe(&Event::StageStarted { title: stage.title.clone(), steps: stage.steps.len() });
        lanes.need(lane_count(stage), crew.open)?;
        let watchdog = Watchdog::new(&mut crew.watcher, crew.open);
        oversee(stage, first_step, lanes, watchdog, crew.stopped, observe)?;
        observe(&Event::StageDone);
        first_step += stage.steps.len();
    }
    Ok(())
}

fn lane_count(stage: &Stage) -> usize {
    (stage.lanes.max(1) as usize).min(stage.steps.len())
}

fn interrupted() -> Error {
    Error::new(Kind::Interrupted, "stopped between steps; what ran is committed")
        .hint("run the same command again to continue")
}

/// Hands the steps of a stage out, hears the lanes, watches what takes long, and cancels what must
/// not go on. After a failure or a stop no step begins, and those at work are waited for; what is
/// about a table alone and refused stops no others like it.
fn oversee<'env>(
    stage: &'env Stage,
    first_step: usize,
    lanes: &Lanes<'_, 'env>,
    mut watchdog: Watchdog<'_, '_>,
    stopped: &AtomicBool,
    observe: &mut dyn FnMut(&Event),
) -> Result<()> {
    let mut queue = stage.steps.iter().enumerate();
    let mut free: Vec<usize> = (0..lane_count(stage)).rev().collect();
    let mut running: BTreeMap<usize, Running> = BTreeMap::new();
    let mut failed: Option<Error> = None;
    let mut stopping: Option<Instant> = None;
    let (mut done, mut broken) = (0, false);
    loop {
        let goes_on = !broken && stopping.is_none();
        while goes_on && let Some(lane) = free.pop() {
            let Some((number, step)) = queue.next() else { break };
            observe(&step_started(first_step + number, step));
            running.insert(number, Running::new(step, lanes.hand(lane, number, step)));
        }
        if running.is_empty() {
            break;
        }
        match lanes.hear(TICK) {
            Ok(Message::Told { step, told }) => observe(&told_event(first_step + step, told)),
            Ok(Message::Remarked { step, notice }) => observe(&remarked(first_step + step, notice)),
            Ok(Message::Finished { lane, step, elapsed, result }) => {
                free.push(lane);
                let ended = running.remove(&step);
                let Step { action, .. } = &stage.steps[step];
                match result {
                    Ok(()) => {
                        done += 1;
                        observe(&Event::StepDone { step: first_step + step, elapsed });
                    }
                    Err(failure) => {
                        let name = step_name(action);
                        observe(&Event::StepFailed { step: first_step + step, name });
                        let failure_of_all = failure.failure.verdict() != Verdict::Fatal
                            || failure.failure.is_of_the_system();
                        broken |= failure_of_all || !action.stands_alone();
                        failed.get_or_insert_with(|| {
                            explain::failure(&stage.steps[step], &failure, ended)
                        });
                    }
                }
            }
            Err(RecvTimeoutError::Timeout) => watchdog.look(first_step, &mut running, observe),
            Err(RecvTimeoutError::Disconnected) => {
                return Err(Error::new(Kind::Bug, "a lane has panicked"));
            }
        }
        if stopped.load(Ordering::Relaxed) {
            let since = *stopping.get_or_insert_with(Instant::now);
            if since.elapsed() >= STOP_GRACE {
                cancel_all(&mut running, "interrupted");
            }
        }
    }
    match (failed, stopping) {
        (Some(error), None) => Err(error),
        (Some(error), Some(_)) => Err(Error { kind: Kind::Interrupted, ..error }),
        (None, Some(_)) if done < stage.steps.len() => Err(interrupted()),
        (None, _) => Ok(()),
    }
}

fn step_started(number: usize, step: &Step) -> Event {
    Event::StepStarted { step: number, name: step_name(&step.action) }
}

fn told_event(step: usize, told: Told) -> Event {
    match told {
        Told::Retry(Retry { attempts, pause, reason }) => {
            Event::Retrying { step, attempts, pause, reason }
        }
        Told::Progress { phase, done, total } => {
            Event::Progress { step, phase: phase.to_string(), done, total }
        }
    }
}

fn remarked(step: usize, Notice { severity, message }: Notice) -> Event {
    Event::Remarked { step, severity, message }
}

impl Running {
    /// A step that begins now, in the server's process `pid`.
    fn new(step: &Step, (pid, canceler): (i32, Canceler)) -> Running {
        let (started, waiting) = (Instant::now(), step.limits.waiting);
        Running { pid, canceler, started, waiting, cancelled: None, blocker: None }
    }
}

/// Cancels steps at work, each once; `why` goes into their errors.
fn cancel_all(running: &mut BTreeMap<usize, Running>, why: &str) {
    for running in running.values_mut().filter(|running| running.cancelled.is_none()) {
        running.cancelled = Some(why.to_string());
        // A server that cannot be reached will break the session's own connection too.
        let _ = running.canceler.cancel();
    }
}
