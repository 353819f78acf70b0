//! How many jobs there are of each priority, in few numbers.

use crate::priority::Priority;

/// Counts of jobs by priority.
///
/// There may be as many priorities as jobs, and a monitor keeps a series for
/// each that it was told of. So these are few and fixed: each of the most
/// urgent ten from 0 by itself, and the others by their number of digits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ByPriority {
    counts: [u64; Self::NAMES.len()],
}

impl ByPriority {
    /// Which priorities are counted together, the most urgent first.
    pub const NAMES: [&str; 14] =
        ["negative", "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10-99", "100-999", "1000+"];

    /// One without jobs.
    #[must_use]
    pub const fn new() -> Self {
        Self { counts: [0; Self::NAMES.len()] }
    }

    /// How many jobs there are of each.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        Self::NAMES.into_iter().zip(self.counts)
    }

    pub(super) const fn add(&mut self, priority: Priority) {
        self.counts[Self::place(priority)] += 1;
    }

    pub(super) const fn remove(&mut self, priority: Priority) {
        self.counts[Self::place(priority)] -= 1;
    }

    const fn place(priority: Priority) -> usize {
        match priority.number() {
            ..0 => 0,
            number @ 0..=9 => 1 + number as usize,
            10..=99 => 11,
            100..=999 => 12,
            1000.. => 13,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn every_priority_is_counted_under_its_name() {
        let mut jobs = ByPriority::new();
        for number in [i32::MIN, -1, 0, 9, 10, 99, 100, 999, 1000, i32::MAX, 7] {
            jobs.add(Priority::new(number));
        }
        jobs.remove(Priority::new(7));
        let some: Vec<_> = jobs.iter().filter(|(_, count)| *count > 0).collect();
        let all = [("negative", 2), ("0", 1), ("9", 1), ("10-99", 2), ("100-999", 2), ("1000+", 2)];
        assert_eq!(some, all);
    }
}
