//! The choices a scheduler is given.

use core::num::NonZeroU32;

use crate::time::Duration;

/// The rules by which a bin decides. Two presets, and every rule can be set.
///
/// | rule | [`Policy::seed`] | [`Policy::durable`] |
/// |---|---|---|
/// | `preempt_delta` | 1 | 1 |
/// | `on_evict` | drop, outcome `Evicted` | requeue |
/// | `max_evictions` before a job is shielded | no limit | 3 |
/// | `grace` between TERM and KILL | 5 s | 10 s |
/// | `aging` | off | a level per 30 s |
/// | `max_attempts` | 1 | 3 |
/// | `on_exhausted` | the job's outcome is `SpawnFailed` | pause, try again |
/// | `max_pending` | 1,000,000 | 1,000,000 |
///
/// # Aging
///
/// With aging a pending job gains one level of urgency per interval since its
/// submission, without a cap, and a run keeps the level it had at its start.
/// The gain moves a job forward in the queue and protects its run from being
/// evicted; it never evicts. Were the gain to evict, then in any backlog the
/// job at the head, having waited a little longer than those that run, would
/// evict one of its equals every interval, and most work would be thrown away.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Policy {
    /// By how much a job's priority number must be smaller than a running
    /// job's to evict it. `None`: nothing is ever evicted.
    pub preempt_delta: Option<NonZeroU32>,
    /// What becomes of an evicted job that does not say itself.
    pub on_evict: OnEvict,
    /// How often a job may be evicted. After that its runs are shielded: they
    /// are left alone until they end. `None`: no limit.
    pub max_evictions: Option<u32>,
    /// The time between asking a process to end and ending it.
    pub grace: Duration,
    /// How long a pending job waits to gain one level. `None` or zero: off.
    pub aging: Option<Duration>,
    /// How many attempts a job has that does not say itself.
    pub max_attempts: NonZeroU32,
    /// How long a job waits between two attempts.
    pub retry: Backoff,
    /// What happens when the machine has no room for one more process.
    pub on_exhausted: OnExhausted,
    /// How many jobs may be without a slot, waiting for one or for their next
    /// attempt. A submission that would have to wait above it is refused and
    /// handed back; with 0 a job is accepted only if it starts at once, by
    /// eviction or without.
    ///
    /// Victims and retries come back regardless, because they were accepted
    /// once. So that they cannot pile up without end either, every submission
    /// is refused while as many jobs as this and the slots together have none:
    /// there are never more than this and twice the slots.
    pub max_pending: usize,
    /// Seeds the jitter of the back-offs.
    pub jitter_seed: u64,
}

impl Policy {
    /// What the system this one follows documents, with its faults mended.
    #[must_use]
    pub const fn seed() -> Self {
        Self {
            preempt_delta: NonZeroU32::new(1),
            on_evict: OnEvict::Drop,
            max_evictions: None,
            grace: Duration::from_secs(5),
            aging: None,
            max_attempts: NonZeroU32::MIN,
            retry: Backoff::RETRY,
            on_exhausted: OnExhausted::Fail,
            max_pending: 1_000_000,
            jitter_seed: 0,
        }
    }

    /// Nothing is lost: a victim comes back, a failure is tried again.
    #[must_use]
    pub const fn durable() -> Self {
        Self {
            on_evict: OnEvict::Requeue,
            max_evictions: Some(3),
            grace: Duration::from_secs(10),
            aging: Some(Duration::from_secs(30)),
            max_attempts: NonZeroU32::MIN.saturating_add(2),
            on_exhausted: OnExhausted::Pause(Backoff::EXHAUSTED),
            ..Self::seed()
        }
    }
}

/// What becomes of a job that is evicted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnEvict {
    /// It is over, with the outcome `Evicted`.
    Drop,
    /// It goes back to its old place in the queue.
    Requeue,
}

/// What happens when a process cannot be started for want of resources.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnExhausted {
    /// The job's outcome is `SpawnFailed`.
    Fail,
    /// The job goes back to its old place, no attempt is counted, and nothing
    /// is started for a while.
    Pause(Backoff),
}

/// A wait that doubles with every failure in a row, up to a cap, with jitter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Backoff {
    /// The wait after the first failure.
    pub first: Duration,
    /// The longest wait.
    pub cap: Duration,
}

impl Backoff {
    /// Between two attempts of a job: 1 s, 2 s, 4 s … up to 5 minutes.
    pub const RETRY: Self = Self { first: Duration::from_secs(1), cap: Duration::from_secs(300) };
    /// While the machine is exhausted: 250 ms, 500 ms … up to 10 s.
    pub const EXHAUSTED: Self =
        Self { first: Duration::from_millis(250), cap: Duration::from_secs(10) };

    /// The wait after the `failures`th failure in a row (from 1).
    ///
    /// Between half of the nominal wait and all of it ("equal jitter"), so
    /// that what failed together does not come back together. `salt` picks
    /// the place: the same salt gives the same wait.
    #[must_use]
    pub fn delay(&self, failures: u32, salt: u64) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let nominal = self.first.saturating_mul(1 << doublings).min(self.cap);
        let half = nominal / 2;
        let per_mille = u32::try_from(scramble(salt) % 1001).unwrap_or(0);
        half + (nominal - half) / 1000 * per_mille
    }
}

/// A number that looks random and depends on nothing but `seed`: the finaliser
/// of SplitMix64 (Steele, Lea, Flood, "Fast Splittable Pseudorandom Number
/// Generators", 2014).
fn scramble(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn back_off_doubles_within_its_jitter_and_stops_at_the_cap() {
        let backoff = Backoff { first: Duration::from_secs(1), cap: Duration::from_secs(60) };
        for salt in 0..100 {
            for (failures, nominal) in [(1, 1), (2, 2), (5, 16), (7, 60), (u32::MAX, 60)] {
                let wait = backoff.delay(failures, salt);
                let nominal = Duration::from_secs(nominal);
                assert!(wait >= nominal / 2 && wait <= nominal, "{failures} failures: {wait:?}");
            }
        }
    }

    #[test]
    fn jitter_depends_on_the_salt_alone() {
        let waits: alloc::collections::BTreeSet<_> =
            (0..64).map(|salt| Backoff::RETRY.delay(3, salt)).collect();
        assert!(waits.len() > 32, "only {} different waits", waits.len());
        assert_eq!(Backoff::RETRY.delay(3, 9), Backoff::RETRY.delay(3, 9));
    }

    #[test]
    fn an_absurd_back_off_saturates() {
        let absurd = Backoff { first: Duration::MAX, cap: Duration::MAX };
        assert!(absurd.delay(40, 1) >= Duration::MAX / 2);
    }
}
