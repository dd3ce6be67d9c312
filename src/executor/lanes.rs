//! Lanes: threads with a session each, which run the steps that they are handed.
//!
//! They live as long as the run, since short steps are over sooner than a thread is started.

use std::mem::take;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use super::OpenSession;
use super::step::{self, StepFailure};
use crate::archive::store::Place;
use crate::error::Result;
use crate::pg::connect::{Canceler, Notice};
use crate::pg::session::Session;
use crate::runbook::Step;

/// What lanes tell the run.
pub enum Message {
    /// A step is at work.
    Told {
        /// The step, as it was handed out.
        step: usize,
        /// What it tells.
        told: step::Told,
    },
    /// The server remarked on a statement of the user's.
    Remarked {
        /// The step, as it was handed out.
        step: usize,
        /// What it said.
        notice: Notice,
    },
    /// A step ended, and its lane is free.
    Finished {
        /// The lane.
        lane: usize,
        /// The step, as it was handed out.
        step: usize,
        /// How long it took.
        elapsed: Duration,
        /// How it ended.
        result: std::result::Result<(), Box<StepFailure>>,
    },
}

/// A thread and the way to hand it steps.
struct Lane<'scope, 'env> {
    orders: Sender<(usize, &'env Step)>,
    pid: i32,
    canceler: Canceler,
    thread: ScopedJoinHandle<'scope, Session>,
}

/// The lanes of a run.
pub struct Lanes<'scope, 'env> {
    scope: &'scope Scope<'scope, 'env>,
    stopped: &'env AtomicBool,
    archive: Option<&'env Place<'env>>,
    /// Sessions at hand that no lane has yet.
    idle: Vec<Session>,
    lanes: Vec<Lane<'scope, 'env>>,
    sender: Sender<Message>,
    receiver: Receiver<Message>,
}

impl<'scope, 'env> Lanes<'scope, 'env> {
    /// No lanes yet; `sessions` are for the first ones.
    pub fn new(
        scope: &'scope Scope<'scope, 'env>,
        sessions: &mut Vec<Session>,
        stopped: &'env AtomicBool,
        archive: Option<&'env Place<'env>>,
    ) -> Lanes<'scope, 'env> {
        let (sender, receiver) = channel();
        let idle = take(sessions).into_iter().rev().collect();
        Lanes { scope, stopped, archive, idle, lanes: Vec::new(), sender, receiver }
    }

    /// Starts lanes until there are `count`; `open` opens the sessions that are missing.
    pub fn need(&mut self, count: usize, open: &OpenSession<'_>) -> Result<()> {
        while self.lanes.len() < count {
            let session = match self.idle.pop() {
                Some(session) => session,
                None => {
                    let mut session = open()?;
                    let pid = session.learn_pid();
                    pid.map_err(|failure| failure.explain("cannot open another session"))?;
                    session
                }
            };
            self.start(session);
        }
        Ok(())
    }

    fn start(&mut self, session: Session) {
        let (orders, taken) = channel();
        let (lane, sender) = (self.lanes.len(), self.sender.clone());
        let (stopped, archive) = (self.stopped, self.archive);
        let (pid, canceler) = (session.pid(), session.canceler());
        let thread =
            self.scope.spawn(move || work(session, lane, &taken, &sender, (stopped, archive)));
        self.lanes.push(Lane { orders, pid, canceler, thread });
    }

    /// Hands a free lane its next step. Returns the server's process at work, and what cancels it.
    pub fn hand(&self, lane: usize, number: usize, step: &'env Step) -> (i32, Canceler) {
        let Lane { orders, pid, canceler, .. } = &self.lanes[lane];
        // Fails only after a panic of the lane, which `hear` tells.
        let _ = orders.send((number, step));
        (*pid, canceler.clone())
    }

    /// What the lanes tell next; `Timeout` when they say nothing for a while, and `Disconnected`
    /// when one of them has panicked.
    pub fn hear(&self, timeout: Duration) -> std::result::Result<Message, RecvTimeoutError> {
        let heard = self.receiver.recv_timeout(timeout);
        let panicked = || self.lanes.iter().any(|lane| lane.thread.is_finished());
        match heard {
            Err(RecvTimeoutError::Timeout) if panicked() => Err(RecvTimeoutError::Disconnected),
            heard => heard,
        }
    }

    /// Ends the lanes and returns all sessions, in their order; a lane's panic goes on here.
    pub fn end(self) -> Vec<Session> {
        let end = |Lane { orders, thread, .. }| {
            drop(orders);
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        self.lanes.into_iter().map(end).chain(self.idle.into_iter().rev()).collect()
    }
}

/// A lane at work: runs steps until no more will come, then gives the session back.
fn work(
    mut session: Session,
    lane: usize,
    orders: &Receiver<(usize, &Step)>,
    sender: &Sender<Message>,
    (stopped, archive): (&AtomicBool, Option<&Place<'_>>),
) -> Session {
    // The run outlives its lanes, so sending cannot fail.
    let tell = |message| drop(sender.send(message));
    for (number, step) in orders {
        let begin = Instant::now();
        let jitter = || 0.5 + fastrand::f64();
        let result = step::run(&mut session, step, (stopped, archive), jitter, |told| {
            tell(Message::Told { step: number, told });
        });
        // About its own statements pgtune knows better.
        let notices = session.take_notices();
        if step.action.runs_the_users_sql() {
            notices.into_iter().for_each(|notice| tell(Message::Remarked { step: number, notice }));
        }
        tell(Message::Finished { lane, step: number, elapsed: begin.elapsed(), result });
    }
    session
}
