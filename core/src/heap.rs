//! A heap whose entries can be taken out by name.

use alloc::vec::Vec;

/// A binary min-heap of keys, each under a small number (a handle) that it can
/// be removed by.
///
/// Every operation is O(log n), and none allocates once the heap and the
/// largest handle have been as large before. That is why it is here:
/// `alloc`'s `BinaryHeap` cannot remove from the middle, and its `BTreeMap`
/// allocates as it goes.
#[derive(Clone, Debug)]
pub(crate) struct IndexHeap<K> {
    heap: Vec<(K, u32)>,
    /// By handle: its index in `heap`, or `ABSENT`.
    place: Vec<u32>,
}

const ABSENT: u32 = u32::MAX;

impl<K: Ord> IndexHeap<K> {
    pub(crate) const fn new() -> Self {
        Self { heap: Vec::new(), place: Vec::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.heap.len()
    }

    pub(crate) fn contains(&self, handle: u32) -> bool {
        self.index(handle).is_some()
    }

    /// The smallest key and its handle.
    pub(crate) fn peek(&self) -> Option<(&K, u32)> {
        self.heap.first().map(|(key, handle)| (key, *handle))
    }

    pub(crate) fn pop(&mut self) -> Option<(K, u32)> {
        let (_, handle) = self.peek()?;
        self.remove(handle).map(|key| (key, handle))
    }

    /// Puts `key` under `handle`, in place of what was there.
    pub(crate) fn insert(&mut self, handle: u32, key: K) {
        self.remove(handle);
        let needed = handle as usize + 1;
        if self.place.len() < needed {
            self.place.resize(needed, ABSENT);
        }
        self.heap.push((key, handle));
        self.sift_up(self.heap.len() - 1);
    }

    pub(crate) fn remove(&mut self, handle: u32) -> Option<K> {
        let index = self.index(handle)?;
        let (key, _) = self.heap.swap_remove(index);
        self.place[handle as usize] = ABSENT;
        if index < self.heap.len() {
            let settled = self.sift_up(index);
            self.sift_down(settled);
        }
        Some(key)
    }

    /// Every entry, in no particular order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, u32)> {
        self.heap.iter().map(|(key, handle)| (key, *handle))
    }

    fn index(&self, handle: u32) -> Option<usize> {
        let place = *self.place.get(handle as usize)?;
        (place != ABSENT).then_some(place as usize)
    }

    /// Moves the entry at `index` up to where it belongs; returns that place.
    fn sift_up(&mut self, mut index: usize) -> usize {
        while index > 0 {
            let parent = (index - 1) / 2;
            if self.heap[parent].0 <= self.heap[index].0 {
                break;
            }
            self.swap(parent, index);
            index = parent;
        }
        self.settle(index);
        index
    }

    fn sift_down(&mut self, mut index: usize) {
        loop {
            let left = 2 * index + 1;
            let right = left + 1;
            let mut least = index;
            for child in [left, right] {
                if child < self.heap.len() && self.heap[child].0 < self.heap[least].0 {
                    least = child;
                }
            }
            if least == index {
                break;
            }
            self.swap(least, index);
            index = least;
        }
        self.settle(index);
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.heap.swap(a, b);
        self.settle(a);
        self.settle(b);
    }

    fn settle(&mut self, index: usize) {
        let handle = self.heap[index].1;
        self.place[handle as usize] = u32::try_from(index).unwrap_or(ABSENT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;

    /// Numbers that look random: a linear congruence (Knuth's MMIX constants).
    fn numbers(mut seed: u64) -> impl FnMut(u64) -> u64 {
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
                        assert_eq!(heap.pop(), least, "seed {seed} step {step}");
                    }
                    _ => {
                        let key = (next(20), step);
                        heap.insert(handle, key);
                        model.insert(handle, key);
                    }
                }
                assert_eq!(heap.len(), model.len());
                assert_eq!(heap.contains(handle), model.contains_key(&handle));
                assert_eq!(heap.peek().map(|(k, _)| *k), model.values().min().copied());
            }
        }
    }
}
