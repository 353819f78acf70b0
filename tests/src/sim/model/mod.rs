//! The reference model: the rules of a bin, written to be obviously right.
//!
//! Plain vectors, scanned from end to end at every question; nothing is kept
//! that can be counted. The rules are those of the documentation of
//! [`SchedulerBin`](sched_core::SchedulerBin), not of its code.

mod reports;
mod rules;
mod waits;

use sched_core::{
    BinIndex, EventKind, Instant, JobId, JobSpec, Mode, OnEvict, OutcomeKind, Policy, RunId,
    RunInfo, Stop, StopCause, TaskState, TimeBound,
};
use std::time::Duration;

/// A bin as the rules have it.
#[derive(Clone, Debug)]
pub struct Model {
    policy: Policy,
    slots: usize,
    bin: BinIndex,
    now: Instant,
    /// What it does with new jobs.
    pub mode: Mode,
    /// Every accepted job without an outcome, in the order of submission.
    pub jobs: Vec<ModelJob>,
    /// Every run not yet reaped.
    pub runs: Vec<ModelRun>,
    /// So many of the pending jobs, the first in priority order, have a slot
    /// promised.
    pub reservations: usize,
    /// Until when the machine is exhausted.
    pub spawning_paused: Option<Instant>,
    /// What must be asked of the spawner and has not been polled yet.
    pub orders: Vec<Order>,
    /// What happened since the events were last taken.
    pub events: Vec<EventKind>,
    /// Figures.
    pub totals: Totals,
    exhausted_in_a_row: u32,
    drained_told: bool,
    jobs_given: u64,
    runs_given: u64,
}

/// A job without an outcome.
#[derive(Clone, Debug)]
pub struct ModelJob {
    /// Its id.
    pub id: JobId,
    /// When it was submitted.
    pub submitted: Instant,
    /// Where it is.
    pub place: Place,
    /// How many of its attempts failed.
    pub failed: u32,
    /// How often it was evicted.
    pub evictions: u32,
    /// How many runs it was given.
    pub runs: u32,
    /// Whether it was cancelled while it had a run.
    pub cancelled: bool,
    priority: i64,
    time_limit: Option<Duration>,
    expiry: Option<Duration>,
    deadline: Option<Duration>,
    on_evict: OnEvict,
    max_attempts: u32,
    waiting_since: Instant,
    occupied: Duration,
    ran: Duration,
}

/// Where a job is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// It waits for a slot.
    Pending,
    /// It waits to be pending again.
    BackingOff(Instant),
    /// It has a run.
    Slot,
}

/// A run that is not reaped.
#[derive(Clone, Debug)]
pub struct ModelRun {
    /// Which.
    pub info: RunInfo,
    /// Its level, fixed at its start.
    pub level: i64,
    /// Whether it is safe from eviction.
    pub shielded: bool,
    /// When its start was decided.
    pub began: Instant,
    /// What it is doing.
    pub state: TaskState,
    /// Whether a stop of it was polled.
    signalled: bool,
}

/// What the spawner is to be asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// To start a run.
    Spawn(RunInfo),
    /// To stop a run.
    Stop(RunId, Stop),
}

/// Figures, counted over the life of the bin.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Totals {
    /// Outcomes told, of each kind, in the order of [`OutcomeKind::ALL`].
    pub outcomes: [u64; 8],
    /// Jobs accepted.
    pub accepted: u64,
    /// Runs given a slot.
    pub runs: u64,
    /// Runs that ended because they were evicted.
    pub evictions: u64,
    /// Time that slots were occupied by runs that were not evicted.
    pub useful: Duration,
    /// Time that slots were occupied by runs that were.
    pub wasted: Duration,
    /// Submissions handed back.
    pub refused: u64,
    /// Reports about runs that are not there.
    pub ignored: u64,
}

/// Why a job is handed back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// The bin drains.
    Draining,
    /// The bin is stopped, or about to be.
    Stopped,
    /// Too many jobs wait.
    Full,
}

impl Model {
    /// An empty bin.
    #[must_use]
    pub fn new(slots: usize, policy: Policy) -> Self {
        Self {
            policy,
            slots,
            bin: BinIndex::default(),
            now: Instant::ZERO,
            mode: Mode::Accepting,
            jobs: Vec::new(),
            runs: Vec::new(),
            reservations: 0,
            spawning_paused: None,
            orders: Vec::new(),
            events: Vec::new(),
            totals: Totals::default(),
            exhausted_in_a_row: 0,
            drained_told: false,
            jobs_given: 0,
            runs_given: 0,
        }
    }

    /// A job is offered.
    ///
    /// # Errors
    ///
    /// It is handed back, and why.
    pub fn submit<C>(&mut self, now: Instant, spec: &JobSpec<C>) -> Result<JobId, Refused> {
        self.advance(now);
        self.act_on_time();
        let answer = match self.mode {
            Mode::Draining => Err(Refused::Draining),
            Mode::Stopping | Mode::Stopped => Err(Refused::Stopped),
            Mode::Accepting | Mode::Paused => self.try_to_place(spec),
        };
        if answer.is_err() {
            self.totals.refused += 1;
            self.settle(None);
        }
        answer
    }

    /// Takes the job on a copy first: whether it is accepted depends on what
    /// becomes of it.
    fn try_to_place<C>(&mut self, spec: &JobSpec<C>) -> Result<JobId, Refused> {
        if self.without_slot() >= self.policy.max_pending + self.slots {
            return Err(Refused::Full);
        }
        let mut tried = self.clone();
        let id = tried.accept(spec);
        tried.settle(None);
        let without = tried.unreserved();
        let waiting = tried.without_slot() - tried.reservations;
        if without.contains(&id) && waiting > self.policy.max_pending {
            return Err(Refused::Full);
        }
        *self = tried;
        Ok(id)
    }

    fn without_slot(&self) -> usize {
        self.jobs.iter().filter(|job| job.place != Place::Slot).count()
    }

    fn accept<C>(&mut self, spec: &JobSpec<C>) -> JobId {
        self.jobs_given += 1;
        self.totals.accepted += 1;
        let id = JobId::new(self.bin, self.jobs_given);
        self.jobs.push(ModelJob {
            id,
            submitted: self.now,
            place: Place::Pending,
            failed: 0,
            evictions: 0,
            runs: 0,
            cancelled: false,
            priority: i64::from(spec.priority.number()),
            time_limit: spec.time_limit,
            expiry: spec.expiry,
            deadline: spec.deadline,
            on_evict: spec.on_evict.unwrap_or(self.policy.on_evict),
            max_attempts: spec.max_attempts.unwrap_or(self.policy.max_attempts).get(),
            waiting_since: self.now,
            occupied: Duration::ZERO,
            ran: Duration::ZERO,
        });
        self.events.push(EventKind::Accepted { job: id, priority: spec.priority });
        id
    }

    /// Its owner does not want the job any more. Returns whether there is one.
    pub fn cancel(&mut self, now: Instant, id: JobId) -> bool {
        self.advance(now);
        let known = self.jobs.iter().find(|job| job.id == id).map(|job| job.place);
        match known {
            None => {}
            Some(Place::Slot) => self.revoke(id),
            Some(_) => self.end(id, sched_core::Outcome::Cancelled { exit: None }),
        }
        self.finish(None);
        known.is_some()
    }

    /// Start nothing new.
    pub fn pause(&mut self, now: Instant) {
        self.advance(now);
        if matches!(self.mode, Mode::Accepting | Mode::Draining) {
            self.change_mode(Mode::Paused, EventKind::Paused);
        }
        self.finish(None);
    }

    /// Start nothing new, take nothing new.
    pub fn drain(&mut self, now: Instant) {
        self.advance(now);
        if matches!(self.mode, Mode::Accepting | Mode::Paused) {
            self.change_mode(Mode::Draining, EventKind::Draining);
        }
        self.finish(None);
    }

    /// As before pause and drain.
    pub fn resume(&mut self, now: Instant) {
        self.advance(now);
        if matches!(self.mode, Mode::Paused | Mode::Draining) {
            self.change_mode(Mode::Accepting, EventKind::Resumed);
        }
        self.finish(None);
    }

    /// End everything, with a grace period or without.
    pub fn stop(&mut self, now: Instant, at_once: bool) {
        self.advance(now);
        if !matches!(self.mode, Mode::Stopping | Mode::Stopped) {
            self.change_mode(Mode::Stopping, EventKind::ShuttingDown);
            self.spawning_paused = None;
            for id in self.jobs.iter().map(|job| job.id).collect::<Vec<_>>() {
                match self.job(id).place {
                    Place::Slot => self.revoke(id),
                    _ => self.end(id, sched_core::Outcome::Cancelled { exit: None }),
                }
            }
        }
        if at_once {
            for run in self.runs.iter().map(|run| run.info.id).collect::<Vec<_>>() {
                self.kill_run(run);
            }
        }
        self.finish(None);
    }

    /// Time has gone by.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.advance(now);
        self.finish(None);
    }

    /// The driver polled `order`. Returns whether it was due.
    pub fn take_order(&mut self, order: Order) -> bool {
        let Some(place) = self.orders.iter().position(|due| *due == order) else {
            return false;
        };
        self.orders.remove(place);
        if let Order::Stop(id, _) = order {
            self.run_mut(id).signalled = true;
        }
        true
    }

    fn advance(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    /// What follows every input: the timers, then the slots. `freed` is the
    /// slot of a run that was stopping.
    fn finish(&mut self, freed: Option<rules::Freed>) {
        self.act_on_time();
        self.settle(freed);
        if self.runs.is_empty() && self.mode == Mode::Draining && !self.drained_told {
            self.drained_told = true;
            self.events.push(EventKind::Drained);
        }
        if self.runs.is_empty() && self.mode == Mode::Stopping {
            self.mode = Mode::Stopped;
            self.events.push(EventKind::Stopped);
        }
    }

    fn change_mode(&mut self, to: Mode, told: EventKind) {
        self.mode = to;
        self.drained_told = false;
        self.reservations = 0;
        self.events.push(told);
    }

    /// Cancels a job that has a run.
    fn revoke(&mut self, id: JobId) {
        self.job_mut(id).cancelled = true;
        let run = self.run_of(id).info.id;
        match self.run_of(id).state {
            TaskState::Stopping { cause: StopCause::Evicted { .. }, .. }
                if self.job(id).on_evict == OnEvict::Requeue =>
            {
                self.change_cause(run, StopCause::Cancelled);
            }
            TaskState::Stopping { .. } => {}
            _ => self.stop_run(run, StopCause::Cancelled),
        }
    }

    /// The deadline of a job that has a run passes.
    fn overdue(&mut self, id: JobId) {
        let run = self.run_of(id).info.id;
        let cause = StopCause::TimedOut(TimeBound::Deadline);
        match self.run_of(id).state {
            TaskState::Stopping { .. } => self.change_cause(run, cause),
            _ => self.stop_run(run, cause),
        }
    }

    fn count(&mut self, kind: OutcomeKind) {
        let place = OutcomeKind::ALL.iter().position(|one| *one == kind);
        self.totals.outcomes[place.unwrap_or_default()] += 1;
    }
}
