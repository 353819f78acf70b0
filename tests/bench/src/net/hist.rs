//! How long things took.

/// Counts by size: 64 steps for each power of two, so that a quantile is less
/// than 1.6 % too small.
pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

const STEPS: usize = 64;

impl Histogram {
    pub(crate) fn new() -> Self {
        Self { counts: vec![0; STEPS * 59], total: 0 }
    }

    pub(crate) fn add(&mut self, value: u64) {
        self.counts[index(value)] += 1;
        self.total += 1;
    }

    /// The value that this part of all is not above; `None` without values.
    pub(crate) fn quantile(&self, part: f64) -> Option<f64> {
        let wanted = (self.total as f64 * part).ceil() as u64;
        let mut seen = 0;
        let found = self.counts.iter().position(|count| {
            seen += count;
            *count > 0 && seen >= wanted
        });
        found.map(|index| lowest(index) as f64)
    }
}

fn index(value: u64) -> usize {
    if value < STEPS as u64 {
        return value as usize;
    }
    let power = 63 - value.leading_zeros() as usize;
    (power - 5) * STEPS + ((value >> (power - 6)) as usize & (STEPS - 1))
}

fn lowest(index: usize) -> u64 {
    if index < STEPS {
        return index as u64;
    }
    ((STEPS + index % STEPS) as u64) << (index / STEPS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_hardly_below_the_value() {
        for value in [0, 1, 63, 64, 65, 1000, 123_456_789, u64::MAX] {
            let mut histogram = Histogram::new();
            histogram.add(value);
            let found = histogram.quantile(0.5).unwrap();
            assert!(found <= value as f64 && found >= value as f64 * (1.0 - 1.0 / 64.0), "{value}");
        }
    }

    #[test]
    fn quantiles_are_in_order() {
        let mut histogram = Histogram::new();
        assert_eq!(histogram.quantile(0.5), None);
        (0..100).for_each(|value| histogram.add(value));
        assert_eq!(histogram.quantile(0.5), Some(49.0));
        assert_eq!(histogram.quantile(1.0), Some(99.0));
    }
}
