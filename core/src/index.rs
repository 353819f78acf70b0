//! From ids to small numbers.

use alloc::vec;
use alloc::vec::Vec;

/// The numbers (handles) of records, found by the ids of those.
///
/// A table with open addressing that keeps the handles alone, 4 bytes each:
/// which id a handle has is its owner's to say, and the owner is about to look
/// at that record anyway. It allocates when it grows and never else, which is
/// why it is here: `alloc` has no hash map, and its `BTreeMap` allocates as it
/// goes, and takes O(log n) steps through memory.
///
/// Ids are counted, not chosen by anybody outside. Multiplied by the golden
/// ratio, as Fibonacci hashing does (Knuth, The Art of Computer Programming,
/// vol. 3, 6.4), those that follow each other lie far apart.
#[derive(Clone, Debug)]
pub(crate) struct Index {
    /// A power of two of them, at most half of them taken; or none at all.
    cells: Vec<u32>,
    len: usize,
}

const EMPTY: u32 = u32::MAX;
const FEWEST_CELLS: usize = 16;
/// 2^64 divided by the golden ratio.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

impl Index {
    pub(crate) const fn new() -> Self {
        Self { cells: Vec::new(), len: 0 }
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// The handle whose id, by `id_of`, is this one.
    #[inline]
    pub(crate) fn find(&self, id: u64, id_of: impl Fn(u32) -> u64) -> Option<u32> {
        let mut at = self.home(id);
        loop {
            let handle = *self.cells.get(at)?;
            if handle == EMPTY {
                return None;
            }
            if id_of(handle) == id {
                return Some(handle);
            }
            at = self.after(at);
        }
    }

    /// Adds a handle, whose id is not there yet. `id_of` must know the others.
    #[inline]
    pub(crate) fn insert(&mut self, id: u64, handle: u32, id_of: impl Fn(u32) -> u64) {
        if (self.len + 1) * 2 > self.cells.len() {
            self.grow(id_of);
        }
        self.put(id, handle);
        self.len += 1;
    }

    /// Removes the handle that has this id, and returns it. `id_of` must know
    /// the others.
    #[inline]
    pub(crate) fn remove(&mut self, id: u64, id_of: impl Fn(u32) -> u64) -> Option<u32> {
        let mut hole = self.home(id);
        let removed = loop {
            match *self.cells.get(hole)? {
                EMPTY => return None,
                found if id_of(found) == id => break found,
                _ => hole = self.after(hole),
            }
        };
        // What lies behind the hole moves up, unless it would come to lie
        // before its home.
        let mut at = self.after(hole);
        while self.cells[at] != EMPTY {
            let moved = self.cells[at];
            let home = self.home(id_of(moved));
            if self.distance(home, at) >= self.distance(hole, at) {
                self.cells[hole] = moved;
                hole = at;
            }
            at = self.after(at);
        }
        self.cells[hole] = EMPTY;
        self.len -= 1;
        Some(removed)
    }

    /// Every handle, in no particular order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> {
        self.cells.iter().copied().filter(|handle| *handle != EMPTY)
    }

    #[cold]
    fn grow(&mut self, id_of: impl Fn(u32) -> u64) {
        let doubled = (self.cells.len() * 2).max(FEWEST_CELLS);
        let old = core::mem::replace(&mut self.cells, vec![EMPTY; doubled]);
        for handle in old.into_iter().filter(|handle| *handle != EMPTY) {
            self.put(id_of(handle), handle);
        }
    }

    fn put(&mut self, id: u64, handle: u32) {
        let mut at = self.home(id);
        while self.cells[at] != EMPTY {
            at = self.after(at);
        }
        self.cells[at] = handle;
    }

    fn home(&self, id: u64) -> usize {
        let bits = self.cells.len().trailing_zeros();
        (id.wrapping_mul(GOLDEN) >> (64 - bits)) as usize
    }

    fn after(&self, at: usize) -> usize {
        (at + 1) & (self.cells.len() - 1)
    }

    /// How far it is from one cell to another, going forward.
    fn distance(&self, from: usize, to: usize) -> usize {
        to.wrapping_sub(from) & (self.cells.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heap::tests::numbers;
    use alloc::collections::BTreeMap;

    #[test]
    fn agrees_with_a_sorted_map_through_random_use() {
        for seed in 0..50 {
            let mut next = numbers(seed);
            let mut index = Index::new();
            let mut ids: Vec<u64> = Vec::new();
            let mut model = BTreeMap::new();
            for step in 0..600 {
                let id = next(90) << (8 * (seed % 6));
                match model.remove(&id) {
                    Some(handle) => {
                        let removed = index.remove(id, |other| ids[other as usize]);
                        assert_eq!(removed, Some(handle), "seed {seed} step {step}");
                    }
                    None => {
                        let handle = u32::try_from(ids.len()).unwrap();
                        ids.push(id);
                        index.insert(id, handle, |other| ids[other as usize]);
                        model.insert(id, handle);
                    }
                }
                let mut all: Vec<u32> = index.iter().collect();
                all.sort_unstable();
                let mut expected: Vec<u32> = model.values().copied().collect();
                expected.sort_unstable();
                assert_eq!((index.len(), all), (model.len(), expected), "seed {seed} step {step}");
                for id in (0..90).map(|id| id << (8 * (seed % 6))) {
                    let found = index.find(id, |handle| ids[handle as usize]);
                    assert_eq!(found, model.get(&id).copied(), "seed {seed} step {step} id {id}");
                }
            }
        }
    }

    #[test]
    fn finds_nothing_where_nothing_is() {
        let mut index = Index::new();
        assert_eq!(index.find(7, |_| 7), None);
        assert_eq!(index.remove(7, |_| 7), None);
        assert_eq!(index.len(), 0);
    }
}
