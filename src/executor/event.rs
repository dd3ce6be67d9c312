//! What an execution tells: the only thing that displays and tests see of it.

use std::time::Duration;

use crate::pg::watch::Blocker;

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A stage begins.
    StageStarted {
        /// Its title.
        title: String,
        /// How many steps it has.
        steps: usize,
    },
    /// A step begins.
    StepStarted {
        /// Which: a number that grows through the run.
        step: usize,
        /// Its name.
        name: String,
    },
    /// A step waits for others.
    Waiting {
        /// Which.
        step: usize,
        /// For whom; the longest transaction first.
        blockers: Vec<Blocker>,
        /// How long by now.
        waited: Duration,
    },
    /// A step is this far in a phase of its work.
    Progress {
        /// Which.
        step: usize,
        /// The server's name of the phase.
        phase: String,
        /// Units done.
        done: u64,
        /// Units to do; 0 where unknown.
        total: u64,
    },
    /// A step was in somebody's way, let them pass, and will try again.
    Retrying {
        /// Which.
        step: usize,
        /// How many tries so far.
        attempts: u32,
        /// How long it pauses.
        pause: Duration,
        /// What the server said.
        reason: String,
    },
    /// The server remarked something about a statement of the user's.
    Remarked {
        /// Which.
        step: usize,
        /// WARNING, NOTICE or INFO.
        severity: String,
        /// What it says.
        message: String,
    },
    /// A step is done.
    StepDone {
        /// Which.
        step: usize,
        /// How long it took.
        elapsed: Duration,
    },
    /// A step failed; the run ends.
    StepFailed {
        /// Which.
        step: usize,
        /// Its name.
        name: String,
    },
    /// All steps of the stage are done.
    StageDone,
}
