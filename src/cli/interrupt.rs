//! Ctrl-C, SIGTERM and SIGHUP: the first asks the run to end cleanly, the second leaves at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use crate::error::{Error, Kind, Result};
use crate::pg::connect::Canceler;

/// How often a running statement is told again that nobody wants it any more: the one before it
/// may have ended just when the first request came.
const CANCEL_INTERVAL: Duration = Duration::from_millis(50);

static STOPPED: AtomicBool = AtomicBool::new(false);

/// Listens for signals from now on; the flag becomes true at the first.
pub fn listen() -> Result<&'static AtomicBool> {
    let handler = || {
        if STOPPED.swap(true, Ordering::Relaxed) {
            std::process::exit(i32::from(Kind::Interrupted.exit_code()));
        }
    };
    match ctrlc::set_handler(handler) {
        Ok(()) | Err(ctrlc::Error::MultipleHandlers) => Ok(&STOPPED),
        Err(error) => Err(Error::new(Kind::Bug, "cannot listen for signals").caused_by(error)),
    }
}

/// Errors once `stopped` is true, for what has changed nothing.
pub fn check(stopped: &AtomicBool) -> Result<()> {
    match stopped.load(Ordering::Relaxed) {
        true => Err(Error::new(Kind::Interrupted, "interrupted; nothing was changed")),
        false => Ok(()),
    }
}

/// Does `work`; once `stopped` is true, cancels whatever the session of `canceler` runs.
pub fn cancelling<T>(
    canceler: &Canceler,
    stopped: &AtomicBool,
    work: impl FnOnce() -> Result<T>,
) -> Result<T> {
    let (working, over) = channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            while over.recv_timeout(CANCEL_INTERVAL) == Err(RecvTimeoutError::Timeout) {
                if stopped.load(Ordering::Relaxed) {
                    // A server that cannot be reached has broken the session, too.
                    let _ = canceler.cancel();
                }
            }
        });
        let result = work();
        drop(working);
        result
    })
}
