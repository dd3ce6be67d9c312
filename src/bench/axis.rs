//! The axis of a chart: which figure stands where, from 0 to 1. Pure.

use super::chart::Tick;

/// An axis with its marks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Axis {
    /// Powers of ten, between two exponents.
    Powers {
        /// The exponent at 0.
        from: f64,
        /// The exponent at 1.
        to: f64,
        /// The smallest figure that has a place of its own.
        least: f64,
    },
    /// From nothing to `end`, with a mark each `step`.
    Even {
        /// The figure at 1.
        end: f64,
        /// From mark to mark.
        step: f64,
    },
}

impl Axis {
    /// Powers of ten around all figures; `None` where there are none. What is below `least` counts
    /// as that.
    pub fn powers(figures: impl Iterator<Item = f64>, least: f64) -> Option<Axis> {
        let exponents = figures.map(|figure| figure.max(least).log10());
        let (low, high) =
            exponents.fold((f64::MAX, f64::MIN), |(a, b), one| (a.min(one), b.max(one)));
        // A bar begins a bit before its first place, so that it can be seen.
        let from = (low - 0.05).floor();
        (low <= high).then(|| Axis::Powers { from, to: high.ceil().max(from + 1.0), least })
    }

    /// Even steps from nothing; `None` where no figure is more than that.
    pub fn even(figures: impl Iterator<Item = f64>) -> Option<Axis> {
        let greatest = figures.fold(0.0, f64::max);
        let step = step_below(greatest / 4.0);
        (greatest > 0.0).then(|| Axis::Even { end: (greatest / step).ceil() * step, step })
    }

    /// Powers of ten where figures are that far from each other, else even steps.
    pub fn of(figures: &[f64], least: f64) -> Option<Axis> {
        let greatest = figures.iter().copied().fold(0.0, f64::max);
        let smallest = figures.iter().copied().fold(f64::MAX, f64::min);
        match greatest >= 10.0 * smallest.max(least) {
            true => Axis::powers(figures.iter().copied(), least),
            false => Axis::even(figures.iter().copied()),
        }
    }

    /// Where a figure stands.
    pub fn place(&self, figure: f64) -> f64 {
        match self {
            Axis::Powers { from, to, least } => {
                ((figure.max(*least).log10() - from) / (to - from)).clamp(0.0, 1.0)
            }
            Axis::Even { end, .. } => (figure / end).clamp(0.0, 1.0),
        }
    }

    /// The marks, with what `label` makes of their figures.
    pub fn ticks(&self, label: impl Fn(f64) -> String) -> Vec<Tick> {
        match self {
            Axis::Powers { from, to, .. } => {
                let tick = |exponent: i32| Tick {
                    at: (f64::from(exponent) - from) / (to - from),
                    label: label(10_f64.powi(exponent)),
                };
                (*from as i32..=*to as i32).map(tick).collect()
            }
            Axis::Even { end, step } => {
                let figures = (0..=(end / step).round() as u32).map(|n| f64::from(n) * step);
                figures.map(|figure| Tick { at: figure / end, label: label(figure) }).collect()
            }
        }
    }
}

/// The greatest of 1, 2, 5, 10, 20, 50 … that is not greater.
fn step_below(figure: f64) -> f64 {
    let power = 10_f64.powf(figure.max(1.0).log10().floor());
    let factor = [5.0, 2.0].into_iter().find(|factor| factor * power <= figure);
    factor.unwrap_or(1.0) * power
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_of_ten_are_for_figures_that_are_orders_of_magnitude_apart() {
        let labels = |figures: &[f64]| {
            let axis = Axis::of(figures, 0.01).unwrap();
            axis.ticks(|figure| figure.to_string()).into_iter().map(|t| t.label).collect::<Vec<_>>()
        };
        assert_eq!(labels(&[4.0, 39.0]), ["0", "5", "10", "15", "20", "25", "30", "35", "40"]);
        assert_eq!(labels(&[4.0, 40.0]), ["1", "10", "100"]);
        assert_eq!(labels(&[0.0, 2.0]), ["0.001", "0.01", "0.1", "1", "10"]);
        assert_eq!(Axis::of(&[], 0.01), None);
        assert_eq!(Axis::of(&[0.0], 0.01), None);
    }
}
