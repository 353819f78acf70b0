//! How long things took, in few numbers.

use crate::time::Duration;

/// Counts of times by size.
///
/// It is small and has a fixed size, and to add to it costs a search in
/// [`BOUNDS_MS`](Self::BOUNDS_MS).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Histogram {
    counts: [u64; Self::BOUNDS_MS.len() + 1],
    sum_us: u64,
}

impl Histogram {
    /// The greatest time of each size, in milliseconds; the last size, which is
    /// not named here, has none.
    pub const BOUNDS_MS: [u64; 16] =
        [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 120_000, 600_000];

    /// One without times.
    #[must_use]
    pub const fn new() -> Self {
        Self { counts: [0; Self::BOUNDS_MS.len() + 1], sum_us: 0 }
    }

    /// Counts a time.
    pub fn add(&mut self, time: Duration) {
        let us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let size = Self::BOUNDS_MS.partition_point(|bound| *bound * 1000 < us);
        self.counts[size] += 1;
        self.sum_us = self.sum_us.saturating_add(us);
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

    /// All times together.
    #[must_use]
    pub const fn sum(&self) -> Duration {
        Duration::from_micros(self.sum_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_own_size_and_nothing_is_too_long() {
        let mut histogram = Histogram::new();
        for us in [0, 1000, 1001, 600_000_000, 600_000_001] {
            histogram.add(Duration::from_micros(us));
        }
        assert_eq!(histogram.sum(), Duration::from_micros(1_200_002_002));
        histogram.add(Duration::MAX);
        let counts = histogram.counts();
        assert_eq!((counts[0], counts[1], counts[15], counts[16]), (2, 1, 1, 2));
        assert_eq!(histogram.sum(), Duration::from_micros(u64::MAX));
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
        assert_eq!((histogram.quantile_ms(0.0), histogram.quantile_ms(0.25)), (Some(2), Some(5)));
        histogram.add(Duration::MAX);
        assert_eq!(histogram.quantile_ms(0.99), Some(600_000));
    }
}
