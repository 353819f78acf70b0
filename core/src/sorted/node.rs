//! The nodes of a B+ tree, in one stretch of memory.

use alloc::vec::Vec;

use super::Key;

/// How many entries a node has room for.
pub(super) const ROOM: usize = 32;
/// With so many or fewer entries a node looks to its neighbours.
pub(super) const FEW: usize = ROOM / 4;

/// Nodes under small numbers that are used again.
///
/// The entries of a node are in falling order, so that the least are at its
/// end, where they come and go without moving others. A leaf has keys with
/// their handles. A node above has its children, each under a key that none in
/// it is less than, and that all in the next one are; the last child of a node
/// takes the rest, whatever is written beside it.
#[derive(Clone, Debug)]
pub(super) struct Nodes<K> {
    entries: Vec<(K, u32)>,
    lens: Vec<usize>,
    unused: Vec<u32>,
}

impl<K: Key> Nodes<K> {
    pub(super) const fn new() -> Self {
        Self { entries: Vec::new(), lens: Vec::new(), unused: Vec::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lens.is_empty()
    }

    /// How many there have been at most, and how many there is memory for.
    #[cfg(test)]
    pub(super) fn most(&self) -> (usize, usize) {
        (self.lens.len(), self.entries.capacity() / ROOM)
    }

    /// What is in a node, the greatest first.
    #[inline]
    pub(super) fn entries(&self, node: u32) -> &[(K, u32)] {
        let len = self.lens.get(node as usize).copied().unwrap_or(0);
        let start = node as usize * ROOM;
        self.entries.get(start..start + len).unwrap_or(&[])
    }

    /// As [`entries`](Self::entries), of the first node.
    #[inline]
    pub(super) fn front(&self) -> &[(K, u32)] {
        let len = self.lens.first().copied().unwrap_or(0);
        self.entries.get(..len).unwrap_or(&[])
    }

    #[inline]
    pub(super) fn is_full(&self, node: u32) -> bool {
        self.entries(node).len() == ROOM
    }

    /// Where in a leaf a key is, or would be.
    #[inline]
    pub(super) fn position(&self, node: u32, key: K) -> usize {
        self.entries(node).partition_point(|entry| key.number() < entry.0.number())
    }

    /// Which child of a node a key belongs to.
    #[inline]
    pub(super) fn way(&self, node: u32, key: K) -> usize {
        let [bounded @ .., _] = self.entries(node) else {
            return 0;
        };
        bounded.partition_point(|entry| key.number() < entry.0.number())
    }

    /// An empty node; `filler` is what lies in it meanwhile.
    pub(super) fn add(&mut self, filler: (K, u32)) -> u32 {
        if let Some(node) = self.unused.pop() {
            return node;
        }
        if self.entries.len() == self.entries.capacity() {
            let more = (self.lens.len() / 4).max(1);
            self.entries.reserve_exact(more * ROOM);
            self.lens.reserve_exact(more);
            self.unused.reserve_exact(self.lens.capacity());
        }
        self.entries.resize(self.entries.len() + ROOM, filler);
        self.lens.push(0);
        u32::try_from(self.lens.len() - 1).unwrap_or(u32::MAX)
    }

    pub(super) fn free(&mut self, node: u32) {
        self.lens[node as usize] = 0;
        self.unused.push(node);
    }

    /// Puts an entry behind the least of the first node, which is not full.
    #[inline]
    pub(super) fn push_front(&mut self, entry: (K, u32)) {
        if let Some(len) = self.lens.first_mut() {
            self.entries[*len] = entry;
            *len += 1;
        }
    }

    /// Takes out the least of the first node, which is not empty.
    #[inline]
    pub(super) fn truncate_front(&mut self) {
        if let Some(len) = self.lens.first_mut() {
            *len -= 1;
        }
    }

    /// Puts a handle under a key into a leaf that is not full. `false`: in
    /// place of another.
    #[inline]
    pub(super) fn put(&mut self, leaf: u32, key: K, handle: u32) -> bool {
        let at = self.position(leaf, key);
        match self.entries(leaf).get(at) {
            Some(found) if found.0.number() == key.number() => {
                self.entries[leaf as usize * ROOM + at].1 = handle;
                false
            }
            _ => {
                self.insert(leaf, at, (key, handle));
                true
            }
        }
    }

    /// Takes out what is in a leaf under this key.
    #[inline]
    pub(super) fn take(&mut self, leaf: u32, key: K) -> Option<u32> {
        let at = self.position(leaf, key);
        let (found, handle) = *self.entries(leaf).get(at)?;
        (found.number() == key.number()).then(|| {
            self.remove(leaf, at);
            handle
        })
    }

    #[inline]
    pub(super) fn insert(&mut self, node: u32, at: usize, entry: (K, u32)) {
        let (start, len) = (node as usize * ROOM, &mut self.lens[node as usize]);
        let cells = &mut self.entries[start + at..=start + *len];
        *len += 1;
        cells.copy_within(..cells.len() - 1, 1);
        cells[0] = entry;
    }

    #[inline]
    pub(super) fn remove(&mut self, node: u32, at: usize) {
        let (start, len) = (node as usize * ROOM, self.lens[node as usize]);
        self.entries[start..start + len].copy_within(at + 1.., at);
        self.lens[node as usize] -= 1;
    }

    /// Makes two of the child of a node at `at`, which is full, so that there
    /// is room for `key`. It is cut where the key belongs: what comes first
    /// and is served first goes in behind the last of its priority again and
    /// again, and so leaves full nodes behind and not halves.
    pub(super) fn split(&mut self, node: u32, at: usize, key: K) {
        let child = self.entries(node)[at].1;
        let greater = self.position(child, key).clamp(ROOM / 8, ROOM - ROOM / 8);
        let new = self.add((key, child));
        self.move_greatest(child, new, greater);
        let least = self.entries(new)[greater - 1].0;
        self.insert(node, at, (least, new));
    }

    /// The child of a node at `at` has few entries: it shares evenly with its
    /// neighbour, or becomes one with it if they fit in one.
    pub(super) fn even_out(&mut self, node: u32, at: usize, above_leaves: bool) {
        let at = at.min(self.entries(node).len().saturating_sub(2));
        let &[(bound, greater), (_, less), ..] = &self.entries(node)[at..] else {
            return;
        };
        let (more, fewer) = (self.entries(greater).len(), self.entries(less).len());
        if above_leaves {
            self.entries[greater as usize * ROOM + more - 1].0 = bound;
        }
        let half = (more + fewer) / 2;
        if more + fewer <= ROOM {
            self.move_least(greater, less, more);
            self.free(greater);
            self.remove(node, at);
            return;
        } else if more > half {
            self.move_least(greater, less, more - half);
        } else {
            self.move_greatest(less, greater, half - more);
        }
        self.entries[node as usize * ROOM + at].0 = self.entries(greater)[half - 1].0;
    }

    /// Moves the greatest entries of a node to the end of another.
    fn move_greatest(&mut self, from: u32, to: u32, count: usize) {
        let (source, len) = (from as usize * ROOM, self.lens[from as usize]);
        let target = to as usize * ROOM + self.lens[to as usize];
        self.entries.copy_within(source..source + count, target);
        self.entries.copy_within(source + count..source + len, source);
        self.lens[from as usize] -= count;
        self.lens[to as usize] += count;
    }

    /// Moves the least entries of a node to the start of another.
    fn move_least(&mut self, from: u32, to: u32, count: usize) {
        let end = from as usize * ROOM + self.lens[from as usize];
        let (target, len) = (to as usize * ROOM, self.lens[to as usize]);
        self.entries.copy_within(target..target + len, target + count);
        self.entries.copy_within(end - count..end, target);
        self.lens[from as usize] -= count;
        self.lens[to as usize] += count;
    }
}
