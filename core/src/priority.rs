//! How urgent a job is.

use core::fmt;

/// How urgent a job is: a LOWER number is MORE urgent, as with Unix `nice`.
///
/// `Ord` follows the number, so the most urgent priority is the smallest.
///
/// ```
/// use sched_core::Priority;
/// assert!(Priority::new(0).is_more_urgent_than(Priority::new(7)));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Priority(i32);

impl Priority {
    /// The priority with this number.
    #[must_use]
    pub const fn new(number: i32) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> i32 {
        self.0
    }

    /// Whether `self` is the more urgent of the two.
    #[must_use]
    pub const fn is_more_urgent_than(self, other: Self) -> bool {
        self.0 < other.0
    }
}

impl From<i32> for Priority {
    fn from(number: i32) -> Self {
        Self(number)
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p{}", self.0)
    }
}
