//! Waiting for processes, telling them to stop, and finding out what they are.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process};

/// How often a waiting pgtune looks again.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// Calls `look` until it finds something; `None` once `limit` has passed.
pub fn poll<T>(limit: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if Instant::now() >= deadline {
            return None;
        }
        thread::sleep(POLL_INTERVAL);
    }
}

/// Sends `signal` to the process `pid`. One that is gone, or is not ours, stays as it is.
pub fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // The caller looks afterwards whether the process is gone; there is nothing else to do.
        let _ = kill_process(pid, signal);
    }
}

/// Whether `pid` is a running process whose command line contains the folder `data`.
///
/// Process numbers are used again, so a number read from a file proves nothing. A zombie has no
/// command line and counts as gone.
pub fn serves(pid: u32, data: &Path) -> bool {
    command_line(pid).is_some_and(|line| line.contains(&*data.to_string_lossy()))
}

/// The command line of `pid`, from `/proc` or, where there is none, from `ps`.
fn command_line(pid: u32) -> Option<String> {
    if Path::new("/proc/self/cmdline").exists() {
        let bytes = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        return Some(String::from_utf8_lossy(&bytes).replace('\0', " "));
    }
    let pid = pid.to_string();
    let ps = Command::new("ps").args(["-ww", "-o", "command=", "-p", &pid]).output().ok()?;
    Some(String::from_utf8_lossy(&ps.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polling_ends() {
        let mut looks = 0;
        let third = poll(Duration::from_secs(5), || {
            looks += 1;
            (looks == 3).then_some(looks)
        });
        assert_eq!(third, Some(3));
        assert_eq!(poll::<()>(Duration::ZERO, || None), None);
    }

    #[test]
    fn a_process_is_known_by_its_command_line() {
        let me = std::process::id();
        let program = std::env::args().next().unwrap();
        assert!(serves(me, Path::new(&program)));
        assert!(!serves(me, Path::new("/nowhere/data")));
        assert!(!serves(u32::MAX, Path::new(&program)));
    }
}
