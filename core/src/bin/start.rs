//! Accepting jobs, and giving them slots: free ones, and by eviction.

use super::record::{Phase, Record, Sums};
use super::{Mode, Refusal, SchedulerBin, SubmitError};
use crate::event::EventKind;
use crate::id::{JobId, RunId, SlotId};
use crate::job::{JobSpec, StopCause};
use crate::queue::{PriorityKey, level};
use crate::runner::RunRequest;
use crate::time::Instant;

impl<C> SchedulerBin<C> {
    /// Why no job is accepted, whichever it is.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        match self.mode {
            Mode::Draining => Some(Refusal::Draining),
            Mode::Stopping | Mode::Stopped => Some(Refusal::Stopped),
            Mode::Accepting | Mode::Paused => {
                let most = self.policy.max_pending.saturating_add(self.slots());
                (self.without_slot() >= most).then_some(Refusal::Full)
            }
        }
    }

    /// Accepts a job, unless it would have to wait and too many wait already.
    pub(super) fn try_accept(
        &mut self,
        now: Instant,
        job: JobSpec<C>,
    ) -> Result<JobId, SubmitError<C>> {
        let id = JobId::new(self.index, self.last_job + 1);
        let priority = job.priority;
        let told_before = self.events.len();
        self.tell(|| EventKind::Accepted { job: id, priority });
        let handle = self.add(now, id, job);
        self.settle(now);
        if self.is_one_too_many(handle) {
            // It has neither a slot nor a reservation: without it, everything
            // is as if it had never been there.
            self.events.remove(told_before);
            self.dequeue(handle);
            self.disarm(handle);
            if let Some(record) = self.jobs.remove(handle) {
                return Err(refuse(record.spec, Refusal::Full));
            }
        }
        self.last_job += 1;
        self.stats.accepted += 1;
        Ok(id)
    }

    fn add(&mut self, now: Instant, id: JobId, spec: JobSpec<C>) -> u32 {
        let handle = self.jobs.insert(id, || {
            let (phase, timer, sums) = (Phase::Between, None, Sums::default());
            let (attempt, cancelled) = (1, false);
            Record { id, spec, submitted: now, phase, attempt, cancelled, timer, sums }
        });
        self.enqueue(handle);
        handle
    }

    fn is_one_too_many(&self, handle: u32) -> bool {
        if self.without_slot() - self.queue.reserved_len() <= self.policy.max_pending {
            return false;
        }
        let record = self.jobs.get(handle).filter(|record| record.is_pending());
        record.is_some_and(|record| !self.queue.is_reserved(record.place(&self.policy)))
    }

    fn without_slot(&self) -> usize {
        self.queue.len() + self.backing_off
    }

    /// Fills what is free, then evicts for who may evict.
    pub(super) fn settle(&mut self, now: Instant) {
        if !self.may_start() {
            return;
        }
        while self.runner.free() > 0 {
            let Some(handle) = self.queue.first() else {
                break;
            };
            self.start(now, handle);
        }
        while let Some(urgent) = self.queue.first_unreserved() {
            let Some(victim) = self.victim_for(urgent) else {
                break;
            };
            if self.queue.reserved_len() >= self.runner.stopping() {
                self.stop_run(now, victim, StopCause::Evicted { by: urgent.job() });
            }
            self.queue.reserve_first();
        }
    }

    /// Gives a slot that was vacated to the first job in priority order, if it
    /// was vacated for a job that still waits, or is needed for a reservation.
    /// One that was vacated for another reason than an eviction is needed only
    /// when fewer are still to come than are reserved.
    pub(super) fn hand_over(&mut self, now: Instant, cause: StopCause) {
        let reserved = self.queue.reserved_len();
        let needed = match cause {
            StopCause::Evicted { by } => reserved > 0 || self.is_pending(by),
            _ => reserved > self.runner.stopping(),
        };
        if needed && self.may_start() {
            if let Some(handle) = self.queue.most_urgent() {
                self.start(now, handle);
            }
        }
    }

    fn is_pending(&self, job: JobId) -> bool {
        let handle = self.jobs.handle(job);
        handle.and_then(|handle| self.jobs.get(handle)).is_some_and(Record::is_pending)
    }

    fn may_start(&self) -> bool {
        self.mode == Mode::Accepting && self.spawning_paused.is_none()
    }

    fn victim_for(&self, urgent: PriorityKey) -> Option<SlotId> {
        let delta = i64::from(self.policy.preempt_delta?.get());
        let (victim, level) = self.runner.victim_at()?;
        (i64::from(urgent.priority().number()) + delta <= level).then_some(victim)
    }

    fn start(&mut self, now: Instant, handle: u32) {
        let id = RunId::new(self.index, self.last_run + 1);
        let Some(record) = self.jobs.get_mut(handle) else {
            return;
        };
        self.queue.remove(record.place(&self.policy));
        let request = RunRequest {
            id,
            job: record.id,
            attempt: record.attempt,
            level: record.spec.level.unwrap_or_else(|| {
                level(record.spec.priority, now - record.submitted, self.policy.aging)
            }),
            shielded: record.is_shielded(&self.policy),
            time_limit: record.spec.time_limit,
            grace: self.policy.grace,
        };
        let Some(run) = self.runner.start(now, request) else {
            return;
        };
        let waited = record.end_wait(now);
        record.phase = Phase::Active(run.slot);
        record.sums.runs += 1;
        let is_timed = record.is_timed();
        self.seat(run.slot, handle);
        self.last_run += 1;
        self.stats.runs += 1;
        self.tell(|| EventKind::Starting { run, waited });
        if is_timed {
            self.arm(handle);
        }
    }

    fn seat(&mut self, slot: SlotId, handle: u32) {
        let place = slot.number() as usize;
        if place >= self.seated.len() {
            self.seated.resize(self.runner.size(), handle);
        }
        self.seated[place] = handle;
    }

    /// Puts a job into the queue and sets its timer.
    pub(super) fn enqueue(&mut self, handle: u32) {
        if let Some(record) = self.jobs.get_mut(handle) {
            record.phase = Phase::Pending { since: self.now };
            let is_timed = record.is_timed();
            self.queue.insert(handle, record.place(&self.policy));
            if is_timed {
                self.arm(handle);
            }
        }
    }

    /// Takes a job out of the queue, if it is pending.
    pub(super) fn dequeue(&mut self, handle: u32) {
        if let Some(record) = self.jobs.get(handle).filter(|record| record.is_pending()) {
            self.queue.remove(record.place(&self.policy));
        }
    }
}

pub(super) fn refuse<C>(job: JobSpec<C>, why: Refusal) -> SubmitError<C> {
    SubmitError { job: job.into(), why }
}
