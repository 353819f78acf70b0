//! A job of the bus.

use alloc::boxed::Box;
use alloc::vec::Vec;

use serde_json::value::RawValue;

use super::ExchangeConfig;
use crate::bus::v1::SubmitOptions;
use crate::id::{JobId, LeaseId, SessionId};
use crate::policy::OnEvict;
use crate::priority::Priority;
use crate::queue::Place;
use crate::table::Record;
use crate::time::{Duration, Instant};

/// What the exchange knows about a job that has no outcome yet. It is kept small:
/// there may be a million of them.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) id: JobId,
    pub(super) payload: Box<RawValue>,
    pub(super) priority: Priority,
    /// What most jobs do not have; `None`: it is as usual.
    rare: Option<Box<Rare>>,
    /// The session that submitted it, counted from 1; 0: a client of version 0.
    owner: u64,
    pub(super) submitted: Instant,
    pub(super) phase: Phase,
    /// Whether it is where it must be before it is accepted. Until then nobody
    /// hears of it, nothing is due about it, and it may have to be forgotten.
    pub(super) accepted: bool,
    /// Whether it has changed since its record was last given to the disk.
    pub(super) unwritten: bool,
    /// The attempt that runs or comes next, from 1.
    pub(super) attempt: u32,
    /// How often it was started.
    pub(super) starts: u32,
    pub(super) evictions: u32,
    pub(super) lost: u32,
}

/// What most jobs do not have. A bus may have a million of jobs that wait, so
/// that it is kept apart.
#[derive(Debug, Default)]
struct Rare {
    opts: SubmitOptions,
    /// The schedulers that do not want it, in order.
    declined: Vec<SessionId>,
}

static AS_USUAL: Rare = Rare {
    opts: SubmitOptions {
        key: None,
        on_evict: None,
        max_attempts: None,
        max_lost: None,
        timeout_ms: None,
        expires_ms: None,
        deadline_ms: None,
    },
    declined: Vec::new(),
};

/// Where a job is.
#[derive(Debug)]
pub(super) enum Phase {
    /// Waiting for a slot.
    Pending,
    /// Waiting for its next attempt.
    BackingOff { until: Instant },
    /// With a scheduler.
    Leased(Box<Lease>),
}

/// What a scheduler holds while it has a job.
#[derive(Clone, Debug)]
pub(super) struct Lease {
    pub(super) id: LeaseId,
    /// Whose it is, by handle.
    pub(super) remote: u32,
    /// When it lapses. It lasts from when its assignment leaves the bus, so
    /// that its scheduler can tell until when it has it at least; `None`: that
    /// waits for the disk.
    pub(super) expires: Option<Instant>,
    pub(super) level: i64,
    pub(super) started: Option<Instant>,
    /// How often its assignment was sent again, to a scheduler that had come
    /// back.
    pub(super) reminders: u8,
    /// Set once the scheduler was told to end the job.
    pub(super) ending: Option<Ending>,
    /// The slot in which it runs, where its scheduler has said so.
    pub(super) slot: Option<u32>,
    /// Set once the scheduler has said that it asked the run to end.
    pub(super) stopping: Option<Stop>,
}

impl Lease {
    /// One that was just given, or comes back from disk.
    pub(super) const fn new(id: LeaseId, remote: u32, level: i64) -> Self {
        Self {
            id,
            remote,
            expires: None,
            level,
            started: None,
            reminders: 0,
            ending: None,
            slot: None,
            stopping: None,
        }
    }
}

/// A run that was asked to end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stop {
    /// The job for which it is evicted.
    pub(super) by: Option<JobId>,
    /// When it is killed.
    pub(super) killed: Instant,
}

/// Why a scheduler was told to end a job.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ending {
    Cancelled,
    /// It waited for too long, or its deadline came, before it was reported as
    /// started.
    Expired,
    /// Its deadline came while it ran.
    TimedOut,
}

impl Record for Job {
    type Id = JobId;

    fn id(&self) -> JobId {
        self.id
    }

    fn number(id: JobId) -> u64 {
        id.number()
    }
}

impl Job {
    /// A job that is accepted at once, or comes back from disk.
    pub(super) fn new(
        id: JobId,
        payload: Box<RawValue>,
        priority: Priority,
        opts: SubmitOptions,
        owner: Option<SessionId>,
        submitted: Instant,
    ) -> Self {
        let rare = Rare { opts, ..Rare::default() };
        Self {
            id,
            payload,
            priority,
            rare: (rare.opts != AS_USUAL.opts).then(|| Box::new(rare)),
            owner: owner.map_or(0, SessionId::number),
            submitted,
            phase: Phase::Pending,
            accepted: true,
            unwritten: false,
            attempt: 1,
            starts: 0,
            evictions: 0,
            lost: 0,
        }
    }

    /// Its terms.
    pub(super) fn opts(&self) -> &SubmitOptions {
        &self.rare.as_deref().unwrap_or(&AS_USUAL).opts
    }

    /// The schedulers that do not want it, in order.
    pub(super) fn declined(&self) -> &[SessionId] {
        &self.rare.as_deref().unwrap_or(&AS_USUAL).declined
    }

    /// A scheduler does not want it. Not while it waits: it waits in a place
    /// that depends on this.
    pub(super) fn decline(&mut self, by: SessionId) {
        let declined = &mut self.rare.get_or_insert_default().declined;
        if let Err(place) = declined.binary_search(&by) {
            declined.insert(place, by);
        }
    }

    /// Forgets decliners who are no more, so that a job which nobody wants does
    /// not remember everybody who ever came.
    pub(super) fn retain_decliners(&mut self, lives: impl Fn(SessionId) -> bool) {
        if let Some(rare) = &mut self.rare {
            rare.declined.retain(|by| lives(*by));
        }
    }

    /// The session that submitted it; `None`: a client of version 0.
    pub(super) fn owner(&self) -> Option<SessionId> {
        (self.owner > 0).then_some(SessionId::new(self.owner))
    }

    pub(super) fn place(&self, config: &ExchangeConfig) -> Place {
        Place::new(self.id, self.priority, self.submitted, config.policy.aging)
    }

    pub(super) const fn lease(&self) -> Option<&Lease> {
        match &self.phase {
            Phase::Leased(lease) => Some(lease),
            _ => None,
        }
    }

    pub(super) const fn lease_mut(&mut self) -> Option<&mut Lease> {
        match &mut self.phase {
            Phase::Leased(lease) => Some(lease),
            _ => None,
        }
    }

    pub(super) fn on_evict(&self, config: &ExchangeConfig) -> OnEvict {
        self.opts().on_evict.unwrap_or(config.policy.on_evict)
    }

    pub(super) fn has_attempts_left(&self, config: &ExchangeConfig) -> bool {
        let most = config.policy.max_attempts.get();
        self.attempt < self.opts().max_attempts.unwrap_or(most)
    }

    pub(super) fn may_lose_another(&self, config: &ExchangeConfig) -> bool {
        self.lost <= self.opts().max_lost.unwrap_or(config.max_lost)
    }

    pub(super) fn is_shielded(&self, config: &ExchangeConfig) -> bool {
        config.policy.max_evictions.is_some_and(|most| self.evictions >= most)
    }

    fn deadline(&self) -> Option<Instant> {
        self.opts().deadline_ms.map(|whole| self.submitted + Duration::from_millis(whole))
    }

    /// When something is due about it: the earliest of what applies.
    pub(super) fn due(&self) -> Option<Instant> {
        if !self.accepted {
            return None;
        }
        match &self.phase {
            Phase::Pending => self.ends(),
            Phase::BackingOff { until } => self.ends().into_iter().chain([*until]).min(),
            Phase::Leased(lease) => {
                let ends = self.ends().filter(|_| lease.ending.is_none());
                ends.into_iter().chain(lease.expires).min()
            }
        }
    }

    /// When it is to end, unless it has ended by then: at its deadline, or
    /// earlier, if it has not started.
    pub(super) fn ends(&self) -> Option<Instant> {
        self.expires().into_iter().chain(self.deadline()).min()
    }

    fn expires(&self) -> Option<Instant> {
        let never_started = self.starts == 0;
        let wait = self.opts().expires_ms.filter(|_| never_started);
        wait.map(|wait| self.submitted + Duration::from_millis(wait))
    }
}
