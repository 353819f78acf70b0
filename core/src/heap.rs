//! A heap whose entries can be taken out by name.
//!
//! It stands beside [`Sorted`](crate::sorted::Sorted) because the exchange does
//! something else with an order than a queue does: it rarely takes what comes
//! first. Every beat puts off the timers of all leases of a scheduler, and most
//! of them are taken out before they ever come first; every job changes how much
//! room its scheduler has, and what that would evict. A heap leaves unsorted
//! what nobody looks at, a tree does not. Tried with `Sorted`, a beat took 1.1, 1.7
//! and 2.0 times as many instructions a lease with 8, 100 and 1,000 slots, a job
//! on its way through the bus 0.3, 1.0 and 4.5 % more, and a job that waits 8 to
//! 10 bytes more, since it has to know for when its timer is set.

use alloc::vec::Vec;

use crate::room::make_room;

/// A min-heap of keys, each under a small number (a handle) that it can be
/// removed by.
///
/// Every operation is O(log n), and none allocates once the heap and the
/// largest handle have been as large before. That is why it is here:
/// `alloc`'s `BinaryHeap` cannot remove from the middle, and its `BTreeMap`
/// allocates as it goes.
///
/// Every entry has four children, not two: the tree is half as high, and so
/// half as many entries move, each of which costs a write to its place
/// somewhere else in memory.
#[derive(Clone, Debug)]
pub(crate) struct IndexHeap<K> {
    heap: Vec<(K, u32)>,
    /// By handle: its index in `heap`, or `ABSENT`.
    place: Vec<u32>,
}

const ABSENT: u32 = u32::MAX;
const CHILDREN: usize = 4;

impl<K: Ord + Copy> IndexHeap<K> {
    pub(crate) const fn new() -> Self {
        Self { heap: Vec::new(), place: Vec::new() }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.heap.len()
    }

    /// The smallest key and its handle.
    #[inline]
    pub(crate) fn peek(&self) -> Option<(&K, u32)> {
        self.heap.first().map(|(key, handle)| (key, *handle))
    }

    /// Puts `key` under `handle`, in place of what was there.
    pub(crate) fn insert(&mut self, handle: u32, key: K) {
        while self.place.len() <= handle as usize {
            make_room(&mut self.place);
            self.place.push(ABSENT);
        }
        let entry = (key, handle);
        match self.index(handle) {
            Some(index) => self.settle(index, entry),
            None => {
                make_room(&mut self.heap);
                self.heap.push(entry);
                self.sift_up(self.heap.len() - 1, entry);
            }
        }
    }

    pub(crate) fn remove(&mut self, handle: u32) -> Option<K> {
        let index = self.index(handle)?;
        self.place[handle as usize] = ABSENT;
        let last = self.heap.pop()?;
        if index == self.heap.len() {
            return Some(last.0);
        }
        let removed = self.heap[index].0;
        self.settle(index, last);
        Some(removed)
    }

    /// Every entry, in no particular order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, u32)> {
        self.heap.iter().map(|(key, handle)| (key, *handle))
    }

    fn index(&self, handle: u32) -> Option<usize> {
        let place = *self.place.get(handle as usize)?;
        (place != ABSENT).then_some(place as usize)
    }

    /// Puts an entry where it belongs, above or below the hole at `index`.
    fn settle(&mut self, index: usize, entry: (K, u32)) {
        if index > 0 && entry.0 < self.heap[(index - 1) / CHILDREN].0 {
            self.sift_up(index, entry);
        } else {
            self.sift_down(index, entry);
        }
    }

    /// Moves the hole at `index` up to where the entry belongs.
    fn sift_up(&mut self, mut index: usize, entry: (K, u32)) {
        while index > 0 {
            let parent = (index - 1) / CHILDREN;
            let above = self.heap[parent];
            if above.0 <= entry.0 {
                break;
            }
            self.put(index, above);
            index = parent;
        }
        self.put(index, entry);
    }

    /// Moves the hole at `index` down to where the entry belongs.
    fn sift_down(&mut self, mut index: usize, entry: (K, u32)) {
        while let Some(child) = self.least_child(index) {
            let below = self.heap[child];
            if entry.0 <= below.0 {
                break;
            }
            self.put(index, below);
            index = child;
        }
        self.put(index, entry);
    }

    /// The child with the smallest key; `None`: there are none.
    #[inline]
    fn least_child(&self, index: usize) -> Option<usize> {
        let first = index * CHILDREN + 1;
        let children = self.heap.get(first..)?;
        if let Some([a, b, c, d]) = children.first_chunk() {
            // In pairs, and chosen by arithmetic: which child is the least is
            // as good as random, and a branch would be guessed wrong.
            let (left, right) = (usize::from(b.0 < a.0), 2 + usize::from(d.0 < c.0));
            let least = if children[right].0 < children[left].0 { right } else { left };
            return Some(first + least);
        }
        let less = |least: usize, other: usize| {
            if children[other].0 < children[least].0 { other } else { least }
        };
        (!children.is_empty()).then(|| first + (1..children.len()).fold(0, less))
    }

    fn put(&mut self, index: usize, entry: (K, u32)) {
        self.heap[index] = entry;
        self.place[entry.1 as usize] = u32::try_from(index).unwrap_or(ABSENT);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use alloc::collections::BTreeMap;

    /// Numbers that look random: a linear congruence (Knuth's MMIX constants).
    pub(crate) fn numbers(mut seed: u64) -> impl FnMut(u64) -> u64 {
        move |below| {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        }
    }

    #[test]
    fn agrees_with_a_sorted_map_through_random_use() {
        for seed in 0..50 {
            let mut next = numbers(seed);
            let mut heap = IndexHeap::new();
            let mut model = BTreeMap::new();
            for step in 0..400 {
                let handle = u32::try_from(next(40)).unwrap();
                match next(4) {
                    0 => assert_eq!(heap.remove(handle), model.remove(&handle), "seed {seed}"),
                    1 => {
                        let least = model.iter().map(|(h, k)| (*k, *h)).min();
                        if let Some((_, handle)) = least {
                            model.remove(&handle);
                        }
                        let first = heap.peek().map(|(key, handle)| (*key, handle));
                        assert_eq!(first, least, "seed {seed} step {step}");
                        if let Some((_, handle)) = first {
                            heap.remove(handle);
                        }
                    }
                    _ => {
                        let key = (next(20), step);
                        heap.insert(handle, key);
                        model.insert(handle, key);
                    }
                }
                assert_eq!(heap.len(), model.len());
                assert_eq!(heap.index(handle).is_some(), model.contains_key(&handle));
                assert_eq!(heap.peek().map(|(k, _)| *k), model.values().min().copied());
            }
        }
    }
}
