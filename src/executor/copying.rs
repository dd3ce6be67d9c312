//! Copies a DEFAULT partition into the tables that will take its place, compares them, and puts
//! them there. How far it is, the server remembers with each batch: it goes on after any stop.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::archiving::{Tools, forget_settings, run_sql};
use super::retry;
use crate::archive::Progress;
use crate::error::{Error, Kind, Result};
use crate::model::units::Millis;
use crate::pg::failure::{Failure, Verdict};
use crate::pg::session::Session;
use crate::runbook::default::DefaultAction;
use crate::runbook::swap::{LATE_CHANGES_MAX, Swap, Takeover};

/// Copying a batch takes about this long: who deletes what its rows point at waits for its end.
const BATCH: Duration = Duration::from_millis(100);
/// The first batch, and the smallest and the largest one, in blocks. Smaller ones would cost more
/// than they copy.
const BLOCKS_FIRST: i64 = 64;
const BLOCKS_MIN: i64 = 16;
const BLOCKS_MAX: i64 = 8192;
/// A batch that somebody was in the way of is tried so often.
const TRIES_MAX: u32 = 10;
/// How often to catch up with changes before those left are made up for under lock.
const CATCH_UPS_MAX: u32 = 20;

/// How far a copy is.
struct State {
    next_block: i64,
    end_block: i64,
    is_compared: bool,
}

/// Runs the action, if it is more than SQL.
pub fn run(session: &mut Session, action: &DefaultAction, tools: &Tools<'_>) -> Option<Result<()>> {
    let mut begun = || forget_settings(session);
    match action {
        DefaultAction::Copy(swap) => Some(begun().and_then(|()| copy(session, swap, tools))),
        DefaultAction::Compare(swap) => Some(begun().and_then(|()| compare(session, swap))),
        DefaultAction::TakeOver(takeover) => {
            Some(begun().and_then(|()| take_over(session, takeover, tools)))
        }
        DefaultAction::Promote(_) | DefaultAction::Prepare(_) | DefaultAction::TakeBack(_) => None,
    }
}

/// Copies batch by batch.
fn copy(session: &mut Session, swap: &Swap, tools: &Tools<'_>) -> Result<()> {
    let mut blocks = BLOCKS_FIRST;
    loop {
        if tools.stopped.load(Ordering::Relaxed) {
            return Err(Error::new(Kind::Interrupted, "interrupted"));
        }
        let (state, took) = again(|| copy_batch(session, swap, blocks))?;
        let (done, all) = (state.next_block as u64, state.end_block as u64);
        (tools.tell)("copying blocks", Progress { rows: done, bytes: 0, all_rows: all });
        if state.next_block >= state.end_block {
            return Ok(());
        }
        blocks = match took {
            took if took > BATCH * 2 => blocks / 2,
            took if took < BATCH / 2 => blocks * 2,
            _ => blocks,
        };
        blocks = blocks.clamp(BLOCKS_MIN, BLOCKS_MAX);
    }
}

/// Tries what must not fail for being in somebody's way.
fn again<T>(mut batch: impl FnMut() -> std::result::Result<T, Trouble>) -> Result<T> {
    let mut attempt = 0;
    loop {
        match batch() {
            Ok(done) => return Ok(done),
            Err(Trouble::Server(failure))
                if failure.verdict() == Verdict::Retry && attempt + 1 < TRIES_MAX =>
            {
                std::thread::sleep(retry::pause(attempt, Millis(1_000), 1.0));
                attempt += 1;
            }
            Err(Trouble::Server(failure)) => return Err(failure.explain("cannot go on")),
            Err(Trouble::Other(error)) => return Err(error),
        }
    }
}

/// Why a batch failed.
enum Trouble {
    Server(Failure),
    Other(Error),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Trouble {
        Trouble::Server(failure)
    }
}

/// Runs `work` in a transaction that is alone with the copy and sees one snapshot.
fn alone_with_copy<T>(
    session: &mut Session,
    swap: &Swap,
    work: impl FnOnce(&mut Session, State) -> std::result::Result<T, Trouble>,
) -> std::result::Result<T, Trouble> {
    let mut all = || {
        session.run(&swap.begin_sql())?;
        let rows = session.query(&swap.progress_sql(), &[])?;
        let Some(row) = rows.first().filter(|row| row.get::<_, bool>(2)) else {
            let message = format!("{} is no longer what was begun to be copied", swap.default);
            let error = Error::new(Kind::Stopped, message);
            return Err(Trouble::Other(error.hint("run the same command again: it begins anew")));
        };
        Ok(State { next_block: row.get(0), end_block: row.get(1), is_compared: row.get(3) })
    };
    let result = all().and_then(|state| work(session, state));
    if result.is_err() {
        session.roll_back();
    }
    result
}

/// Copies some blocks, and says how long these took, without what had to be caught up with first.
fn copy_batch(
    session: &mut Session,
    swap: &Swap,
    blocks: i64,
) -> std::result::Result<(State, Duration), Trouble> {
    alone_with_copy(session, swap, |session, state| {
        let to_block = (state.next_block + blocks).min(state.end_block);
        session.run(&swap.catch_up_sql().join("; "))?;
        let begin = Instant::now();
        let sql = swap.copy_sql(state.next_block, to_block).join("; ");
        session.run(&format!("{sql}; COMMIT"))?;
        Ok((State { next_block: to_block, ..state }, begin.elapsed()))
    })
}

/// Makes all rows in the copy as they are by now; how many have changed since.
fn catch_up(session: &mut Session, swap: &Swap) -> Result<i64> {
    again(|| {
        alone_with_copy(session, swap, |session, _| {
            session.run(&format!("{}; COMMIT", swap.catch_up_sql().join("; ")))?;
            let rows = session.query(&swap.late_changes_sql(), &[])?;
            Ok(rows.first().map_or(0, |row| row.get(0)))
        })
    })
}

/// Counts and hashes both, in one snapshot. A copy that differs is of no use.
fn compare(session: &mut Session, swap: &Swap) -> Result<()> {
    catch_up(session, swap)?;
    again(|| {
        alone_with_copy(session, swap, |session, state| {
            if state.is_compared {
                session.roll_back();
                return Ok(());
            }
            let rows = session.query(&swap.compare_sql(), &[])?;
            let Some(row) = rows.first().filter(|row| !row.get::<_, bool>(0)) else {
                return Ok(session.run(&format!("{}; COMMIT", swap.compared_sql()))?);
            };
            let (here, there): (i64, i64) = (row.get(1), row.get(2));
            let message = format!("the copy of {} differs: {there} rows of {here}", swap.default);
            session.run(&format!("{}; COMMIT", swap.spoil_sql()))?;
            let error = Error::new(Kind::Stopped, message);
            Err(Trouble::Other(error.hint("run the same command again: it gives the copy up")))
        })
    })
}

/// Catches up with what changed until little is left, then puts the copy in its place.
fn take_over(session: &mut Session, takeover: &Takeover, tools: &Tools<'_>) -> Result<()> {
    let swap = &takeover.swap;
    for _ in 0..CATCH_UPS_MAX {
        let left = catch_up(session, swap)?;
        if left <= LATE_CHANGES_MAX as i64 / 10 {
            break;
        }
    }
    tools.begin(session)?;
    run_sql(session, &format!("{}; COMMIT", takeover.sql().join("; ")))
}
