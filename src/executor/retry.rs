//! How long to queue for a lock, how long to stand back, when to give up.

use std::time::Duration;

use crate::model::units::Millis;

/// The first try queues this long; each later one twice as long, up to the budget.
const FIRST_LOCK_TIMEOUT: Millis = Millis(100);
/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// `lock_timeout` of a try, counted from 0.
pub fn lock_timeout(attempt: u32, budget: Millis) -> Millis {
    let grown = FIRST_LOCK_TIMEOUT.0.saturating_mul(1 << attempt.min(20));
    // 0 would mean no limit at all.
    Millis(grown.min(budget.0).max(1))
}

/// The pause after a try, counted from 0: twice what it queued, so that those who queued behind
/// it pass, times `jitter` (0.5 to 1.5), so that two runners do not march in step.
pub fn pause(attempt: u32, budget: Millis, jitter: f64) -> Duration {
    let queued = lock_timeout(attempt, budget).duration();
    (queued * 2).mul_f64(jitter.clamp(0.5, 1.5)).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_up_to_the_budget() {
        let budget = Millis(2_000);
        let timeouts: Vec<u64> = (0..7).map(|n| lock_timeout(n, budget).0).collect();
        assert_eq!(timeouts, [100, 200, 400, 800, 1_600, 2_000, 2_000]);
        assert_eq!(lock_timeout(u32::MAX, budget), budget);
        assert_eq!(lock_timeout(0, Millis(30)), Millis(30));
        assert_eq!(lock_timeout(0, Millis(0)), Millis(1));
        assert_eq!(pause(1, budget, 1.0), Duration::from_millis(400));
        assert!(pause(30, Millis(600_000), 1.5) <= LONGEST_PAUSE);
    }
}
