//! From ids to small numbers.

use alloc::vec;
use alloc::vec::Vec;

/// The numbers (handles) of records, found by the ids of those.
///
/// A table with open addressing. It allocates when it grows and never else,
/// which is why it is here: `alloc` has no hash map, and its `BTreeMap`
/// allocates as it goes, and takes O(log n) steps through memory.
///
/// A cell has the lower half of an id beside its handle, so that what moves up
/// or into a larger table is not looked at, wherever it may be. Which whole id a
/// handle has is its owner's to say, who is about to look at that record anyway.
///
/// Ids are counted, not chosen by anybody outside. Multiplied by the golden
/// ratio, as Fibonacci hashing does (Knuth, The Art of Computer Programming,
/// vol. 3, 6.4), those that follow each other lie far apart.
#[derive(Clone, Debug)]
pub(crate) struct Index {
    /// A power of two of them, at most three quarters of them taken; or none at all.
    cells: Vec<Cell>,
    /// What leaves of 32 bits as many as there are cells for.
    shift: u32,
    len: usize,
}

#[derive(Clone, Copy, Debug)]
struct Cell {
    half_id: u32,
    handle: u32,
}

const EMPTY: u32 = u32::MAX;
const EMPTY_CELL: Cell = Cell { half_id: 0, handle: EMPTY };
const FEWEST_CELLS: usize = 16;
/// 2^32 divided by the golden ratio.
const GOLDEN: u32 = 0x9e37_79b9;

impl Index {
    pub(crate) const fn new() -> Self {
        Self { cells: Vec::new(), shift: 31, len: 0 }
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// The handle whose id, by `id_of`, is this one.
    #[inline]
    pub(crate) fn find(&self, id: u64, id_of: impl Fn(u32) -> u64) -> Option<u32> {
        self.at(id, id_of).map(|at| self.cells[at].handle)
    }

    /// Adds a handle, whose id is not there yet.
    #[inline]
    pub(crate) fn insert(&mut self, id: u64, handle: u32) {
        if (self.len + 1) * 4 > self.cells.len() * 3 {
            self.grow();
        }
        self.put(Cell { half_id: id as u32, handle });
        self.len += 1;
    }

    /// Removes the handle whose id, by `id_of`, is this one, and returns it.
    #[inline]
    pub(crate) fn remove(&mut self, id: u64, id_of: impl Fn(u32) -> u64) -> Option<u32> {
        let mut hole = self.at(id, id_of)?;
        let removed = self.cells[hole].handle;
        // What lies behind the hole moves up, unless it would come to lie
        // before its home.
        let mut at = self.after(hole);
        while self.cells[at].handle != EMPTY {
            let moved = self.cells[at];
            let home = self.home(moved.half_id);
            if self.distance(home, at) >= self.distance(hole, at) {
                self.cells[hole] = moved;
                hole = at;
            }
            at = self.after(at);
        }
        self.cells[hole] = EMPTY_CELL;
        self.len -= 1;
        Some(removed)
    }

    /// Every handle, in no particular order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> {
        self.cells.iter().map(|cell| cell.handle).filter(|handle| *handle != EMPTY)
    }

    /// The cell of an id.
    #[inline]
    fn at(&self, id: u64, id_of: impl Fn(u32) -> u64) -> Option<usize> {
        let half_id = id as u32;
        let mut at = self.home(half_id);
        loop {
            let cell = *self.cells.get(at)?;
            if cell.handle == EMPTY {
                return None;
            }
            if cell.half_id == half_id && id_of(cell.handle) == id {
                return Some(at);
            }
            at = self.after(at);
        }
    }

    #[cold]
    fn grow(&mut self) {
        let doubled = (self.cells.len() * 2).max(FEWEST_CELLS);
        self.shift = 32 - doubled.trailing_zeros();
        let old = core::mem::replace(&mut self.cells, vec![EMPTY_CELL; doubled]);
        old.into_iter().filter(|cell| cell.handle != EMPTY).for_each(|cell| self.put(cell));
    }

    #[inline]
    fn put(&mut self, cell: Cell) {
        let mut at = self.home(cell.half_id);
        while self.cells[at].handle != EMPTY {
            at = self.after(at);
        }
        self.cells[at] = cell;
    }

    #[inline]
    const fn home(&self, half_id: u32) -> usize {
        (half_id.wrapping_mul(GOLDEN) >> self.shift) as usize
    }

    #[inline]
    fn after(&self, at: usize) -> usize {
        (at + 1) & (self.cells.len() - 1)
    }

    /// How far it is from one cell to another, going forward.
    #[inline]
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
                        index.insert(id, handle);
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
