//! Runs programs and measures them from outside.

use std::io::{Read, Seek};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use wait4::Wait4;

/// One finished run.
#[derive(Clone, Copy)]
pub struct Run {
    /// From before the start to after the end.
    pub wall: Duration,
    /// The most memory it had resident. Linux counts what the process was forked from, too, so
    /// no figure is below this program's own.
    pub peak_bytes: u64,
}

/// The runs of one program, in order.
pub struct Samples(pub Vec<Run>);

impl Samples {
    /// Wall times in milliseconds.
    pub fn walls_ms(&self) -> Vec<f64> {
        self.0.iter().map(|run| run.wall.as_secs_f64() * 1e3).collect()
    }

    /// The most memory of all runs, in MiB.
    pub fn peak_mib(&self) -> f64 {
        let peak = self.0.iter().map(|run| run.peak_bytes).max().unwrap_or(0);
        peak as f64 / f64::from(1 << 20)
    }

    /// Ratios of this program's wall times to another's, round by round.
    pub fn ratios_to(&self, floor: &Samples) -> Vec<f64> {
        self.walls_ms().iter().zip(floor.walls_ms()).map(|(ours, theirs)| ours / theirs).collect()
    }
}

/// Runs a program to its end; panics with what it said if it fails.
pub fn run(command: &mut Command) -> Run {
    let mut said = tempfile::tempfile().unwrap();
    let to_said = Stdio::from(said.try_clone().unwrap());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(to_said);
    let begin = Instant::now();
    let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let used = child.wait4().unwrap();
    let wall = begin.elapsed();
    if !used.status.success() {
        let mut text = String::new();
        said.rewind().unwrap();
        said.read_to_string(&mut text).unwrap();
        panic!("{command:?}: {}\n{text}", used.status);
    }
    Run { wall, peak_bytes: used.rusage.maxrss }
}

/// Lets two programs take turns, after one round that does not count. Who goes first changes from
/// round to round, so that neither always finds the machine as the other left it.
pub fn alternate(
    rounds: usize,
    mut ours: impl FnMut() -> Run,
    mut theirs: impl FnMut() -> Run,
) -> (Samples, Samples) {
    if rounds > 1 {
        ours();
        theirs();
    }
    let pair = |round: usize| {
        if round.is_multiple_of(2) {
            let first = ours();
            (first, theirs())
        } else {
            let first = theirs();
            (ours(), first)
        }
    };
    let (ours, theirs) = (0..rounds).map(pair).unzip();
    (Samples(ours), Samples(theirs))
}

/// The middle of some figures, and their least and greatest.
pub fn median(figures: &[f64]) -> (f64, f64, f64) {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let median = if sorted.len().is_multiple_of(2) {
        f64::midpoint(sorted[middle - 1], sorted[middle])
    } else {
        sorted[middle]
    };
    (median, sorted[0], sorted[sorted.len() - 1])
}
