//! Statistics of repeated measurements: samples in, numbers out. Pure: it never measures.

use std::time::Duration;

pub mod axis;
pub mod chart;
pub mod compare;
pub mod footprint;
pub mod histogram;
pub mod ingest;
pub mod outcome;
pub mod tally;

/// The middle sample, or the mean of the two in the middle; zero where there is none.
pub fn median(samples: &[Duration]) -> Duration {
    let mut sorted = samples.to_vec();
    sorted.sort();
    let (low, high) = (sorted.len().saturating_sub(1) / 2, sorted.len() / 2);
    match (sorted.get(low), sorted.get(high)) {
        (Some(low), Some(high)) => (*low + *high) / 2,
        (None, _) | (_, None) => Duration::ZERO,
    }
}

/// How many times as fast: "6.1x", "36x"; below one it became slower. Nothing is as fast as
/// nothing.
pub fn speed_up(before: Duration, after: Duration) -> String {
    if after.is_zero() {
        return "-".to_string();
    }
    let ratio = before.as_secs_f64() / after.as_secs_f64();
    let digits = usize::from(ratio < 9.95);
    format!("{ratio:.digits$}x")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        let median_of = |ms: &[u64]| {
            median(&ms.iter().map(|ms| Duration::from_millis(*ms)).collect::<Vec<_>>())
        };
        assert_eq!(median_of(&[]), Duration::ZERO);
        assert_eq!(median_of(&[7]), Duration::from_millis(7));
        assert_eq!(median_of(&[900, 1, 3]), Duration::from_millis(3));
        assert_eq!(median_of(&[4, 1, 3, 2]), Duration::from_micros(2_500));
    }

    #[test]
    fn ratios_have_the_digits_that_matter() {
        let ms = Duration::from_millis;
        assert_eq!(speed_up(ms(114), ms(19)), "6.0x");
        assert_eq!(speed_up(ms(424), ms(12)), "35x");
        assert_eq!(speed_up(ms(5), ms(10)), "0.5x");
        assert_eq!(speed_up(ms(1), Duration::ZERO), "-");
    }
}
