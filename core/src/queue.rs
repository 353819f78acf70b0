//! The order of pending jobs, and who among them has a slot reserved.

use alloc::vec::Vec;

use crate::id::JobId;
use crate::priority::Priority;
use crate::sorted::{Key, Sorted};
use crate::time::{Duration, Instant};

/// Pending jobs by handle, in two orders.
///
/// *Queue order* says who takes a slot that is free: the most urgent, with
/// what aging has added, then first come, first served. *Priority order* says
/// who may evict and takes the slot that an eviction makes: the most urgent as
/// submitted, then first come, first served. Without aging they are the same,
/// and kept once.
///
/// Some jobs have a *reservation*: a slot is being vacated for them. They are
/// always the first ones in priority order.
#[derive(Clone, Debug)]
pub(crate) struct Queue {
    /// In queue order; empty without aging.
    aged: Sorted<QueueKey>,
    unreserved: Sorted<PriorityKey>,
    reserved: Sorted<PriorityKey>,
}

/// The places of a job in both orders. They never change.
///
/// What takes one is inlined always: handed over in memory it would be written
/// in small pieces and read in large ones, for which a processor waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    priority: PriorityKey,
    /// `None`: without aging it is that of its priority.
    aged: Option<QueueKey>,
}

impl Place {
    #[inline]
    pub(crate) fn new(
        job: JobId,
        priority: Priority,
        submitted: Instant,
        aging: Option<Duration>,
    ) -> Self {
        let interval = aging.and_then(interval_nanos);
        Self {
            priority: PriorityKey::new(priority, job),
            aged: interval.map(|interval| QueueKey::new(job, priority, submitted, interval)),
        }
    }

    /// Who comes before whom in queue order, over several queues.
    pub(crate) fn queue_order(self) -> impl Ord + use<> {
        (self.aged.map(Key::number), self.priority.number())
    }

    /// Who comes before whom in priority order, over several queues.
    pub(crate) fn priority_order(self) -> impl Ord + use<> {
        self.priority.number()
    }
}

/// A place in queue order. It never changes: with aging the urgency of every
/// pending job grows at the same pace, so comparing `priority * interval +
/// submitted` once is comparing them at any time.
///
/// One number in 16 bytes: that rank, of
/// 80 bits, and behind it the count of the job, of 48.
#[derive(Clone, Copy, Debug)]
struct QueueKey([u32; 4]);

/// How many bits the count of a job has.
const COUNT_BITS: u32 = 48;
/// Half of the range of ranks: added, it makes them positive.
const RANK_BIAS: i128 = 1 << 79;

impl QueueKey {
    fn new(job: JobId, priority: Priority, submitted: Instant, interval: i128) -> Self {
        // 2^47 ns are 39 hours. With a longer interval the time is counted more
        // coarsely, so that every rank has room.
        let coarser = (128 - interval.leading_zeros()).saturating_sub(47);
        let submitted = i128::from(submitted.as_nanos()) >> coarser;
        let rank = i128::from(priority.number()) * (interval >> coarser) + submitted;
        let number = ((rank + RANK_BIAS) as u128) << COUNT_BITS | u128::from(job.count());
        Self([0, 32, 64, 96].map(|shift| (number >> shift) as u32))
    }
}

impl Key for QueueKey {
    type Number = u128;

    #[inline]
    fn number(self) -> u128 {
        let Self([d, c, b, a]) = self;
        (a as u128) << 96 | (b as u128) << 64 | (c as u128) << 32 | d as u128
    }
}

/// A place in priority order.
///
/// In parts of 4 bytes, so that it and a handle fill 16, the lowest first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PriorityKey {
    job: [u32; 2],
    priority: i32,
}

impl PriorityKey {
    const fn new(priority: Priority, job: JobId) -> Self {
        let (priority, job) = (priority.number(), job.number());
        Self { priority, job: [job as u32, (job >> 32) as u32] }
    }

    #[inline]
    pub(crate) const fn priority(self) -> Priority {
        Priority::new(self.priority)
    }

    #[inline]
    pub(crate) const fn job(self) -> JobId {
        JobId::from_number((self.job[1] as u64) << 32 | self.job[0] as u64)
    }
}

impl Key for PriorityKey {
    type Number = i128;

    #[inline]
    fn number(self) -> i128 {
        (self.priority as i128) << 64 | self.job().number() as i128
    }
}

/// The level of urgency of a job that has waited this long: its priority less
/// one for every full interval.
#[inline]
pub(crate) fn level(priority: Priority, waited: Duration, aging: Option<Duration>) -> i64 {
    let gained = aging.and_then(interval_nanos).map_or(0, |interval| {
        let waited = i128::try_from(waited.as_nanos()).unwrap_or(i128::MAX);
        i64::try_from(waited / interval).unwrap_or(i64::MAX)
    });
    i64::from(priority.number()).saturating_sub(gained)
}

fn interval_nanos(aging: Duration) -> Option<i128> {
    // Nothing waits longer than an `Instant` can tell, 2^64 ns; so no longer
    // interval makes a difference, and the product stays far below 2^127.
    let nanos = aging.as_nanos().min(u128::from(u64::MAX));
    i128::try_from(nanos).ok().filter(|nanos| *nanos > 0)
}

impl Queue {
    pub(crate) const fn new() -> Self {
        Self { aged: Sorted::new(), unreserved: Sorted::new(), reserved: Sorted::new() }
    }

    #[inline]
    pub(crate) const fn len(&self) -> usize {
        self.unreserved.len() + self.reserved.len()
    }

    #[inline]
    pub(crate) const fn reserved_len(&self) -> usize {
        self.reserved.len()
    }

    /// Whether a pending job has a reservation.
    #[inline]
    pub(crate) fn is_reserved(&self, place: Place) -> bool {
        self.reserved.last().is_some_and(|(last, _)| place.priority.number() <= last.number())
    }

    /// Puts a job in its place. If it comes before a job with a reservation,
    /// it takes over the reservation of the last of those.
    #[inline(always)]
    pub(crate) fn insert(&mut self, handle: u32, place: Place) {
        if let Some(aged) = place.aged {
            self.aged.insert(aged, handle);
        }
        match self.reserved.last() {
            Some((last, displaced)) if place.priority.number() < last.number() => {
                self.reserved.remove(last);
                self.unreserved.insert(last, displaced);
                self.reserved.insert(place.priority, handle);
            }
            _ => self.unreserved.insert(place.priority, handle),
        }
    }

    #[inline(always)]
    pub(crate) fn remove(&mut self, place: Place) {
        if let Some(aged) = place.aged {
            self.aged.remove(aged);
        }
        if self.is_reserved(place) {
            self.reserved.remove(place.priority);
        } else {
            self.unreserved.remove(place.priority);
        }
    }

    /// The first in queue order.
    #[inline]
    pub(crate) fn first(&self) -> Option<u32> {
        self.aged.first().map(|(_, handle)| handle).or_else(|| self.most_urgent())
    }

    /// The first in priority order.
    #[inline]
    pub(crate) fn most_urgent(&self) -> Option<u32> {
        let first = self.reserved.first().or_else(|| self.unreserved.first());
        first.map(|(_, handle)| handle)
    }

    /// The first in priority order of those without a reservation.
    #[inline]
    pub(crate) fn first_unreserved(&self) -> Option<PriorityKey> {
        self.unreserved.first().map(|(key, _)| key)
    }

    /// Gives a reservation to the first job that has none.
    #[inline(always)]
    pub(crate) fn reserve_first(&mut self) {
        if let Some((key, handle)) = self.unreserved.pop_first() {
            self.reserved.insert(key, handle);
        }
    }

    /// Ends all reservations.
    pub(crate) fn unreserve_all(&mut self) {
        while let Some((key, handle)) = self.reserved.pop_first() {
            self.unreserved.insert(key, handle);
        }
    }

    /// All handles in queue order. O(n): for people, not for decisions.
    pub(crate) fn in_order(&self) -> Vec<u32> {
        self.first_in_order(usize::MAX)
    }

    /// The first handles in queue order, so many at most. O(as many): for
    /// people, not for decisions.
    pub(crate) fn first_in_order(&self, most: usize) -> Vec<u32> {
        if self.aged.len() > 0 {
            return handles(self.aged.in_order(most)).collect();
        }
        let reserved = self.reserved.in_order(most);
        let unreserved = self.unreserved.in_order(most - reserved.len());
        handles(reserved).chain(handles(unreserved)).collect()
    }
}

fn handles<K>(entries: Vec<(K, u32)>) -> impl Iterator<Item = u32> {
    entries.into_iter().map(|(_, handle)| handle)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::BinIndex;

    fn place(count: u32, priority: i32, submitted: u64, aging: Option<u64>) -> Place {
        let job = JobId::new(BinIndex::default(), u64::from(count));
        let (submitted, aging) = (Instant::from_secs(submitted), aging.map(Duration::from_secs));
        Place::new(job, Priority::new(priority), submitted, aging)
    }

    fn add(queue: &mut Queue, count: u32, priority: i32, submitted: u64, aging: Option<u64>) {
        queue.insert(count, place(count, priority, submitted, aging));
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
        let is_reserved = |count, priority| queue.is_reserved(place(count, priority, 0, None));
        assert!(is_reserved(1, 4) && is_reserved(4, 1) && !is_reserved(2, 5));
        assert_eq!(queue.most_urgent(), Some(4));
        add(&mut queue, 5, 4, 0, None);
        assert!(!queue.is_reserved(place(5, 4, 0, None)), "equal priority comes after");
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
