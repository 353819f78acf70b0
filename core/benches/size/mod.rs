//! How full what is measured is.

use std::fmt;

/// How many jobs wait, and how many slots are taken.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub(crate) pending: usize,
    pub(crate) slots: usize,
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} pending, {} slots", self.pending, self.slots)
    }
}
