//! Newtype ids, printed short.

use alloc::string::ToString;
use core::fmt;

/// How many of an id's bits count; the bits above name the bin that gave it.
const COUNT_BITS: u32 = 48;

macro_rules! bin_id {
    ($(#[$doc:meta])* $name:ident, $letter:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u64);

        impl $name {
            /// The `count`th id that `bin` gives.
            #[must_use]
            pub const fn new(bin: BinIndex, count: u64) -> Self {
                Self((bin.0 as u64) << COUNT_BITS | (count & ((1 << COUNT_BITS) - 1)))
            }

            /// The bin that gave this id, and so the one to ask about it.
            #[must_use]
            pub const fn bin(self) -> BinIndex {
                BinIndex((self.0 >> COUNT_BITS) as u16)
            }

            /// Reads what `Display` writes; `None` if it is not that.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                let number = text.strip_prefix($letter)?;
                let (bin, count) = number.split_once('.').unwrap_or(("0", number));
                let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
                if !plain(bin) || !plain(count) {
                    return None;
                }
                let id = Self::new(BinIndex(bin.parse().ok()?), count.parse().ok()?);
                (id.count().to_string() == count).then_some(id)
            }

            /// The whole id as one number.
            #[inline]
            pub(crate) const fn number(self) -> u64 {
                self.0
            }

            /// The place of this id among those of its bin, from 1.
            #[must_use]
            pub const fn count(self) -> u64 {
                self.0 & ((1 << COUNT_BITS) - 1)
            }
        }

        impl fmt::Display for $name {
            /// Short: the bin is named only where there may be several.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.bin().0 {
                    0 => write!(f, concat!($letter, "{}"), self.count()),
                    bin => write!(f, concat!($letter, "{}.{}"), bin, self.count()),
                }
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

bin_id! {
    /// A job: what was submitted. Given in the order of submission and never
    /// used twice. Printed `j17`, or `j2.17` for the 17th job of bin 2.
    JobId, "j"
}

impl JobId {
    #[inline]
    pub(crate) const fn from_number(number: u64) -> Self {
        Self(number)
    }
}

bin_id! {
    /// A run: one attempt of a job, with a process of its own. Never used
    /// twice. Printed `r17`, or `r2.17`.
    RunId, "r"
}

/// The place of a bin in its manager, from 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct BinIndex(u16);

impl BinIndex {
    /// The bin at this place.
    #[must_use]
    pub const fn new(place: u16) -> Self {
        Self(place)
    }

    /// The place.
    #[must_use]
    pub const fn place(self) -> usize {
        self.0 as usize
    }
}

/// A slot: room for one run. Numbered from 0 within its bin.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotId(u32);

/// A client of the bus, for as long as its connection lasts. Printed `c3`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(u64);

/// What a scheduler holds while it has a job of the bus: a fencing token. A
/// report under a lease that has ended changes nothing. Never given twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseId(u64);

/// A client of the bus over all its connections. Printed `s7`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(u64);

macro_rules! plain_id {
    ($name:ident, $number:ty, $letter:literal) => {
        impl $name {
            /// The id with this number.
            #[must_use]
            pub const fn new(number: $number) -> Self {
                Self(number)
            }

            /// The number.
            #[must_use]
            pub const fn number(self) -> $number {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($letter, "{}"), self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

plain_id!(SlotId, u32, "s");
plain_id!(ClientId, u64, "c");
plain_id!(LeaseId, u64, "l");
plain_id!(SessionId, u64, "s");

impl SessionId {
    /// Reads what `Display` writes; `None` if it is not that.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let id = Self(text.strip_prefix('s')?.parse().ok()?);
        (id.to_string() == text).then_some(id)
    }
}

impl fmt::Display for BinIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b{}", self.0)
    }
}

impl fmt::Debug for BinIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_print_short_and_name_their_bin() {
        assert_eq!(JobId::new(BinIndex::default(), 17).to_string(), "j17");
        let run = RunId::new(BinIndex::new(2), 3);
        assert_eq!(run.to_string(), "r2.3");
        assert_eq!((run.bin(), run.count()), (BinIndex::new(2), 3));
    }

    #[test]
    fn ids_are_read_as_they_are_printed() {
        for id in [JobId::new(BinIndex::default(), 17), JobId::new(BinIndex::new(3), 1)] {
            assert_eq!(JobId::parse(&id.to_string()), Some(id));
        }
        for text in ["", "j", "17", "r17", "j-1", "j+1", "j01", "j1.", "j.1", "j 1", "j1.2.3"] {
            assert_eq!(JobId::parse(text), None, "{text}");
        }
        assert_eq!(SessionId::parse("s7"), Some(SessionId::new(7)));
        assert_eq!(SessionId::parse("s+7"), None);
    }

    #[test]
    fn ids_of_one_bin_sort_by_submission() {
        let bin = BinIndex::new(5);
        assert!(JobId::new(bin, 9) < JobId::new(bin, 10));
    }
}
