//! The order of pending jobs, and who among them has a slot reserved.

use alloc::vec::Vec;
use core::cmp::{Ordering, Reverse};

use crate::heap::IndexHeap;
use crate::id::JobId;
use crate::priority::Priority;
use crate::time::{Duration, Instant};

/// Pending jobs by handle, in two orders.
///
/// *Queue order* says who takes a slot that is free: the most urgent, with
/// what aging has added, then first come, first served. *Priority order* says
/// who may evict and takes the slot that an eviction makes: the most urgent as
/// submitted, then first come, first served. Without aging they are the same.
///
/// Some jobs have a *reservation*: a slot is being vacated for them. They are
/// always the first ones in priority order.
#[derive(Clone, Debug)]
pub(crate) struct Queue {
    next: IndexHeap<QueueKey>,
    unreserved: IndexHeap<PriorityKey>,
    reserved: IndexHeap<PriorityKey>,
    last_reserved: IndexHeap<Reverse<PriorityKey>>,
}

/// A place in queue order. It never changes: with aging the urgency of every
/// pending job grows at the same pace, so comparing `priority * interval +
/// submitted` once is comparing them at any time.
///
/// One number in 16 bytes, so that comparing takes no branches: that rank, of
/// 80 bits, and behind it the count of the job, of 48.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct QueueKey([u32; 4]);

/// How many bits the count of a job has.
const COUNT_BITS: u32 = 48;
/// Half of the range of ranks: added, it makes them positive.
const RANK_BIAS: i128 = 1 << 79;

impl QueueKey {
    pub(crate) fn new(
        job: JobId,
        priority: Priority,
        submitted: Instant,
        aging: Option<Duration>,
    ) -> Self {
        let priority = i128::from(priority.number());
        let rank = match interval_nanos(aging) {
            Some(interval) => {
                // 2^47 ns are 39 hours. With a longer interval the time is
                // counted more coarsely, so that every rank has room.
                let coarser = (128 - interval.leading_zeros()).saturating_sub(47);
                let submitted = i128::from(submitted.as_nanos());
                priority * (interval >> coarser) + (submitted >> coarser)
            }
            None => priority,
        };
        let number = ((rank + RANK_BIAS) as u128) << COUNT_BITS | u128::from(job.count());
        Self([96, 64, 32, 0].map(|shift| (number >> shift) as u32))
    }

    #[inline]
    const fn number(self) -> u128 {
        let Self([a, b, c, d]) = self;
        (a as u128) << 96 | (b as u128) << 64 | (c as u128) << 32 | d as u128
    }
}

impl Ord for QueueKey {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        self.number().cmp(&other.number())
    }
}

/// A place in priority order.
///
/// In parts of 4 bytes, so that it and a handle fill 16.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct PriorityKey {
    priority: i32,
    job: [u32; 2],
}

impl PriorityKey {
    pub(crate) const fn new(priority: Priority, job: JobId) -> Self {
        let (priority, job) = (priority.number(), job.number());
        Self { priority, job: [(job >> 32) as u32, job as u32] }
    }

    #[inline]
    pub(crate) const fn priority(self) -> Priority {
        Priority::new(self.priority)
    }

    #[inline]
    pub(crate) const fn job(self) -> JobId {
        JobId::from_number((self.job[0] as u64) << 32 | self.job[1] as u64)
    }

    /// Itself as one number, so that comparing takes no branches.
    #[inline]
    const fn number(self) -> i128 {
        (self.priority as i128) << 64 | self.job().number() as i128
    }
}

impl Ord for PriorityKey {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        self.number().cmp(&other.number())
    }
}

macro_rules! partial_ord_by_number {
    ($($key:ident),*) => {$(
        impl PartialOrd for $key {
            #[inline]
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }

            #[inline]
            fn lt(&self, other: &Self) -> bool {
                self.number() < other.number()
            }

            #[inline]
            fn le(&self, other: &Self) -> bool {
                self.number() <= other.number()
            }
        }
    )*};
}

partial_ord_by_number!(QueueKey, PriorityKey);

/// The level of urgency of a job that has waited this long: its priority less
/// one for every full interval.
pub(crate) fn level(priority: Priority, waited: Duration, aging: Option<Duration>) -> i64 {
    let gained = interval_nanos(aging).map_or(0, |interval| {
        let waited = i128::try_from(waited.as_nanos()).unwrap_or(i128::MAX);
        i64::try_from(waited / interval).unwrap_or(i64::MAX)
    });
    i64::from(priority.number()).saturating_sub(gained)
}

fn interval_nanos(aging: Option<Duration>) -> Option<i128> {
    // Nothing waits longer than an `Instant` can tell, 2^64 ns; so no longer
    // interval makes a difference, and the product stays far below 2^127.
    let nanos = aging?.as_nanos().min(u128::from(u64::MAX));
    i128::try_from(nanos).ok().filter(|nanos| *nanos > 0)
}

impl Queue {
    pub(crate) const fn new() -> Self {
        Self {
            next: IndexHeap::new(),
            unreserved: IndexHeap::new(),
            reserved: IndexHeap::new(),
            last_reserved: IndexHeap::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.next.len()
    }

    pub(crate) fn reserved_len(&self) -> usize {
        self.reserved.len()
    }

    pub(crate) fn is_reserved(&self, handle: u32) -> bool {
        self.reserved.contains(handle)
    }

    /// Puts a job in its place. If it comes before a job with a reservation,
    /// it takes over the reservation of the last of those.
    pub(crate) fn insert(&mut self, handle: u32, place: QueueKey, priority: PriorityKey) {
        self.next.insert(handle, place);
        match self.last_reserved.peek() {
            Some((Reverse(last), displaced)) if priority < *last => {
                self.unreserve(displaced);
                self.reserve(handle, priority);
            }
            _ => self.unreserved.insert(handle, priority),
        }
    }

    pub(crate) fn remove(&mut self, handle: u32) {
        self.next.remove(handle);
        if self.unreserved.remove(handle).is_none() && self.reserved.remove(handle).is_some() {
            self.last_reserved.remove(handle);
        }
    }

    /// The first in queue order.
    pub(crate) fn first(&self) -> Option<u32> {
        self.next.peek().map(|(_, handle)| handle)
    }

    /// The first in priority order.
    pub(crate) fn most_urgent(&self) -> Option<u32> {
        let first = self.reserved.peek().or_else(|| self.unreserved.peek());
        first.map(|(_, handle)| handle)
    }

    /// The first in priority order of those without a reservation.
    pub(crate) fn first_unreserved(&self) -> Option<PriorityKey> {
        self.unreserved.peek().map(|(key, _)| *key)
    }

    /// Gives a reservation to the first job that has none.
    pub(crate) fn reserve_first(&mut self) {
        if let Some((key, handle)) = self.unreserved.pop() {
            self.reserve(handle, key);
        }
    }

    /// Ends all reservations.
    pub(crate) fn unreserve_all(&mut self) {
        while let Some((key, handle)) = self.reserved.pop() {
            self.last_reserved.remove(handle);
            self.unreserved.insert(handle, key);
        }
    }

    /// All handles in queue order. O(n log n): for people, not for decisions.
    pub(crate) fn in_order(&self) -> Vec<u32> {
        self.first_in_order(usize::MAX)
    }

    /// The first handles in queue order, so many at most. O(n + k log k): for
    /// people, not for decisions.
    pub(crate) fn first_in_order(&self, most: usize) -> Vec<u32> {
        let mut all: Vec<_> = self.next.iter().collect();
        if most < all.len() {
            all.select_nth_unstable_by_key(most, |(key, _)| **key);
            all.truncate(most);
        }
        all.sort_unstable_by_key(|(key, _)| **key);
        all.into_iter().map(|(_, handle)| handle).collect()
    }

    fn reserve(&mut self, handle: u32, key: PriorityKey) {
        self.reserved.insert(handle, key);
        self.last_reserved.insert(handle, Reverse(key));
    }

    fn unreserve(&mut self, handle: u32) {
        self.last_reserved.remove(handle);
        if let Some(key) = self.reserved.remove(handle) {
            self.unreserved.insert(handle, key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::BinIndex;

    fn add(queue: &mut Queue, count: u32, priority: i32, submitted: u64, aging: Option<u64>) {
        let job = JobId::new(BinIndex::default(), u64::from(count));
        let priority = Priority::new(priority);
        let aging = aging.map(Duration::from_secs);
        let place = QueueKey::new(job, priority, Instant::from_secs(submitted), aging);
        queue.insert(count, place, PriorityKey::new(priority, job));
    }

    #[test]
    fn f6_within_a_priority_it_is_first_come_first_served() {
        let mut queue = Queue::new();
        for (count, priority) in [(1, 5), (2, 3), (3, 5), (4, 3), (5, 0)] {
            add(&mut queue, count, priority, 0, None);
        }
        assert_eq!(queue.in_order(), [5, 2, 4, 1, 3]);
        assert_eq!(queue.first_in_order(2), [5, 2]);
        assert_eq!(queue.first_in_order(0), [0; 0]);
        assert_eq!(queue.first(), Some(5));
    }

    #[test]
    fn aging_moves_forward_in_queue_order_alone() {
        let mut queue = Queue::new();
        add(&mut queue, 1, 3, 0, Some(30));
        add(&mut queue, 2, 2, 31, Some(30));
        add(&mut queue, 3, 2, 29, Some(30));
        assert_eq!(queue.in_order(), [3, 1, 2]);
        assert_eq!(queue.first_unreserved().map(|key| key.job().count()), Some(2));
    }

    #[test]
    fn a_more_urgent_job_takes_over_the_last_reservation() {
        let mut queue = Queue::new();
        add(&mut queue, 1, 4, 0, None);
        add(&mut queue, 2, 5, 0, None);
        add(&mut queue, 3, 6, 0, None);
        queue.reserve_first();
        queue.reserve_first();
        add(&mut queue, 4, 1, 0, None);
        assert!(queue.is_reserved(1) && queue.is_reserved(4) && !queue.is_reserved(2));
        assert_eq!(queue.most_urgent(), Some(4));
        add(&mut queue, 5, 4, 0, None);
        assert!(!queue.is_reserved(5), "equal priority comes after");
        queue.unreserve_all();
        assert_eq!((queue.reserved_len(), queue.len()), (0, 5));
    }

    #[test]
    fn a_level_is_gained_for_every_full_interval() {
        let aging = Some(Duration::from_secs(30));
        let after = |secs| level(Priority::new(2), Duration::from_secs(secs), aging);
        assert_eq!([after(0), after(29), after(30), after(90)], [2, 2, 1, -1]);
        assert_eq!(level(Priority::new(2), Duration::MAX, Some(Duration::ZERO)), 2);
        let absurd = level(Priority::new(2), Duration::MAX, Some(Duration::from_nanos(1)));
        assert_eq!(absurd, 2 - i64::MAX);
    }
}
