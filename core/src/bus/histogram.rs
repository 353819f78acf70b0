//! How long things took, in few numbers.

use crate::time::Duration;

/// Counts of times by size.
///
/// It is small and has a fixed size, and to add to it costs a search in
/// [`BOUNDS_MS`](Self::BOUNDS_MS).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Histogram {
    counts: [u64; Self::BOUNDS_MS.len() + 1],
    sum_ms: u64,
}

impl Histogram {
    /// The greatest time of each size, in milliseconds; the last size, which is
    /// not named here, has none.
    pub const BOUNDS_MS: [u64; 14] =
        [5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 120_000, 600_000];

    /// One without times.
    #[must_use]
    pub const fn new() -> Self {
        Self { counts: [0; Self::BOUNDS_MS.len() + 1], sum_ms: 0 }
    }

    /// Counts a time.
    pub fn add(&mut self, time: Duration) {
        let ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let size = Self::BOUNDS_MS.partition_point(|bound| *bound < ms);
        self.counts[size] += 1;
        self.sum_ms = self.sum_ms.saturating_add(ms);
    }

    /// How many times of each size there were; of the last, those over all
    /// bounds.
    #[must_use]
    pub const fn counts(&self) -> &[u64; Self::BOUNDS_MS.len() + 1] {
        &self.counts
    }

    /// The time that this share of them does not exceed, in milliseconds;
    /// `None`: there are none.
    ///
    /// What is between two bounds is taken to be spread evenly, as in
    /// Prometheus' `histogram_quantile`; what is over all bounds is taken to be
    /// the last of them.
    #[must_use]
    pub fn quantile_ms(&self, share: f64) -> Option<u64> {
        let all: u64 = self.counts.iter().sum();
        let rank = share * all as f64;
        let (mut below, mut lower) = (0, 0);
        for (count, bound) in self.counts.iter().zip(Self::BOUNDS_MS) {
            if *count > 0 && (below + count) as f64 >= rank {
                let part = (rank - below as f64) / *count as f64;
                return Some(lower + ((bound - lower) as f64 * part) as u64);
            }
            (below, lower) = (below + count, bound);
        }
        (all > 0).then_some(lower)
    }

    /// All times together, in milliseconds.
    #[must_use]
    pub const fn sum_ms(&self) -> u64 {
        self.sum_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_own_size_and_nothing_is_too_long() {
        let mut histogram = Histogram::new();
        for ms in [0, 5, 6, 600_000, 600_001] {
            histogram.add(Duration::from_millis(ms));
        }
        histogram.add(Duration::MAX);
        let counts = histogram.counts();
        assert_eq!((counts[0], counts[1], counts[13], counts[14]), (2, 1, 1, 2));
        assert_eq!(histogram.sum_ms(), u64::MAX);
    }

    #[test]
    fn a_quantile_lies_where_its_share_of_the_times_does() {
        let mut histogram = Histogram::new();
        assert_eq!(histogram.quantile_ms(0.5), None);
        for ms in [3, 200, 200, 200] {
            histogram.add(Duration::from_millis(ms));
        }
        // The second of the three between 100 and 250.
        assert_eq!(histogram.quantile_ms(0.75), Some(200));
        assert_eq!((histogram.quantile_ms(0.0), histogram.quantile_ms(0.25)), (Some(0), Some(5)));
        histogram.add(Duration::MAX);
        assert_eq!(histogram.quantile_ms(0.99), Some(600_000));
    }
}
