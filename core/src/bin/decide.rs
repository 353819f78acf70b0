//! The decisions of a bin: who starts, who is evicted, what becomes of a job
//! whose run has ended, and what time does to it.

use alloc::vec::Vec;

use super::record::{Phase, Record};
use super::{Mode, Refusal, SchedulerBin, SubmitError};
use crate::event::{Event, EventKind, JobTally, Requeue};
use crate::id::{JobId, RunId};
use crate::job::{JobSpec, Outcome, StopCause, TimeBound};
use crate::policy::{OnEvict, OnExhausted};
use crate::process_task::TaskState;
use crate::queue::{PriorityKey, level};
use crate::runner::{EndedRun, RunRequest, RunView};
use crate::spawner::{Exit, SpawnFailure, SpawnFailureKind};
use crate::time::Instant;

fn refuse<C>(job: JobSpec<C>, why: Refusal) -> SubmitError<C> {
    SubmitError { job: job.into(), why }
}

/// Accepting and starting.
impl<C> SchedulerBin<C> {
    /// Accepts a job, unless it would have to wait and too many wait already.
    pub(super) fn try_accept(
        &mut self,
        now: Instant,
        job: JobSpec<C>,
    ) -> Result<JobId, SubmitError<C>> {
        match self.mode {
            Mode::Draining => return Err(refuse(job, Refusal::Draining)),
            Mode::Stopping | Mode::Stopped => return Err(refuse(job, Refusal::Stopped)),
            Mode::Accepting | Mode::Paused => {}
        }
        if self.without_slot() >= self.policy.max_pending.saturating_add(self.slots()) {
            return Err(refuse(job, Refusal::Full));
        }
        let told_before = self.events.len();
        let id = JobId::new(self.index, self.last_job + 1);
        let priority = job.priority;
        let handle = self.add(now, id, job);
        self.settle(now);
        if self.is_one_too_many(handle) {
            // It has neither a slot nor a reservation: without it, everything
            // is as if it had never been there.
            self.queue.remove(handle);
            self.timers.remove(handle);
            if let Some(record) = self.jobs.remove(handle) {
                return Err(refuse(record.spec, Refusal::Full));
            }
        }
        self.last_job += 1;
        self.stats.accepted += 1;
        let kind = EventKind::Accepted { job: id, priority };
        self.events.insert(told_before, Event { at: now, kind });
        Ok(id)
    }

    fn add(&mut self, now: Instant, id: JobId, spec: JobSpec<C>) -> u32 {
        let phase = Phase::Pending { since: now };
        let tally = JobTally::default();
        let (attempt, cancelled) = (1, false);
        let record = Record { id, spec, submitted: now, phase, attempt, cancelled, tally };
        let handle = self.jobs.insert(id, record);
        self.enqueue(handle);
        handle
    }

    fn is_one_too_many(&self, handle: u32) -> bool {
        let waits = self.jobs.get(handle).is_some_and(Record::is_pending);
        waits
            && !self.queue.is_reserved(handle)
            && self.without_slot() - self.queue.reserved_len() > self.policy.max_pending
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
                self.stop_run(now, victim, StopCause::Evicted { by: urgent.job });
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

    fn victim_for(&self, urgent: PriorityKey) -> Option<RunId> {
        let delta = i64::from(self.policy.preempt_delta?.get());
        let (victim, level) = self.runner.victim()?;
        (i64::from(urgent.priority.number()) + delta <= level).then_some(victim)
    }

    fn start(&mut self, now: Instant, handle: u32) {
        self.queue.remove(handle);
        let id = RunId::new(self.index, self.last_run + 1);
        let Some(record) = self.jobs.get_mut(handle) else {
            return;
        };
        let waited_before = record.tally.waited;
        record.end_wait(now);
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
        record.phase = Phase::Active(id);
        record.tally.runs += 1;
        let waited = record.tally.waited - waited_before;
        let Some(run) = self.runner.start(now, request) else {
            return;
        };
        self.last_run += 1;
        self.stats.runs += 1;
        self.tell(EventKind::Starting { run, waited });
        self.arm(handle);
    }

    /// Puts a pending job into the queue and sets its timer.
    fn enqueue(&mut self, handle: u32) {
        if let Some(record) = self.jobs.get(handle) {
            let (place, priority) = record.place(&self.policy);
            self.queue.insert(handle, place, priority);
            self.arm(handle);
        }
    }
}

/// What processes do.
impl<C> SchedulerBin<C> {
    pub(super) fn run_started(&mut self, now: Instant, run: RunId) {
        let Some(info) = self.runner.handle_started(now, run) else {
            self.stats.reports_ignored += 1;
            return;
        };
        self.exhausted = 0;
        self.tell(EventKind::Started { run, job: info.job });
        self.arm_job(info.job);
    }

    /// Returns why the slot was being vacated, if it was.
    pub(super) fn run_not_started(
        &mut self,
        now: Instant,
        run: RunId,
        why: SpawnFailure,
    ) -> Option<StopCause> {
        let Some(ended) = self.runner.handle_spawn_failed(now, run) else {
            self.stats.reports_ignored += 1;
            return None;
        };
        let job = ended.info.job;
        self.tell(EventKind::SpawnFailed { run, job, why: why.clone() });
        self.book(&ended, false);
        let handle = self.jobs.handle(job)?;
        match ended.cause {
            _ if self.jobs.get(handle).is_some_and(|record| record.cancelled) => {
                self.conclude(handle, Outcome::Cancelled { exit: None });
            }
            Some(StopCause::TimedOut(_)) => self.conclude(handle, Outcome::Expired),
            _ => self.spawn_failed(now, handle, run, why),
        }
        ended.cause
    }

    /// Returns why the slot was being vacated, if it was.
    pub(super) fn run_exited(&mut self, now: Instant, run: RunId, exit: Exit) -> Option<StopCause> {
        let Some((ended, outcome)) = self.runner.handle_exit(now, run, exit) else {
            self.stats.reports_ignored += 1;
            return None;
        };
        let (job, ran) = (ended.info.job, ended.ran);
        self.tell(EventKind::Exited { run, job, status: exit.status, ran });
        self.book(&ended, matches!(outcome, Outcome::Evicted { .. }));
        let handle = self.jobs.handle(job)?;
        match outcome {
            Outcome::Evicted { by, .. } if self.requeues(handle) => self.requeue_victim(handle, by),
            Outcome::Failed(_) => self.attempt_failed(now, handle, outcome),
            outcome => self.conclude(handle, outcome),
        }
        ended.cause
    }

    /// Books the time of a run that has left its slot.
    fn book(&mut self, ended: &EndedRun, evicted: bool) {
        if evicted {
            self.stats.evictions += 1;
            self.stats.wasted += ended.occupied;
        } else {
            self.stats.useful += ended.occupied;
        }
        let handle = self.jobs.handle(ended.info.job);
        if let Some(record) = handle.and_then(|handle| self.jobs.get_mut(handle)) {
            record.tally.ran += ended.ran;
            record.tally.evictions += u32::from(evicted);
            record.phase = Phase::Pending { since: self.now };
        }
    }

    fn requeues(&self, handle: u32) -> bool {
        self.jobs.get(handle).is_some_and(|it| it.on_evict(&self.policy) == OnEvict::Requeue)
    }

    fn requeue_victim(&mut self, handle: u32, by: JobId) {
        if let Some(record) = self.jobs.get(handle) {
            let why = Requeue::Evicted { by, evictions: record.tally.evictions };
            self.tell(EventKind::Requeued { job: record.id, why });
            self.enqueue(handle);
        }
    }

    /// An attempt ended with this; the job is tried again if it may be.
    fn attempt_failed(&mut self, now: Instant, handle: u32, outcome: Outcome) {
        let ending = self.is_ending();
        let retry = self.jobs.get_mut(handle).filter(|it| it.may_retry(&self.policy));
        let Some(record) = retry.filter(|_| !ending) else {
            return self.conclude(handle, outcome);
        };
        let failed = record.attempt;
        let salt = self.policy.jitter_seed ^ (record.id.count() << 8) ^ u64::from(failed);
        let at = now + self.policy.retry.delay(failed, salt);
        record.attempt += 1;
        record.phase = Phase::BackingOff { since: now, until: at };
        let job = record.id;
        self.backing_off += 1;
        self.tell(EventKind::Requeued { job, why: Requeue::Retry { at, failed } });
        self.arm(handle);
    }

    fn spawn_failed(&mut self, now: Instant, handle: u32, run: RunId, why: SpawnFailure) {
        match (why.kind, self.policy.on_exhausted) {
            (SpawnFailureKind::Exhausted, OnExhausted::Pause(_)) if self.is_ending() => {
                self.conclude(handle, Outcome::SpawnFailed(why));
            }
            (SpawnFailureKind::Exhausted, OnExhausted::Pause(backoff)) => {
                if let Some(record) = self.jobs.get(handle) {
                    let (job, why) = (record.id, Requeue::Exhausted);
                    self.tell(EventKind::Requeued { job, why });
                    self.enqueue(handle);
                }
                if self.spawning_paused.is_none() {
                    self.exhausted = self.exhausted.saturating_add(1);
                    let salt = self.policy.jitter_seed ^ run.count();
                    let until = now + backoff.delay(self.exhausted, salt);
                    self.spawning_paused = Some(until);
                    self.queue.unreserve_all();
                    self.tell(EventKind::SpawningPaused { until });
                }
            }
            (SpawnFailureKind::Exhausted, OnExhausted::Fail) => {
                self.conclude(handle, Outcome::SpawnFailed(why));
            }
            (SpawnFailureKind::Command, _) => {
                self.attempt_failed(now, handle, Outcome::SpawnFailed(why));
            }
        }
    }
}

/// Stopping.
impl<C> SchedulerBin<C> {
    pub(super) fn cancel_job(&mut self, now: Instant, handle: u32) {
        match self.jobs.get(handle).map(|record| record.phase) {
            Some(Phase::Active(run)) => {
                if let Some(record) = self.jobs.get_mut(handle) {
                    record.cancelled = true;
                }
                self.end_run(now, run, StopCause::Cancelled);
            }
            Some(_) => self.conclude(handle, Outcome::Cancelled { exit: None }),
            None => {}
        }
    }

    pub(super) fn cancel_all(&mut self) {
        let now = self.now;
        let all: Vec<u32> = self.jobs.handles().collect();
        for handle in all {
            self.cancel_job(now, handle);
        }
    }

    pub(super) fn kill_all(&mut self) {
        let now = self.now;
        let all: Vec<RunId> = self.runner.runs().map(|run| run.info.id).collect();
        for run in all {
            self.kill_run(now, run);
        }
    }

    pub(super) fn kill_run_of(&mut self, now: Instant, handle: u32) {
        if let Some(Phase::Active(run)) = self.jobs.get(handle).map(|record| record.phase) {
            self.kill_run(now, run);
        }
    }

    fn kill_run(&mut self, now: Instant, run: RunId) {
        let news = self.runner.kill(now, run);
        if let Some(view) = self.runner.run(run).filter(|_| news) {
            self.tell(EventKind::Killing { run, job: view.info.job });
            self.arm_job(view.info.job);
        }
    }

    /// Told once: that draining, or stopping, is over.
    pub(super) fn tell_if_idle(&mut self) {
        if self.runner.running() > 0 {
            return;
        }
        match self.mode {
            Mode::Draining if !self.drained => {
                self.drained = true;
                self.tell(EventKind::Drained);
            }
            Mode::Stopping => {
                self.mode = Mode::Stopped;
                self.tell(EventKind::Stopped);
            }
            _ => {}
        }
    }

    /// Stops a run. One that is being evicted, to be requeued, goes on being
    /// stopped, and ends for this cause instead.
    fn end_run(&mut self, now: Instant, run: RunId, cause: StopCause) {
        let Some(view) = self.runner.run(run) else {
            return;
        };
        match view.state {
            TaskState::Stopping { .. } if self.comes_back(&view) => {
                self.runner.change_cause(run, cause);
                self.arm_job(view.info.job);
            }
            TaskState::Stopping { .. } => {}
            _ => self.stop_run(now, run, cause),
        }
    }

    /// Whether this run is being evicted and its job will be requeued.
    fn comes_back(&self, run: &RunView) -> bool {
        let cause = match run.state {
            TaskState::Stopping { cause, .. } => Some(cause),
            _ => None,
        };
        matches!(cause, Some(StopCause::Evicted { .. }))
            && self.jobs.handle(run.info.job).is_some_and(|handle| self.requeues(handle))
    }

    fn stop_run(&mut self, now: Instant, run: RunId, cause: StopCause) {
        if self.runner.stop(now, run, cause) {
            if let Some(view) = self.runner.run(run) {
                let job = view.info.job;
                self.tell(EventKind::Stopping { run, job, cause });
                self.arm_job(job);
            }
        }
    }
}

/// Time.
impl<C> SchedulerBin<C> {
    /// Lets everything act that is due, in order of its time and then of jobs.
    pub(super) fn fire_timers(&mut self, now: Instant) {
        if self.spawning_paused.is_some_and(|until| until <= now) {
            self.spawning_paused = None;
            self.tell(EventKind::SpawningResumed);
        }
        while let Some((&(due, _), handle)) = self.timers.peek() {
            if due > now {
                break;
            }
            self.timers.remove(handle);
            self.fire(now, due, handle);
        }
    }

    /// Lets act what was due about a job at `due`, which may be some time ago:
    /// what else has become due since then comes after it.
    fn fire(&mut self, now: Instant, due: Instant, handle: u32) {
        let Some(record) = self.jobs.get_mut(handle) else {
            return;
        };
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= due);
        let late = is_due(record.deadline_at());
        match record.phase {
            Phase::Pending { .. } if late || is_due(record.expires_at()) => {
                self.conclude(handle, Outcome::Expired);
            }
            Phase::BackingOff { .. } if late => self.conclude(handle, Outcome::Expired),
            Phase::BackingOff { until, .. } if until <= due => {
                record.end_wait(now);
                record.phase = Phase::Pending { since: now };
                let job = record.id;
                self.backing_off -= 1;
                self.tell(EventKind::RetryDue { job });
                self.enqueue(handle);
            }
            Phase::Active(run) => self.fire_active(now, handle, run, late),
            Phase::Pending { .. } | Phase::BackingOff { .. } => self.arm(handle),
        }
    }

    fn fire_active(&mut self, now: Instant, handle: u32, run: RunId, late: bool) {
        let Some(view) = self.runner.run(run) else {
            return;
        };
        if late && self.deadline_matters(&view) {
            self.end_run(now, run, StopCause::TimedOut(TimeBound::Deadline));
        } else if matches!(view.state, TaskState::Stopping { .. }) {
            self.kill_run(now, run);
        } else {
            self.stop_run(now, run, StopCause::TimedOut(TimeBound::Run));
        }
        self.arm(handle);
    }

    /// Whether the deadline of its job can still make a difference to a run.
    fn deadline_matters(&self, run: &RunView) -> bool {
        !matches!(run.state, TaskState::Stopping { .. }) || self.comes_back(run)
    }

    fn arm_job(&mut self, job: JobId) {
        if let Some(handle) = self.jobs.handle(job) {
            self.arm(handle);
        }
    }

    /// Sets the timer of a job to the next thing that is due about it. It is
    /// worked out anew from the job's state at every change of it, so that no
    /// timer can outlive its reason.
    fn arm(&mut self, handle: u32) {
        let Some(record) = self.jobs.get(handle) else {
            return;
        };
        let deadline = record.deadline_at();
        let (other, deadline) = match record.phase {
            Phase::Pending { .. } => (record.expires_at(), deadline),
            Phase::BackingOff { until, .. } => (Some(until), deadline),
            Phase::Active(run) => {
                let view = self.runner.run(run);
                let matters = view.is_some_and(|view| self.deadline_matters(&view));
                (self.runner.due(run), deadline.filter(|_| matters))
            }
        };
        match other.into_iter().chain(deadline).min() {
            Some(due) => self.timers.insert(handle, (due, record.id)),
            None => {
                self.timers.remove(handle);
            }
        }
    }
}
