//! Whether to look on for a moment before going to sleep.
//!
//! To put a thread to sleep and wake it takes some microseconds of the
//! processor, and longer by the clock if the processor has gone to sleep as
//! well. A client that answers at once what it was sent answers sooner than
//! that: whoever still looks hears it earlier, and for less.
//!
//! When nothing comes, the moment was wasted. So after each one in vain twice as
//! many sleeps pass before the next try, up to [`MOST_PASSED`]: a bus to which
//! nobody answers at once, because its disk is at work, or because it has the
//! only processor, sleeps.

use std::time::Duration;

/// About what a sleep and a waking cost: with more, a moment in vain could cost
/// more than twice what it would have saved.
const MOMENT: Duration = Duration::from_micros(10);

/// Sleeps between two moments, at most.
const MOST_PASSED: u32 = 256;

/// What was learned from the last moments.
#[derive(Debug, Default)]
pub(super) struct Lull {
    /// Sleeps to pass before the next moment.
    to_pass: u32,
    passed_last: u32,
}

impl Lull {
    /// For how long to look on before this sleep. Whether that was worth it is
    /// to be [told](Self::ended).
    pub(super) const fn moment(&mut self) -> Option<Duration> {
        if self.to_pass > 0 {
            self.to_pass -= 1;
            return None;
        }
        Some(MOMENT)
    }

    /// The moment has ended, and something has come in or not.
    pub(super) fn ended(&mut self, worth_it: bool) {
        let next = (2 * self.passed_last).clamp(1, MOST_PASSED);
        self.passed_last = if worth_it { 0 } else { next };
        self.to_pass = self.passed_last;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sleeps until there is a moment.
    fn passed(lull: &mut Lull) -> u32 {
        (0..).find(|_| lull.moment().is_some()).unwrap()
    }

    #[test]
    fn moments_in_vain_become_rare_and_one_that_is_not_brings_them_back() {
        let mut lull = Lull::default();
        for expected in [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 256] {
            assert_eq!(passed(&mut lull), expected);
            lull.ended(false);
        }
        assert_eq!(passed(&mut lull), MOST_PASSED);
        lull.ended(true);
        assert_eq!(passed(&mut lull), 0);
        lull.ended(false);
        assert_eq!(passed(&mut lull), 1);
    }
}
