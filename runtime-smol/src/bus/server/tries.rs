//! Whether to try what pays only sometimes.

/// What is passed between two tries, at most.
const MOST_PASSED: u32 = 256;

/// What was learned from the last tries: after each one in vain, twice as many
/// occasions are passed before the next, and after one that was not, none.
#[derive(Debug, Default)]
pub(super) struct Tries {
    to_pass: u32,
    passed_last: u32,
}

impl Tries {
    /// Whether to try it on this occasion. What came of it is to be
    /// [told](Self::ended).
    pub(super) const fn is_time(&mut self) -> bool {
        if self.to_pass > 0 {
            self.to_pass -= 1;
            return false;
        }
        true
    }

    /// A try has ended, and was worth it or not.
    pub(super) fn ended(&mut self, worth_it: bool) {
        let next = (2 * self.passed_last).clamp(1, MOST_PASSED);
        self.passed_last = if worth_it { 0 } else { next };
        self.to_pass = self.passed_last;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Occasions until there is a try.
    fn passed(tries: &mut Tries) -> u32 {
        (0..).find(|_| tries.is_time()).unwrap()
    }

    #[test]
    fn tries_in_vain_become_rare_and_one_that_is_not_brings_them_back() {
        let mut tries = Tries::default();
        for expected in [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 256] {
            assert_eq!(passed(&mut tries), expected);
            tries.ended(false);
        }
        assert_eq!(passed(&mut tries), MOST_PASSED);
        tries.ended(true);
        assert_eq!(passed(&mut tries), 0);
        tries.ended(false);
        assert_eq!(passed(&mut tries), 1);
    }
}
