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
    nodes: Vec<Node<K>>,
    unused: Vec<u32>,
}

#[derive(Clone, Debug)]
struct Node<K> {
    len: usize,
    /// Behind the first `len` lies what has been there before, or a filler.
    cells: [(K, u32); ROOM],
}

impl<K: Key> Node<K> {
    #[inline]
    fn entries(&self) -> &[(K, u32)] {
        self.cells.get(..self.len).unwrap_or(&[])
    }

    #[inline]
    fn position(&self, key: K) -> usize {
        self.entries().partition_point(|entry| key.number() < entry.0.number())
    }

    #[inline]
    fn insert(&mut self, at: usize, entry: (K, u32)) {
        self.cells.copy_within(at..self.len, at + 1);
        self.cells[at] = entry;
        self.len += 1;
    }

    #[inline]
    fn remove(&mut self, at: usize) {
        self.cells.copy_within(at + 1..self.len, at);
        self.len -= 1;
    }

    /// Moves the greatest entries to the end of another node.
    fn move_greatest(&mut self, to: &mut Self, count: usize) {
        to.cells[to.len..to.len + count].copy_from_slice(&self.cells[..count]);
        self.cells.copy_within(count..self.len, 0);
        self.len -= count;
        to.len += count;
    }

    /// Moves the least entries to the start of another node.
    fn move_least(&mut self, to: &mut Self, count: usize) {
        to.cells.copy_within(..to.len, count);
        to.cells[..count].copy_from_slice(&self.cells[self.len - count..self.len]);
        self.len -= count;
        to.len += count;
    }
}

impl<K: Key> Nodes<K> {
    pub(super) const fn new() -> Self {
        Self { nodes: Vec::new(), unused: Vec::new() }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// How many there have been at most, and how many there is memory for.
    #[cfg(test)]
    pub(super) fn most(&self) -> (usize, usize) {
        (self.nodes.len(), self.nodes.capacity())
    }

    /// What is in a node, the greatest first.
    #[inline]
    pub(super) fn entries(&self, node: u32) -> &[(K, u32)] {
        self.nodes.get(node as usize).map_or(&[], Node::entries)
    }

    /// As [`entries`](Self::entries), of the first node.
    #[inline]
    pub(super) fn front(&self) -> &[(K, u32)] {
        self.nodes.first().map_or(&[], Node::entries)
    }

    #[inline]
    pub(super) fn is_full(&self, node: u32) -> bool {
        self.entries(node).len() == ROOM
    }

    /// Where in a leaf a key is, or would be.
    #[cfg(test)]
    pub(super) fn position(&self, leaf: u32, key: K) -> usize {
        self.nodes[leaf as usize].position(key)
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
        if self.nodes.len() == self.nodes.capacity() {
            self.nodes.reserve_exact((self.nodes.len() / 4).max(1));
            self.unused.reserve_exact(self.nodes.capacity());
        }
        self.nodes.push(Node { len: 0, cells: [filler; ROOM] });
        u32::try_from(self.nodes.len() - 1).unwrap_or(u32::MAX)
    }

    pub(super) fn free(&mut self, node: u32) {
        self.nodes[node as usize].len = 0;
        self.unused.push(node);
    }

    /// Puts an entry behind the least of the first node, which is not full.
    #[inline]
    pub(super) fn push_front(&mut self, entry: (K, u32)) {
        if let Some(front) = self.nodes.first_mut() {
            front.cells[front.len] = entry;
            front.len += 1;
        }
    }

    /// Takes out the least of the first node, which is not empty.
    #[inline]
    pub(super) fn truncate_front(&mut self) {
        if let Some(front) = self.nodes.first_mut() {
            front.len -= 1;
        }
    }

    /// Puts a handle under a key into a leaf that is not full. `false`: in
    /// place of another.
    #[inline]
    pub(super) fn put(&mut self, leaf: u32, key: K, handle: u32) -> bool {
        let leaf = &mut self.nodes[leaf as usize];
        let at = leaf.position(key);
        match leaf.entries().get(at) {
            Some(found) if found.0.number() == key.number() => {
                leaf.cells[at].1 = handle;
                false
            }
            _ => {
                leaf.insert(at, (key, handle));
                true
            }
        }
    }

    /// Takes out what is in a leaf under this key.
    #[inline]
    pub(super) fn take(&mut self, leaf: u32, key: K) -> Option<u32> {
        let leaf = self.nodes.get_mut(leaf as usize)?;
        let at = leaf.position(key);
        let (found, handle) = *leaf.entries().get(at)?;
        (found.number() == key.number()).then(|| {
            leaf.remove(at);
            handle
        })
    }

    /// Puts a child into a node that is not full.
    pub(super) fn insert(&mut self, node: u32, at: usize, child: (K, u32)) {
        self.nodes[node as usize].insert(at, child);
    }

    /// Makes two of the child of a node at `at`, which is full, so that there
    /// is room for `key`. It is cut where the key belongs: what comes first
    /// and is served first goes in behind the last of its priority again and
    /// again, and so leaves full nodes behind and not halves.
    pub(super) fn split(&mut self, node: u32, at: usize, key: K) {
        let child = self.entries(node)[at].1;
        let cut = self.nodes[child as usize].position(key).clamp(ROOM / 8, ROOM - ROOM / 8);
        let new = self.add((key, child));
        let (from, to) = self.two(child, new);
        from.move_greatest(to, cut);
        let least = to.cells[cut - 1].0;
        self.insert(node, at, (least, new));
    }

    /// The child of a node at `at` has few entries: it shares evenly with its
    /// neighbour, or becomes one with it if they fit in one.
    pub(super) fn even_out(&mut self, node: u32, at: usize, above_leaves: bool) {
        let at = at.min(self.entries(node).len().saturating_sub(2));
        let &[(bound, greater), (_, less), ..] = &self.entries(node)[at..] else {
            return;
        };
        let (left, right) = self.two(greater, less);
        if above_leaves {
            left.cells[left.len - 1].0 = bound;
        }
        let both = left.len + right.len;
        if both <= ROOM {
            left.move_least(right, left.len);
            self.free(greater);
            self.nodes[node as usize].remove(at);
            return;
        } else if left.len > both / 2 {
            left.move_least(right, left.len - both / 2);
        } else {
            right.move_greatest(left, both / 2 - left.len);
        }
        let bound = left.cells[left.len - 1].0;
        self.nodes[node as usize].cells[at].0 = bound;
    }

    /// Two different nodes.
    fn two(&mut self, one: u32, other: u32) -> (&mut Node<K>, &mut Node<K>) {
        let (low, high) = (one.min(other) as usize, one.max(other) as usize);
        let (before, behind) = self.nodes.split_at_mut(high);
        let (low, high) = (&mut before[low], &mut behind[0]);
        if one < other { (low, high) } else { (high, low) }
    }
}
