//! The order of victims.

use crate::id::RunId;
use crate::sorted::Key;

/// The place of a run among the victims: the least urgent first, and of those
/// the one that started last, whose numbers are the greatest: both are inverted.
#[derive(Clone, Copy, Debug)]
pub(super) struct VictimKey {
    run: u64,
    level: i64,
}

impl VictimKey {
    #[inline]
    pub(super) const fn new(level: i64, run: RunId) -> Self {
        Self { run: !run.number(), level: !level }
    }

    #[inline]
    pub(super) const fn level(self) -> i64 {
        !self.level
    }
}

impl Key for VictimKey {
    type Number = i128;

    #[inline]
    fn number(self) -> i128 {
        (self.level as i128) << 64 | self.run as i128
    }
}
