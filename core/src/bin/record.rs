//! What a bin knows about a job that has no outcome yet.

use crate::event::JobTally;
use crate::id::{JobId, SlotId};
use crate::job::JobSpec;
use crate::policy::{OnEvict, Policy};
use crate::queue::Place;
use crate::runner::EndedRun;
use crate::sorted::Key;
use crate::table;
use crate::time::{Duration, Instant};

/// What a bin knows about a job.
#[derive(Clone, Debug)]
pub(super) struct Record<C> {
    pub(super) id: JobId,
    pub(super) spec: JobSpec<C>,
    pub(super) submitted: Instant,
    pub(super) phase: Phase,
    /// The attempt that runs or comes next, from 1.
    pub(super) attempt: u32,
    /// Its owner cancelled it while it had a slot. However that run ends, the
    /// job does not come back.
    pub(super) cancelled: bool,
    /// When something is due about it.
    pub(super) timer: Option<Instant>,
    pub(super) sums: Sums,
}

/// What the [`JobTally`] is made of, in nanoseconds: a million of jobs may wait,
/// and this takes half the room.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sums {
    waited: u64,
    ran: u64,
    pub(super) runs: u32,
    pub(super) evictions: u32,
}

/// Where a job is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Phase {
    /// In the queue, without a slot since then.
    Pending { since: Instant },
    /// Between two attempts, without a slot since then.
    BackingOff { since: Instant, until: Instant },
    /// Out of its slot, and not yet decided what becomes of it.
    Between,
    /// In a slot.
    Active(SlotId),
}

impl<C> table::Record for Record<C> {
    type Id = JobId;

    fn id(&self) -> JobId {
        self.id
    }

    fn number(id: JobId) -> u64 {
        id.number()
    }
}

impl<C> Record<C> {
    pub(super) const fn is_pending(&self) -> bool {
        matches!(self.phase, Phase::Pending { .. })
    }

    pub(super) fn expires_at(&self) -> Option<Instant> {
        let never_started = self.sums.runs == 0;
        self.spec.expiry.filter(|_| never_started).map(|wait| self.submitted + wait)
    }

    pub(super) fn deadline_at(&self) -> Option<Instant> {
        self.spec.deadline.map(|whole| self.submitted + whole)
    }

    pub(super) fn on_evict(&self, policy: &Policy) -> OnEvict {
        self.spec.on_evict.unwrap_or(policy.on_evict)
    }

    /// Whether any of its limits may make something due, or something is. A
    /// job without has a timer only while its run is being stopped.
    #[inline]
    pub(super) const fn is_timed(&self) -> bool {
        let JobSpec { time_limit, expiry, deadline, .. } = &self.spec;
        self.timer.is_some() || time_limit.is_some() || expiry.is_some() || deadline.is_some()
    }

    pub(super) fn may_retry(&self, policy: &Policy) -> bool {
        !self.cancelled
            && self.attempt < self.spec.max_attempts.unwrap_or(policy.max_attempts).get()
    }

    pub(super) fn is_shielded(&self, policy: &Policy) -> bool {
        self.spec.shielded || policy.max_evictions.is_some_and(|most| self.sums.evictions >= most)
    }

    pub(super) fn place(&self, policy: &Policy) -> Place {
        Place::new(self.id, self.spec.priority, self.submitted, policy.aging)
    }

    /// Books the time without a slot that ends now, and returns it.
    pub(super) fn end_wait(&mut self, now: Instant) -> Duration {
        let waited = match self.phase {
            Phase::Pending { since } | Phase::BackingOff { since, .. } => nanos(since, now),
            Phase::Between | Phase::Active(_) => 0,
        };
        self.sums.waited += waited;
        Duration::from_nanos(waited)
    }

    /// Books a run that has ended.
    pub(super) fn end_run(&mut self, ended: &EndedRun, evicted: bool) {
        self.sums.ran += u64::try_from(ended.ran.as_nanos()).unwrap_or(u64::MAX);
        self.sums.evictions += u32::from(evicted);
        self.phase = Phase::Between;
    }

    /// Its life in figures, as it ends now.
    pub(super) fn tally(&self, now: Instant) -> JobTally {
        let Sums { waited, ran, runs, evictions } = self.sums;
        let [waited, ran] = [waited, ran].map(Duration::from_nanos);
        JobTally { total: now - self.submitted, waited, ran, runs, evictions }
    }
}

const fn nanos(since: Instant, now: Instant) -> u64 {
    now.as_nanos().saturating_sub(since.as_nanos())
}

/// When a timer goes off, and for which job.
#[derive(Clone, Copy, Debug)]
pub(super) struct TimerKey {
    pub(super) due: Instant,
    pub(super) job: JobId,
}

impl Key for TimerKey {
    type Number = u128;

    #[inline]
    fn number(self) -> u128 {
        u128::from(self.due.as_nanos()) << 64 | u128::from(self.job.number())
    }
}
