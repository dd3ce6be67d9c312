//! Runs one step on one session: the only place that sends a runbook's SQL.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::archiving::{self, Tools};
use super::retry;
use crate::archive::Progress;
use crate::archive::store::Place;
use crate::model::migration::MigrationId;
use crate::model::units::Millis;
use crate::pg::failure::{Failure, Verdict};
use crate::pg::session::Session;
use crate::runbook::action::{Action, Script, SqlText};
use crate::runbook::{HOLD, Step, Waiting};

/// A concurrent build that lost a deadlock is cleaned up and tried again this often.
const BUILD_ATTEMPTS_MAX: u32 = 3;
/// How long a clean-up may queue for its lock.
const CLEAN_UP_LOCK_TIMEOUT: Millis = Millis(5_000);
/// What is over sooner needs no progress shown.
const QUIET: Duration = Duration::from_millis(500);
/// How often a pause looks whether the run was stopped.
const STOP_POLL: Duration = Duration::from_millis(20);

/// A step that did not succeed.
#[derive(Debug, Clone, PartialEq)]
pub struct StepFailure {
    /// What the server said to the last try.
    pub failure: Failure,
    /// Where in the migration file: line and column from 1.
    pub place: Option<(usize, usize)>,
    /// Which migration it was.
    pub migration: Option<MigrationId>,
    /// Which statement of it.
    pub statement: Option<SqlText>,
    /// Whether the history row and COMMIT were sent along: the failure may be theirs.
    pub with_commit: bool,
    /// How often it was tried.
    pub attempts: u32,
    /// An invalid index that could not be cleaned up.
    pub left_invalid: Option<String>,
}

/// Somebody was in the way; told before each pause.
pub struct Retry {
    /// Tries so far.
    pub attempts: u32,
    /// How long the pause will be.
    pub pause: Duration,
    /// What the server said.
    pub reason: String,
}

/// What a step tells while it is at work.
pub enum Told {
    /// Somebody was in its way.
    Retry(Retry),
    /// It is this far in a phase of its work, in units of it.
    Progress {
        /// What it is doing.
        phase: &'static str,
        /// Done.
        done: u64,
        /// To do.
        total: u64,
    },
}

/// Runs a step to its end: done, or failed for good. `jitter` gives factors for the pauses.
///
/// What can be cut is done in pieces, the next one as large as what was measured of the last one
/// says that [`HOLD`] allows. Each is committed: the next run sees what is left. A table that the
/// server refuses, since a view depends on it for example, keeps no other: it is found alone, and
/// the step fails at its end.
pub fn run(
    session: &mut Session,
    step: &Step,
    hands: (&AtomicBool, Option<&Place<'_>>),
    mut jitter: impl FnMut() -> f64,
    tell: impl Fn(Told),
) -> Result<(), Box<StepFailure>> {
    if step.action.cut(1).is_none() {
        return run_whole(session, step, hands, &mut jitter, &tell).map(drop);
    }
    let total = tables(&step.action);
    let (mut size, mut done, mut failed) = (FIRST_PIECE, 0, None);
    let mut left = Some(step.action.clone());
    while let Some(action) = left.take() {
        let (piece, rest) = action.cut(size).map_or((action.clone(), None), |(a, b)| (a, Some(b)));
        let count = tables(&piece);
        let piece = Step { action: piece, locks: Vec::new(), note: String::new(), ..step.clone() };
        match run_whole(session, &piece, hands, &mut jitter, &tell) {
            Ok(took) => {
                size = next_size(size, took);
                left = rest;
            }
            Err(failure) if failure.failure.verdict() != Verdict::Fatal => return Err(failure),
            Err(_) if count > 1 => {
                (size, left) = (1, Some(action));
                continue;
            }
            Err(failure) => {
                failed.get_or_insert(failure);
                left = rest;
            }
        }
        done += count;
        if left.is_none() {
            break;
        }
        tell(Told::Progress { phase: "tables", done, total });
        if hands.0.load(Ordering::Relaxed) {
            return Err(plain(Failure::interrupted()));
        }
    }
    failed.map_or(Ok(()), Err)
}

/// How many tables an action is about; 0 where it cannot be cut.
fn tables(action: &Action) -> u64 {
    let Action::Partition(action) = action else { return 0 };
    action.tables().map_or(0, |tables| tables as u64)
}

/// How many tables the first transaction of a step that can be cut has.
const FIRST_PIECE: usize = 4;
/// And the largest: each takes a lock or more in the server's lock table.
const LARGEST_PIECE: usize = 50;

/// As many as would have taken [`HOLD`], and at most twice as many as before.
fn next_size(size: usize, took: Duration) -> usize {
    let fitting = size as f64 * HOLD.duration().as_secs_f64() / took.as_secs_f64().max(1e-6);
    (fitting as usize).clamp(1, (size * 2).min(LARGEST_PIECE))
}

/// Runs a step as it is. Returns how long the try took that succeeded; without the wait for the
/// lock, where that is taken first.
fn run_whole(
    session: &mut Session,
    step: &Step,
    (stopped, archive): (&AtomicBool, Option<&Place<'_>>),
    jitter: &mut impl FnMut() -> f64,
    tell: &impl Fn(Told),
) -> Result<Duration, Box<StepFailure>> {
    let mut script = step.action.script();
    let mut second_half = second_half(&step.action);
    let begin = Instant::now();
    let mut attempt = 0;
    loop {
        let lock_timeout = lock_timeout(step, attempt);
        let progress = |phase, Progress { rows, all_rows, .. }: Progress| {
            if begin.elapsed() >= QUIET {
                tell(Told::Progress { phase, done: rows, total: all_rows });
            }
        };
        let tools = Tools { place: archive, stopped, lock_timeout, tell: &progress };
        let try_began = Instant::now();
        let attempted = match run_with_tools(session, step, &tools) {
            Some(result) => result.map(|()| None),
            None => attempt_once(session, step, &script, lock_timeout, stopped),
        };
        let mut failed = match attempted {
            Ok(Some(locked)) => return Ok(locked.elapsed()),
            Ok(None) => return Ok(try_began.elapsed()),
            Err(failed) => failed,
        };
        if attempt > 0
            && failed.failure.is_half_done()
            && let Some(rest) = second_half.take()
        {
            script = rest;
            continue;
        }
        failed.attempts = attempt + 1;
        failed.left_invalid = clean_up(session, step, &failed.failure);
        let pause = retry::pause(attempt, budget(step), jitter());
        let again = failed.failure.verdict() == Verdict::Retry
            && failed.left_invalid.is_none()
            && may_retry(step, attempt, begin.elapsed() + pause)
            && !stopped.load(Ordering::Relaxed);
        if !again {
            return Err(failed);
        }
        attempt += 1;
        let reason = failed.failure.message.clone();
        tell(Told::Retry(Retry { attempts: attempt, pause, reason }));
        sleep(pause, stopped);
    }
}

/// What completes a step whose earlier try was stopped half-way.
fn second_half(action: &Action) -> Option<Script> {
    let Action::Partition(action) = action else { return None };
    action.second_half()
}

fn budget(step: &Step) -> Millis {
    match step.limits.waiting {
        Waiting::Short { budget, .. } => budget,
        Waiting::Patient { .. } => Millis(1_000),
    }
}

fn may_retry(step: &Step, attempt: u32, elapsed: Duration) -> bool {
    match step.limits.waiting {
        Waiting::Short { deadline, .. } => elapsed < deadline.duration(),
        // A statement that is not pgtune's own may have left something behind.
        Waiting::Patient { .. } => {
            attempt + 1 < BUILD_ATTEMPTS_MAX && !matches!(step.action, Action::RunAlone { .. })
        }
    }
}

fn sleep(pause: Duration, stopped: &AtomicBool) {
    let end = Instant::now() + pause;
    while !stopped.load(Ordering::Relaxed) {
        match end.checked_duration_since(Instant::now()) {
            Some(left) if !left.is_zero() => std::thread::sleep(left.min(STOP_POLL)),
            Some(_) | None => return,
        }
    }
}

/// Runs a step that is more than SQL, if it is one.
fn run_with_tools(
    session: &mut Session,
    step: &Step,
    tools: &Tools<'_>,
) -> Option<Result<(), Box<StepFailure>>> {
    let Action::Partition(action) = &step.action else { return None };
    Some(archiving::run(session, action, tools)?.map_err(plain))
}

fn lock_timeout(step: &Step, attempt: u32) -> Millis {
    match step.limits.waiting {
        Waiting::Short { budget, .. } => retry::lock_timeout(attempt, budget),
        Waiting::Patient { .. } => Millis(0),
    }
}

fn attempt_once(
    session: &mut Session,
    step: &Step,
    script: &Script,
    lock_timeout: Millis,
    stopped: &AtomicBool,
) -> Result<Option<Instant>, Box<StepFailure>> {
    let timeouts = |local: &str| {
        [
            format!("SET {local}lock_timeout = '{lock_timeout}'"),
            format!("SET {local}statement_timeout = '{}'", step.limits.statement_timeout),
        ]
    };
    if script.transaction {
        session.apply_settings(&step.settings).map_err(plain)?;
        run_transaction(session, step, script, &timeouts("LOCAL "), stopped)
    } else {
        let settings = [step.settings.as_slice(), &timeouts("")].concat();
        session.apply_settings(&settings).map_err(plain)?;
        let sent = script.messages.iter().try_for_each(|message| session.run(message));
        if let Action::RunAlone { .. } = step.action {
            session.forget_settings(); // DISCARD ALL is one of them
        }
        sent.map(|()| None).map_err(|failure| located(failure, step, 0, 0))
    }
}

/// Sends a transaction, one statement of the migration a message: BEGIN and the timeouts travel
/// with the first, the history row and COMMIT with the last.
fn run_transaction(
    session: &mut Session,
    step: &Step,
    script: &Script,
    timeouts: &[String],
    stopped: &AtomicBool,
) -> Result<Option<Instant>, Box<StepFailure>> {
    let (statements, tail) = script.messages.split_at(script.messages.len() - script.own_tail);
    let head = format!("BEGIN;\n{};\n", timeouts.join(";\n"));
    let again = format!("{};\n", timeouts[0]);
    let last = statements.len().saturating_sub(1);
    let tail: String = tail.iter().map(|own| format!("{own};\n")).collect();
    let changes_settings = changes_settings(step);
    let own_role =
        if changes_settings { format!("{};\n", session.own_role()) } else { String::new() };
    let mut locked = None;
    for number in 0..=last {
        // A migration's own SET must not lift the lock budget of what follows it.
        let before = match number {
            0 => head.as_str(),
            _ if changes_settings => again.as_str(),
            _ => "",
        };
        let statement = statements.get(number).map_or("", String::as_str);
        // A cancel request that comes between two messages meets nothing to cancel.
        let sent = if number > 0 && stopped.load(Ordering::Relaxed) {
            Err(Failure::interrupted())
        } else if number == last {
            session.run(&format!("{before}{statement};\n{own_role}{tail}COMMIT"))
        } else {
            session.run(&format!("{before}{statement}"))
        };
        if let Err(failure) = sent {
            if failure.verdict() != Verdict::Gone {
                session.roll_back();
            }
            let failed = located(failure, step, number, before.chars().count());
            return Err(Box::new(StepFailure { with_commit: number == last, ..*failed }));
        }
        if number == 0 && last > 0 {
            locked = Some(Instant::now());
        }
    }
    if changes_settings {
        session.forget_settings();
    }
    Ok(locked)
}

/// Whether a migration's own settings hold when it ends, among them perhaps another role, which
/// must not write the history.
fn changes_settings(step: &Step) -> bool {
    let changes = matches!(step.action, Action::RunStatements { changes_settings: true, .. });
    changes || !step.settings.is_empty()
}

fn plain(failure: Failure) -> Box<StepFailure> {
    Box::new(StepFailure {
        failure,
        place: None,
        migration: None,
        statement: None,
        with_commit: false,
        attempts: 0,
        left_invalid: None,
    })
}

/// Finds the place in the migration file: statement `number` of the step, `before` characters
/// into the message.
fn located(failure: Failure, step: &Step, number: usize, before: usize) -> Box<StepFailure> {
    let (migration, statement, told) = match &step.action {
        Action::RunStatements { statements, record, .. } => {
            let sent = statements.get(number);
            // What pgtune put behind a statement of the user's is told as that one.
            let of_user = |one: &&SqlText| sent.is_some_and(|sent| sent.number == one.number);
            (Some(&record.migration), sent, statements.iter().find(of_user))
        }
        Action::RunAlone { migration, statement } => {
            (Some(migration), Some(statement), Some(statement))
        }
        Action::Prepare { .. }
        | Action::Record(_)
        | Action::CorrectHistory(_)
        | Action::CreateIndex(_)
        | Action::DropIndex { .. }
        | Action::RebuildIndex { .. }
        | Action::AttachIndex { .. }
        | Action::FinalizeDetach { .. }
        | Action::AddKeyOnly(_)
        | Action::AddKeyUsingIndex(_)
        | Action::AddNotNullCheck { .. }
        | Action::ValidateNotNullCheck { .. }
        | Action::SetNotNull { .. }
        | Action::Partition(_)
        | Action::RecordPlans(_) => (None, None, None),
    };
    let offset = failure.position.and_then(|position| (position - 1).checked_sub(before));
    let place = statement.zip(offset).and_then(|(statement, offset)| place(statement, offset));
    let (migration, statement) = (migration.cloned(), told.cloned());
    Box::new(StepFailure { migration, statement, place, ..*plain(failure) })
}

/// Line and column of a character of a statement; `None` where it lies behind its end.
fn place(statement: &SqlText, offset: usize) -> Option<(usize, usize)> {
    let (at, _) = statement.text.char_indices().nth(offset)?;
    let before = &statement.text[..at];
    let line = statement.line + before.matches('\n').count();
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    Some((line, column))
}

/// A failed or cancelled build leaves an invalid index that slows writes down: drop it. Returns
/// its name where that did not work; the next run will see it.
fn clean_up(session: &mut Session, step: &Step, failure: &Failure) -> Option<String> {
    let index = step.action.leftover()?;
    // "already exists" means that the index is not this build's.
    if failure.verdict() == Verdict::Gone || failure.is_duplicate() {
        return None;
    }
    let settings = [format!("SET lock_timeout = '{CLEAN_UP_LOCK_TIMEOUT}'")];
    let dropped = session
        .apply_settings(&settings)
        .and_then(|()| session.run(&format!("DROP INDEX CONCURRENTLY IF EXISTS {index}")));
    dropped.is_err().then(|| index.to_string())
}
