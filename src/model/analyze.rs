//! What ANALYZE believes of a column whose equal values lie side by side. Pure.
//!
//! ANALYZE reads as many pages as it wants rows, and takes its rows from these alone
//! (`acquire_sample_rows` in `analyze.c`). Of a table with more pages than that, rows of one page
//! are in the sample together more often than by chance; so values with all their rows on one page
//! look as if they had many more of them, and the estimate of distinct values (Haas and Stokes, in
//! `compute_scalar_stats`) comes out too low. It stops growing with the table.

/// How many rows ANALYZE takes of a table whose greatest statistics target this is
/// (`std_typanalyze`).
pub fn sample_rows(target: u32) -> f64 {
    f64::from(target) * 300.0
}

/// Rows and pages of a table, and how many rows ANALYZE takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampled {
    /// Rows of the table.
    pub rows: f64,
    /// Its pages.
    pub pages: f64,
    /// Rows that the sample has at most.
    pub sample_rows: f64,
}

impl Sampled {
    /// How many distinct values ANALYZE expects to find where each has `duplicates` rows (1 or
    /// more), all on one page.
    fn distinct(self, duplicates: f64) -> f64 {
        let rows_read = self.rows * (self.sample_rows / self.pages).min(1.0);
        let taken = self.sample_rows.min(rows_read);
        let share = taken / rows_read;
        let values_read = rows_read / duplicates;
        let found = values_read * (1.0 - (1.0 - share).powf(duplicates));
        let found_once = values_read * duplicates * share * (1.0 - share).powf(duplicates - 1.0);
        let seen_twice = taken - found_once + found_once * taken / self.rows;
        (taken * found / seen_twice).clamp(found, self.rows)
    }

    /// How many rows each value has where ANALYZE found `distinct` ones; `None` where they are more
    /// than half a page, or one.
    fn duplicates(self, distinct: f64) -> Option<f64> {
        const STEPS: usize = 50;
        let (mut low, mut high) = (1.0, self.rows / self.pages / 2.0);
        let is_between = high > low && self.distinct(high) < distinct && distinct < self.rows;
        if !is_between {
            return None;
        }
        for _ in 0..STEPS {
            let middle = f64::midpoint(low, high);
            if self.distinct(middle) > distinct {
                low = middle;
            } else {
                high = middle;
            }
        }
        Some(high)
    }

    /// How many of `distinct` values ANALYZE would tell of a table with `factor` times the rows;
    /// `None` where values do not lie as this reckons with.
    pub fn distinct_after(self, distinct: f64, factor: f64) -> Option<f64> {
        let duplicates = self.duplicates(distinct)?;
        let larger = Sampled { rows: self.rows * factor, pages: self.pages * factor, ..self };
        Some(larger.distinct(duplicates))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn analyze_finds_too_few_clustered_values_in_large_tables() {
        // 100,000 users with four rows each; then 10 million, where ANALYZE said 1.11 million.
        let small = Sampled { rows: 400_000.0, pages: 3_044.0, sample_rows: 30_000.0 };
        let told = small.distinct_after(99_319.0, 100.0).unwrap();
        assert!((1.0e6..1.4e6).contains(&told), "{told}");
        // All pages are read: it is right.
        let told = small.distinct_after(99_319.0, 5.0).unwrap();
        assert!((490_000.0..500_000.0).contains(&told), "{told}");
        // As it was.
        assert!((small.distinct_after(99_319.0, 1.0).unwrap() - 99_319.0).abs() < 1.0);
    }

    #[test]
    fn unique_values_and_few_ones_are_not_reckoned_with() {
        let table = Sampled { rows: 400_000.0, pages: 3_044.0, sample_rows: 30_000.0 };
        assert_eq!(table.distinct_after(400_000.0, 100.0), None);
        assert_eq!(table.distinct_after(300.0, 100.0), None);
    }
}
