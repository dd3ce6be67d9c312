//! How often which latency was seen: any number of samples in a few kilobytes.

use std::time::Duration;

/// Each power of two is cut into so many classes, so a class is at most 1/128 wide.
const CLASSES_PER_OCTAVE: u64 = 1 << CLASS_BITS;
const CLASS_BITS: u32 = 7;

/// Samples by class. A percentile is off by at most 0.4 %; least, greatest and mean are exact.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Histogram {
    /// How many samples are in each class; as long as the greatest sample needs.
    classes: Vec<u64>,
    count: u64,
    total_ns: u128,
    least_ns: u64,
    greatest_ns: u64,
}

impl Histogram {
    /// Adds a sample.
    pub fn add(&mut self, sample: Duration) {
        let ns = u64::try_from(sample.as_nanos()).unwrap_or(u64::MAX);
        let class = class_of(ns);
        if self.classes.len() <= class {
            self.classes.resize(class + 1, 0);
        }
        self.classes[class] += 1;
        self.least_ns = if self.count == 0 { ns } else { self.least_ns.min(ns) };
        self.greatest_ns = self.greatest_ns.max(ns);
        self.count += 1;
        self.total_ns += u128::from(ns);
    }

    /// Adds all samples of another one.
    pub fn merge(&mut self, other: &Histogram) {
        if other.count == 0 {
            return;
        }
        if self.classes.len() < other.classes.len() {
            self.classes.resize(other.classes.len(), 0);
        }
        for (class, count) in self.classes.iter_mut().zip(&other.classes) {
            *class += count;
        }
        let least = if self.count == 0 { u64::MAX } else { self.least_ns };
        self.least_ns = least.min(other.least_ns);
        self.greatest_ns = self.greatest_ns.max(other.greatest_ns);
        self.count += other.count;
        self.total_ns += other.total_ns;
    }

    /// How many samples there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The sample that `percent` of all do not exceed (nearest rank); zero without samples.
    pub fn percentile(&self, percent: f64) -> Duration {
        let rank = (percent / 100.0 * self.count as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (class, count) in self.classes.iter().enumerate() {
            seen += count;
            if seen >= rank {
                let ns = middle_of(class).clamp(self.least_ns, self.greatest_ns);
                return Duration::from_nanos(ns);
            }
        }
        Duration::from_nanos(self.greatest_ns)
    }

    /// The mean; zero without samples.
    pub fn mean(&self) -> Duration {
        let mean = self.total_ns.checked_div(u128::from(self.count)).unwrap_or(0);
        Duration::from_nanos(u64::try_from(mean).unwrap_or(u64::MAX))
    }

    /// The least sample; zero without samples.
    pub fn least(&self) -> Duration {
        Duration::from_nanos(self.least_ns)
    }

    /// The greatest sample; zero without samples.
    pub fn greatest(&self) -> Duration {
        Duration::from_nanos(self.greatest_ns)
    }
}

/// Numbers below the first full octave have a class each; above, the first bits decide.
fn class_of(ns: u64) -> usize {
    let octave = u64::from(ns.max(1).ilog2().saturating_sub(CLASS_BITS));
    usize::try_from(octave * CLASSES_PER_OCTAVE + (ns >> octave)).unwrap_or(usize::MAX)
}

/// The number in the middle of a class.
fn middle_of(class: usize) -> u64 {
    let class = class as u64;
    let octave = (class / CLASSES_PER_OCTAVE).saturating_sub(1);
    let least = (class - octave * CLASSES_PER_OCTAVE) << octave;
    least + ((1_u64 << octave) - 1) / 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(samples: &[u64]) -> Histogram {
        let mut histogram = Histogram::default();
        samples.iter().for_each(|ns| histogram.add(Duration::from_nanos(*ns)));
        histogram
    }

    /// The nearest rank, from sorted samples.
    fn reference(samples: &[u64], percent: f64) -> u64 {
        let mut sorted = samples.to_vec();
        sorted.sort_unstable();
        let rank = (percent / 100.0 * sorted.len() as f64).ceil().max(1.0) as usize;
        sorted[rank - 1]
    }

    /// From nanoseconds to hours, as many small as large ones.
    fn samples() -> impl Strategy<Value = Vec<u64>> {
        let sample = (0_u32..45, any::<u64>()).prop_map(|(bits, n)| n & ((1 << bits) - 1));
        prop::collection::vec(sample, 1..300)
    }

    proptest! {
        #[test]
        fn percentiles_are_those_of_the_sorted_samples(
            samples in samples(), percent in 0.0..=100.0_f64
        ) {
            let exact = reference(&samples, percent);
            let found = of(&samples).percentile(percent).as_nanos() as u64;
            prop_assert!(found.abs_diff(exact) * 250 <= exact, "{found} for {exact}");
        }

        #[test]
        fn percentiles_never_fall(
            samples in samples(), low in 0.0..=100.0_f64, by in 0.0..50.0_f64
        ) {
            let histogram = of(&samples);
            let high = (low + by).min(100.0);
            prop_assert!(histogram.percentile(low) <= histogram.percentile(high));
            prop_assert!(histogram.percentile(0.0) >= histogram.least());
            prop_assert!(histogram.percentile(100.0) <= histogram.greatest());
        }

        #[test]
        fn it_does_not_matter_who_saw_which_sample(samples in samples(), at in 0_usize..300) {
            let (left, right) = samples.split_at(at.min(samples.len()));
            let mut merged = of(left);
            merged.merge(&of(right));
            prop_assert_eq!(merged, of(&samples));
        }

        #[test]
        fn least_greatest_and_mean_are_exact(samples in samples()) {
            let histogram = of(&samples);
            let total: u128 = samples.iter().map(|ns| u128::from(*ns)).sum();
            prop_assert_eq!(histogram.mean().as_nanos(), total / samples.len() as u128);
            prop_assert_eq!(histogram.least().as_nanos() as u64, *samples.iter().min().unwrap());
            prop_assert_eq!(histogram.greatest().as_nanos() as u64, *samples.iter().max().unwrap());
        }
    }

    #[test]
    fn a_class_holds_its_own_middle() {
        for class in 0..4_000 {
            assert_eq!(class_of(middle_of(class)), class);
        }
    }

    #[test]
    fn nothing_and_the_longest_time() {
        let nothing = Histogram::default();
        assert_eq!(nothing.percentile(50.0), Duration::ZERO);
        assert_eq!((nothing.mean(), nothing.least()), (Duration::ZERO, Duration::ZERO));
        assert_eq!(of(&[u64::MAX]).percentile(99.0).as_nanos() as u64, u64::MAX);
    }
}
