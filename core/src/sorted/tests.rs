use alloc::collections::BTreeMap;

use super::*;
use crate::heap::tests::numbers;

impl Key for u64 {
    type Number = Self;

    fn number(self) -> Self {
        self
    }
}

impl<K: Key + PartialEq + core::fmt::Debug> Sorted<K> {
    /// Whether every entry is where it is looked for, and nothing is lost.
    fn check(&self) {
        let all = self.in_order(usize::MAX);
        assert!(all.windows(2).all(|two| two[0].0.number() < two[1].0.number()), "{all:?}");
        assert_eq!(all.len(), self.len);
        assert_eq!((self.first(), self.last()), (all.first().copied(), all.last().copied()));
        for (key, handle) in all {
            let way = |node, _| self.nodes.entries(node)[self.nodes.way(node, key)].1;
            let leaf = (0..self.height).fold(self.root, way);
            let found = self.nodes.entries(leaf)[self.nodes.position(leaf, key)];
            assert_eq!(found, (key, handle));
        }
    }
}

/// Does at random what a queue does, and compares it with a sorted map.
/// `inserts` of 10 steps put something in.
fn compare(seed: u64, steps: u64, keys: u64, inserts: u64) {
    let mut next = numbers(seed);
    let (mut sorted, mut model) = (Sorted::new(), BTreeMap::new());
    for step in 0..steps {
        let key = next(keys);
        if next(10) < inserts {
            let handle = u32::try_from(step).unwrap();
            sorted.insert(key, handle);
            model.insert(key, handle);
        } else if next(2) == 0 {
            assert_eq!(sorted.remove(key), model.remove(&key), "seed {seed} step {step}");
        } else {
            assert_eq!(sorted.pop_first(), model.pop_first(), "seed {seed} step {step}");
        }
        let ends = (model.iter().next(), model.iter().next_back());
        let entry = |(key, handle): (&u64, &u32)| (*key, *handle);
        assert_eq!((sorted.first(), sorted.last()), (ends.0.map(entry), ends.1.map(entry)));
        if step % 500 == 0 {
            sorted.check();
        }
    }
    let all = Vec::from_iter(model);
    let few = all.len().min(70);
    assert_eq!(sorted.in_order(few), all[..few]);
    assert_eq!(sorted.in_order(usize::MAX), all);
    sorted.check();
}

#[test]
fn agrees_with_a_sorted_map_through_random_use() {
    for seed in 0..20 {
        compare(seed, 3000, 60, 5);
        compare(seed, 6000, 100_000, 7);
        compare(seed, 6000, 3_000, 5);
    }
}

#[test]
fn grows_and_shrinks_through_all_its_heights() {
    for (seed, falling) in [(0, false), (1, true), (2, false), (3, true)] {
        let mut next = numbers(seed);
        let mut sorted = Sorted::new();
        let mut keys: Vec<u64> = (0..40_000).collect();
        for &key in &keys {
            sorted.insert(if falling { u64::MAX - key } else { key }, key as u32);
        }
        sorted.check();
        assert!(sorted.height >= 3, "{}", sorted.height);
        while !keys.is_empty() {
            let at = if seed < 2 { 0 } else { next(keys.len() as u64) as usize };
            let key = keys.swap_remove(at);
            let removed = sorted.remove(if falling { u64::MAX - key } else { key });
            assert_eq!(removed, Some(key as u32));
            if keys.len() % 4000 == 0 {
                sorted.check();
            }
        }
        assert_eq!((sorted.len(), sorted.height, sorted.first()), (0, 0, None));
    }
}

#[test]
fn what_only_ever_grows_at_one_end_leaves_full_nodes_behind() {
    for falling in [false, true] {
        let mut sorted = Sorted::new();
        for key in 0..100_000_u64 {
            sorted.insert(if falling { u64::MAX - key } else { key }, 0);
        }
        let nodes = sorted.nodes.most().0;
        assert!(nodes * ROOM < 100_000 * 5 / 4, "{nodes} nodes");
    }
}

#[test]
fn a_steady_state_needs_no_more_nodes_than_it_has_had() {
    let mut next = numbers(9);
    let mut sorted = Sorted::new();
    let mut count = 0;
    let mut push = |sorted: &mut Sorted<_>| {
        count += 1;
        sorted.insert((count + next(10_000)) << 32 | count, 0);
    };
    (0..10_000).for_each(|_| push(&mut sorted));
    let mut rounds = |sorted: &mut Sorted<_>| {
        for _ in 0..50_000 {
            push(sorted);
            sorted.pop_first();
        }
    };
    rounds(&mut sorted);
    let (_, memory) = sorted.nodes.most();
    rounds(&mut sorted);
    assert_eq!(sorted.nodes.most().1, memory);
}
