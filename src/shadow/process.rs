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

/// Whether `pid` is a running process that is told to work on the data directory `data` (`-D`).
///
/// Process numbers are used again, so a number read from a file proves nothing. A zombie has no
/// command line and counts as gone.
pub fn serves(pid: u32, data: &Path) -> bool {
    let told = format!(" -D {}", data.display());
    command_line(pid).is_some_and(|line| format!("{line} ").contains(&format!("{told} ")))
}

/// The processes that are told to work on the data directory `data`.
pub fn serving(data: &Path) -> Vec<u32> {
    let me = std::process::id();
    let others = all().into_iter().filter(|pid| *pid != me);
    others.filter(|pid| serves(*pid, data)).collect()
}

/// The numbers of all processes, from `/proc` or, where there is none, from `ps`.
fn all() -> Vec<u32> {
    if let Ok(entries) = fs::read_dir("/proc") {
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        return names.filter_map(|name| name.parse().ok()).collect();
    }
    let Ok(ps) = Command::new("ps").args(["-ax", "-o", "pid="]).output() else { return Vec::new() };
    let text = String::from_utf8_lossy(&ps.stdout).into_owned();
    text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
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
        let data = Path::new("/nowhere/data");
        let start = |arguments: &str| {
            let script = format!("exec 3<&0; : {arguments}; read line <&3");
            let mut command = Command::new("sh");
            command.args(["-c", &script]).stdin(std::process::Stdio::piped()).spawn().unwrap()
        };
        // The second only reads what the first has written.
        let mut children =
            ["-D /nowhere/data -c x", "/nowhere/data", "-D /nowhere/data2"].map(start);
        assert!(serves(children[0].id(), data));
        assert_eq!(serving(data), [children[0].id()]);
        assert!(!serves(u32::MAX, data));
        for child in &mut children {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        assert!(serving(data).is_empty());
    }
}
