//! Looks at steps that take long, from a session of its own: who is in their way, how far they
//! are, and whether a concurrent build has waited longer than it may.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::event::Event;
use super::{OpenSession, Running};
use crate::pg::session::Session;
use crate::pg::watch::{self, Blocker};
use crate::runbook::Waiting;

/// Steps shorter than this are not looked at.
const PATIENCE: Duration = Duration::from_millis(250);
/// Looking costs two queries; this often is enough.
const EVERY: Duration = Duration::from_millis(500);

/// The watching session, opened at the first look.
pub struct Watchdog<'a, 'b> {
    session: &'a mut Option<Session>,
    open: &'b OpenSession<'b>,
    looked: Instant,
    /// Since when each step has been waiting without a break.
    waiting: BTreeMap<usize, Instant>,
}

impl<'a, 'b> Watchdog<'a, 'b> {
    /// A watchdog that has not looked yet.
    pub fn new(session: &'a mut Option<Session>, open: &'b OpenSession<'b>) -> Watchdog<'a, 'b> {
        let looked = Instant::now();
        Watchdog { session, open, looked, waiting: BTreeMap::new() }
    }

    /// Looks at the steps at work, if it is time; cancels builds that waited too long.
    pub(super) fn look(
        &mut self,
        first_step: usize,
        running: &mut BTreeMap<usize, Running>,
        observe: &mut dyn FnMut(&Event),
    ) {
        let long = running.values().any(|running| running.started.elapsed() >= PATIENCE);
        if !long || self.looked.elapsed() < EVERY {
            return;
        }
        self.looked = Instant::now();
        let pids: Vec<i32> = running.values().map(|running| running.pid).collect();
        let Some((blockers, progress)) = self.ask(&pids) else {
            // Its session is gone; the next look opens another.
            *self.session = None;
            return;
        };
        self.waiting.retain(|step, _| running.contains_key(step));
        for (step, running) in running.iter_mut() {
            let mine: Vec<Blocker> =
                blockers.iter().filter(|b| b.waiting_pid == running.pid).cloned().collect();
            if let Some(p) = progress.iter().find(|p| p.pid == running.pid && !p.is_waiting()) {
                let (phase, done, total) = (p.phase.clone(), p.done, p.total);
                observe(&Event::Progress { step: first_step + step, phase, done, total });
            }
            if mine.is_empty() {
                self.waiting.remove(step);
                continue;
            }
            let waited = self.waiting.entry(*step).or_insert_with(Instant::now).elapsed();
            running.blocker = mine.first().map(ToString::to_string);
            give_up(running, &mine, waited);
            observe(&Event::Waiting { step: first_step + step, blockers: mine, waited });
        }
    }

    fn ask(&mut self, pids: &[i32]) -> Option<(Vec<Blocker>, Vec<watch::Progress>)> {
        if self.session.is_none() {
            *self.session = Some((self.open)().ok()?);
        }
        let session = self.session.as_mut()?;
        Some((watch::blockers(session, pids).ok()?, watch::progress(session, pids).ok()?))
    }
}

/// Cancels a patient step that has waited longer than it may.
fn give_up(running: &mut Running, blockers: &[Blocker], waited: Duration) {
    let Waiting::Patient { wait } = running.waiting else { return };
    if wait.0 == 0 || waited < wait.duration() || running.cancelled.is_some() {
        return;
    }
    let who = blockers.first().map_or_else(String::new, |blocker| format!(" for {blocker}"));
    running.cancelled = Some(format!("waited longer than {wait}{who}"));
    // A server that cannot be reached will break the session's own connection too.
    let _ = running.canceler.cancel();
}
