//! Handles in the order of their keys.

mod node;
#[cfg(test)]
mod tests;

use alloc::vec::Vec;

use self::node::{FEW, Nodes, ROOM};

/// Small numbers (handles), each under a key that no other has, in the order of
/// the keys: a B+ tree.
///
/// Every operation is O(log n), and none allocates unless more nodes are needed
/// than ever before. What is at the front is at hand: to look at the least key,
/// to take it, and to put a lesser one before it goes down no tree. So a queue
/// of a million is as fast as one of a thousand, while a heap of a million
/// moves something in twenty places for everything that is taken. And what is
/// in the middle is found by its key, so that nobody keeps track of places.
#[derive(Clone, Debug)]
pub(crate) struct Sorted<K> {
    nodes: Nodes<K>,
    root: u32,
    /// How many levels there are above the leaves.
    height: u32,
    len: usize,
}

/// What something is sorted by.
pub(crate) trait Key: Copy {
    type Number: Ord;

    /// It as one number, so that comparing takes no branches: which of two keys
    /// is less is as good as random, and a branch would be guessed wrong.
    fn number(self) -> Self::Number;
}

impl Key for u32 {
    type Number = Self;

    #[inline]
    fn number(self) -> Self {
        self
    }
}

/// The leaf with the least keys: it is always the same one.
const FRONT: u32 = 0;

impl<K: Key> Sorted<K> {
    pub(crate) const fn new() -> Self {
        Self { nodes: Nodes::new(), root: FRONT, height: 0, len: 0 }
    }

    #[inline]
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// The least key and its handle.
    #[inline]
    pub(crate) fn first(&self) -> Option<(K, u32)> {
        self.nodes.front().last().copied()
    }

    /// The greatest key and its handle.
    #[inline]
    pub(crate) fn last(&self) -> Option<(K, u32)> {
        if self.len == 0 {
            return None;
        }
        let greatest = |node| self.nodes.entries(node).first().copied();
        let leaf = (0..self.height).try_fold(self.root, |node, _| Some(greatest(node)?.1))?;
        greatest(leaf)
    }

    /// Puts a handle under a key, in place of what was there.
    #[inline]
    pub(crate) fn insert(&mut self, key: K, handle: u32) {
        let front = self.nodes.front();
        let comes_first = match front.last() {
            Some(first) => key.number() < first.0.number(),
            None => !self.nodes.is_empty(),
        };
        if comes_first && front.len() < ROOM {
            self.nodes.push_front((key, handle));
            self.len += 1;
        } else {
            self.insert_behind(key, handle);
        }
    }

    /// Takes out what is under this key.
    #[inline]
    pub(crate) fn remove(&mut self, key: K) -> Option<u32> {
        match self.nodes.front().last() {
            Some(first) if first.0.number() == key.number() && self.front_may_shrink() => {
                let handle = first.1;
                self.nodes.truncate_front();
                self.len -= 1;
                Some(handle)
            }
            _ => self.remove_behind(key),
        }
    }

    #[inline]
    pub(crate) fn pop_first(&mut self) -> Option<(K, u32)> {
        let first = self.first()?;
        if self.front_may_shrink() {
            self.nodes.truncate_front();
            self.len -= 1;
        } else {
            self.remove_behind(first.0);
        }
        Some(first)
    }

    /// The first entries, so many at most, in order. O(as many).
    pub(crate) fn in_order(&self, most: usize) -> Vec<(K, u32)> {
        let mut first = Vec::with_capacity(self.len.min(most));
        self.collect(self.root, self.height, most, &mut first);
        first
    }

    #[inline]
    fn front_may_shrink(&self) -> bool {
        self.height == 0 || self.nodes.front().len() > FEW
    }

    /// As [`insert`](Self::insert), of what does not come first.
    #[inline(never)]
    fn insert_behind(&mut self, key: K, handle: u32) {
        let front = self.nodes.front();
        let is_in_front = front
            .first()
            .is_some_and(|greatest| self.height == 0 || key.number() < greatest.0.number());
        let leaf = if is_in_front && front.len() < ROOM {
            FRONT
        } else {
            self.leaf_with_room(key, handle)
        };
        self.len += usize::from(self.nodes.put(leaf, key, handle));
    }

    /// As [`remove`](Self::remove), of what may not come first.
    #[inline(never)]
    fn remove_behind(&mut self, key: K) -> Option<u32> {
        let front = self.nodes.front();
        let is_in_front = front
            .first()
            .is_some_and(|greatest| self.height == 0 || key.number() <= greatest.0.number());
        let leaf =
            if is_in_front && self.front_may_shrink() { FRONT } else { self.leaf_with_more(key) };
        let handle = self.nodes.take(leaf, key)?;
        self.len -= 1;
        Some(handle)
    }

    fn collect(&self, node: u32, level: u32, most: usize, first: &mut Vec<(K, u32)>) {
        for entry in self.nodes.entries(node).iter().rev() {
            if first.len() == most {
                return;
            }
            match level {
                0 => first.push(*entry),
                _ => self.collect(entry.1, level - 1, most, first),
            }
        }
    }

    /// The leaf where a key belongs, with room for one more. What is full on
    /// the way to it is split, so that there is always room above.
    fn leaf_with_room(&mut self, key: K, handle: u32) -> u32 {
        if self.nodes.is_empty() {
            return self.nodes.add((key, handle));
        }
        if self.nodes.is_full(self.root) {
            let entry = (key, self.root);
            self.root = self.nodes.add(entry);
            self.nodes.insert(self.root, 0, entry);
            self.height += 1;
        }
        let mut node = self.root;
        for _ in 0..self.height {
            let mut at = self.nodes.way(node, key);
            if self.nodes.is_full(self.nodes.entries(node)[at].1) {
                self.nodes.split(node, at, key);
                at = self.nodes.way(node, key);
            }
            node = self.nodes.entries(node)[at].1;
        }
        node
    }

    /// The leaf where a key belongs, with something left in it when that is
    /// taken. What has few entries on the way to it shares a neighbour's, or
    /// becomes one with it, so that nothing is ever left empty above.
    fn leaf_with_more(&mut self, key: K) -> u32 {
        let (mut node, mut level) = (self.root, self.height);
        while level > 0 {
            let mut at = self.nodes.way(node, key);
            let child = self.nodes.entries(node)[at].1;
            if self.nodes.entries(child).len() <= FEW {
                self.nodes.even_out(node, at, level > 1);
                if let (&[(_, only)], true) = (self.nodes.entries(node), node == self.root) {
                    self.nodes.free(node);
                    (self.root, self.height) = (only, level - 1);
                    (node, level) = (self.root, self.height);
                    continue;
                }
                at = self.nodes.way(node, key);
            }
            (node, level) = (self.nodes.entries(node)[at].1, level - 1);
        }
        node
    }
}
