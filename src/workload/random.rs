//! Randomness that depends on nothing but the seed, the table and the row. Pure.

use fastrand::Rng;

use super::data::Time;

/// The generator of one unit of one table: the same arguments, the same values, in any order.
pub fn rng(seed: u64, table: &str, unit: u64) -> Rng {
    let table = table.bytes().fold(seed, |hash, byte| mix(hash ^ u64::from(byte)));
    Rng::with_seed(mix(table ^ unit))
}

/// Turns neighbouring numbers into unrelated ones, one to one (SplitMix64's finalizer).
pub fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// One of the choices; each comes as often as its weight says.
pub fn weighted<T: Copy>(rng: &mut Rng, choices: &[(T, u32)]) -> T {
    let total = choices.iter().map(|(_, weight)| weight).sum();
    let mut left = rng.u32(0..total);
    for (choice, weight) in choices {
        match left.checked_sub(*weight) {
            Some(rest) => left = rest,
            None => return *choice,
        }
    }
    unreachable!("the weights add up to the total")
}

/// A number below `count`, small ones far more often: number 0 in one of sqrt(`count`) cases.
pub fn skewed(rng: &mut Rng, count: u64) -> u64 {
    ((rng.f64().powi(2) * count as f64) as u64).min(count - 1)
}

/// Number `index` of all the numbers below `count` in a scattered order, each exactly once; so that
/// rows of neighbours do not lie side by side. `count` must be below four billion.
pub fn scattered(index: u64, count: u64) -> u64 {
    // A prime, so without a common factor with any count but its own multiples.
    const STEP: u64 = 2_654_435_761;
    (index % count) * STEP % count
}

/// The time of row `row` of `rows` that arrive evenly over the `days` before `now`, in order.
pub fn arrival(rng: &mut Rng, row: u64, rows: u64, now: Time, days: f64) -> Time {
    now.plus_days(((row as f64 + rng.f64()) / rows as f64 - 1.0) * days)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_arguments_same_values() {
        assert_eq!(rng(1, "users", 5).u64(..), rng(1, "users", 5).u64(..));
        let mut other = [rng(2, "users", 5), rng(1, "values", 5), rng(1, "users", 6)];
        assert!(other.iter_mut().all(|other| other.u64(..) != rng(1, "users", 5).u64(..)));
    }

    #[test]
    fn weights_hold() {
        let mut rng = rng(1, "weights", 0);
        let heads = (0..10_000).filter(|_| weighted(&mut rng, &[(true, 3), (false, 1)])).count();
        assert!((7_300..7_700).contains(&heads), "{heads}");
    }

    #[test]
    fn skewed_prefers_small_numbers_and_stays_below() {
        let mut rng = rng(1, "skewed", 0);
        let numbers: Vec<u64> = (0..10_000).map(|_| skewed(&mut rng, 100)).collect();
        let first = numbers.iter().filter(|number| **number == 0).count();
        assert!((900..1_100).contains(&first), "{first}");
        assert!(numbers.iter().all(|number| *number < 100));
    }

    #[test]
    fn scattered_is_one_to_one() {
        for count in [1, 2, 10, 1_000, 1_024] {
            let mut numbers: Vec<u64> = (0..count).map(|i| scattered(i, count)).collect();
            numbers.sort_unstable();
            assert_eq!(numbers, (0..count).collect::<Vec<_>>());
        }
    }
}
