//! Strings as the system takes them: bytes with a zero at the end, by address.

use std::ffi::c_char;
use std::marker::PhantomData;
use std::ptr;

/// Strings in one piece of memory, in the order in which they came.
#[derive(Clone, Debug, Default)]
pub(super) struct Strings {
    bytes: Vec<u8>,
    /// Where each begins.
    starts: Vec<usize>,
}

/// There is a zero in it, which would be its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct ZeroInside;

/// The addresses of strings, with a null at their end.
#[derive(Debug)]
pub(super) struct Table<'a> {
    addresses: Vec<*const c_char>,
    strings: PhantomData<&'a Strings>,
}

impl Strings {
    /// Adds a string that consists of these parts.
    pub(super) fn push(&mut self, parts: &[&[u8]]) -> Result<(), ZeroInside> {
        if parts.iter().any(|part| part.contains(&0)) {
            return Err(ZeroInside);
        }
        self.starts.push(self.bytes.len());
        parts.iter().for_each(|part| self.bytes.extend_from_slice(part));
        self.bytes.push(0);
        Ok(())
    }

    /// Each, without its zero.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.with_zeros().map(|string| &string[..string.len() - 1])
    }

    fn with_zeros(&self) -> impl Iterator<Item = &[u8]> {
        let ends = self.starts.iter().skip(1).copied().chain([self.bytes.len()]);
        self.starts.iter().zip(ends).map(|(start, end)| &self.bytes[*start..end])
    }
}

impl<'a> Table<'a> {
    /// With room for so many.
    pub(super) fn with_capacity(strings: usize) -> Self {
        let mut addresses = Vec::with_capacity(strings + 1);
        addresses.push(ptr::null());
        Self { addresses, strings: PhantomData }
    }

    /// Of all of them.
    pub(super) fn of(strings: &'a Strings) -> Self {
        let mut table = Self::with_capacity(strings.starts.len());
        table.add(strings, |_| true);
        table
    }

    /// Adds those that `wanted` wants.
    pub(super) fn add(&mut self, strings: &'a Strings, wanted: impl Fn(&[u8]) -> bool) {
        // The null comes last.
        self.addresses.pop();
        let wanted = strings.with_zeros().filter(|it| wanted(&it[..it.len() - 1]));
        self.addresses.extend(wanted.map(|string| string.as_ptr().cast()));
        self.addresses.push(ptr::null());
    }

    /// How many there are, without the null.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.addresses.len() - 1
    }

    /// As `execve` wants it, for as long as this lives.
    pub(super) fn as_ptr(&self) -> *const *const c_char {
        self.addresses.as_ptr()
    }
}

#[cfg(test)]
impl Strings {
    /// Of these, which have no zero in them.
    pub(super) fn of(all: &[&str]) -> Self {
        let mut strings = Self::default();
        all.iter().for_each(|it| strings.push(&[it.as_bytes()]).unwrap());
        strings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_ends_with_a_zero_and_none_has_one_inside() {
        let mut strings = Strings::of(&["", "ab"]);
        assert_eq!(strings.push(&[b"c", b"d"]), Ok(()));
        assert_eq!(strings.push(&[b"e", b"\0"]), Err(ZeroInside));
        assert_eq!(strings.iter().collect::<Vec<_>>(), [&b""[..], b"ab", b"cd"]);
        assert_eq!(strings.bytes, b"\0ab\0cd\0");
    }

    #[test]
    fn a_table_has_the_wanted_ones_and_a_null_at_its_end() {
        let (one, other) = (Strings::of(&["a", "b", "c"]), Strings::of(&["d"]));
        let mut table = Table::with_capacity(4);
        assert_eq!(table.addresses, [ptr::null()]);
        table.add(&one, |it| it != b"b");
        table.add(&other, |_| true);
        let at = |strings: &Strings, index: usize| strings.bytes[index..].as_ptr().cast();
        assert_eq!(table.addresses, [at(&one, 0), at(&one, 4), at(&other, 0), ptr::null()]);
        assert_eq!(Table::of(&one).addresses.len(), 4);
    }
}
