//! What the spawner reports, and what becomes of the job.

use sched_core::{
    EventKind, Exit, ExitStatus, Instant, JobId, Mode, OnEvict, OnExhausted, Outcome, Requeue,
    RunId, SpawnFailure, SpawnFailureKind, StopCause, TaskState, TimeBound,
};
use std::time::Duration;

use super::rules::Freed;
use super::{Model, ModelJob, ModelRun, Order, Place};

impl Model {
    /// There is a process.
    pub fn handle_started(&mut self, now: Instant, id: RunId) {
        self.advance(now);
        if self.knows(id) {
            self.exhausted_in_a_row = 0;
            let now = self.now;
            let run = self.run_mut(id);
            match &mut run.state {
                TaskState::Stopping { running, .. } => *running = Some(now),
                state => *state = TaskState::Running { since: now },
            }
            let job = run.info.job;
            self.events.push(EventKind::Started { run: id, job });
        }
        self.finish(None);
    }

    /// There is none, and will be none.
    pub fn handle_spawn_failed(&mut self, now: Instant, id: RunId, why: SpawnFailure) {
        self.advance(now);
        let mut freed = None;
        if self.knows(id) {
            let (run, cause) = self.remove_run(id, Duration::ZERO);
            let occupied = self.now - run.began;
            freed = freed_by(cause);
            let job = run.info.job;
            self.events.push(EventKind::SpawnFailed { run: id, job, why: why.clone() });
            match cause {
                Some(StopCause::Evicted { by }) if why.kind == SpawnFailureKind::Stopped => {
                    self.evicted(job, by, ExitStatus::Unknown, occupied);
                }
                cause => {
                    self.totals.useful += occupied;
                    self.not_started(&run, why, cause);
                }
            }
        }
        self.finish(freed);
    }

    fn not_started(&mut self, run: &ModelRun, why: SpawnFailure, cause: Option<StopCause>) {
        let job = run.info.job;
        match cause {
            _ if self.job(job).cancelled => self.end(job, Outcome::Cancelled { exit: None }),
            Some(StopCause::TimedOut(TimeBound::Deadline)) => self.end(job, Outcome::Expired),
            _ if why.kind == SpawnFailureKind::Exhausted => self.exhausted(run, why),
            _ => self.attempt_failed(job, Outcome::SpawnFailed(why)),
        }
    }

    fn exhausted(&mut self, run: &ModelRun, why: SpawnFailure) {
        let job = run.info.job;
        let back_off = match self.policy.on_exhausted {
            OnExhausted::Pause(back_off) if !self.is_stopping() => back_off,
            _ => return self.end(job, Outcome::SpawnFailed(why)),
        };
        self.put_back(job);
        self.events.push(EventKind::Requeued { job, why: Requeue::Exhausted });
        if self.spawning_paused.is_none() {
            self.exhausted_in_a_row += 1;
            let salt = self.policy.jitter_seed ^ run.info.id.count();
            let until = self.now + back_off.delay(self.exhausted_in_a_row, salt);
            self.spawning_paused = Some(until);
            self.reservations = 0;
            self.events.push(EventKind::SpawningPaused { until });
        }
    }

    /// The process was reaped.
    pub fn handle_exit(&mut self, now: Instant, id: RunId, exit: Exit) {
        self.advance(now);
        let mut freed = None;
        if self.knows(id) {
            let ran = self.ran_so_far(id);
            let (run, cause) = self.remove_run(id, ran);
            freed = freed_by(cause);
            let job = run.info.job;
            let status = exit.status;
            self.events.push(EventKind::Exited { run: id, job, status, ran });
            let occupied = self.now - run.began;
            match cause.filter(|_| exit.after_stop && run.signalled) {
                Some(StopCause::Evicted { by }) => {
                    self.evicted(job, by, status, occupied);
                }
                stopped => {
                    self.totals.useful += occupied;
                    self.ended_otherwise(job, status, stopped);
                }
            }
        }
        self.finish(freed);
    }

    fn evicted(&mut self, id: JobId, by: JobId, exit: ExitStatus, occupied: Duration) {
        self.totals.wasted += occupied;
        self.totals.evictions += 1;
        let job = self.job_mut(id);
        job.evictions += 1;
        let evictions = job.evictions;
        if job.on_evict == OnEvict::Drop {
            return self.end(id, Outcome::Evicted { by, exit });
        }
        self.put_back(id);
        self.events.push(EventKind::Requeued { job: id, why: Requeue::Evicted { by, evictions } });
    }

    /// `stopped` is what ended the run; `None`: the process itself.
    fn ended_otherwise(&mut self, job: JobId, exit: ExitStatus, stopped: Option<StopCause>) {
        match (stopped, exit) {
            (Some(StopCause::TimedOut(limit)), _) => {
                self.end(job, Outcome::TimedOut { limit, exit });
            }
            (Some(_), _) => self.end(job, Outcome::Cancelled { exit: Some(exit) }),
            (None, ExitStatus::Code(0)) => self.end(job, Outcome::Finished),
            (None, ExitStatus::Unknown) => self.end(job, Outcome::Lost),
            (None, _) if self.job(job).cancelled => {
                self.end(job, Outcome::Failed(exit));
            }
            (None, _) => self.attempt_failed(job, Outcome::Failed(exit)),
        }
    }

    /// The attempt is used up: another one later, or `outcome`.
    fn attempt_failed(&mut self, id: JobId, outcome: Outcome) {
        let job = self.job_mut(id);
        job.failed += 1;
        let failed = job.failed;
        if failed >= job.max_attempts || self.is_stopping() {
            return self.end(id, outcome);
        }
        let salt = self.policy.jitter_seed ^ (id.count() << 8) ^ u64::from(failed);
        let at = self.now + self.policy.retry.delay(failed, salt);
        self.job_mut(id).place = Place::BackingOff(at);
        self.events.push(EventKind::Requeued { job: id, why: Requeue::Retry { at, failed } });
    }

    fn put_back(&mut self, id: JobId) {
        let now = self.now;
        let job = self.job_mut(id);
        job.place = Place::Pending;
        job.waiting_since = now;
    }

    fn remove_run(&mut self, id: RunId, ran: Duration) -> (ModelRun, Option<StopCause>) {
        let run = self.run_mut(id).clone();
        self.runs.retain(|other| other.info.id != id);
        self.orders.retain(|order| !matches!(order, Order::Stop(run, _) if *run == id));
        let occupied = self.now - run.began;
        let job = self.job_mut(run.info.job);
        job.occupied += occupied;
        job.ran += ran;
        let cause = match run.state {
            TaskState::Stopping { cause, .. } => Some(cause),
            _ => None,
        };
        (run, cause)
    }

    fn ran_so_far(&mut self, id: RunId) -> Duration {
        let now = self.now;
        match self.run_mut(id).state {
            TaskState::Running { since } => now - since,
            TaskState::Stopping { running, .. } => running.map_or(Duration::ZERO, |at| now - at),
            _ => Duration::ZERO,
        }
    }

    fn is_stopping(&self) -> bool {
        matches!(self.mode, Mode::Stopping | Mode::Stopped)
    }

    fn knows(&mut self, id: RunId) -> bool {
        let known = self.runs.iter().any(|run| run.info.id == id);
        self.totals.ignored += u64::from(!known);
        known
    }

    pub(super) fn job(&self, id: JobId) -> &ModelJob {
        self.jobs.iter().find(|job| job.id == id).unwrap_or_else(|| absent(id))
    }

    pub(super) fn job_mut(&mut self, id: JobId) -> &mut ModelJob {
        self.jobs.iter_mut().find(|job| job.id == id).unwrap_or_else(|| absent(id))
    }

    pub(super) fn run_mut(&mut self, id: RunId) -> &mut ModelRun {
        self.runs.iter_mut().find(|run| run.info.id == id).unwrap_or_else(|| absent(id))
    }

    /// The run of a job that has one.
    pub(super) fn run_of(&self, job: JobId) -> &ModelRun {
        self.runs.iter().find(|run| run.info.job == job).unwrap_or_else(|| absent(job))
    }
}

fn freed_by(cause: Option<StopCause>) -> Option<Freed> {
    let by = match cause? {
        StopCause::Evicted { by } => Some(by),
        _ => None,
    };
    Some(Freed { by })
}

/// A fault of the model itself; the simulation cannot go on.
fn absent<T>(id: impl std::fmt::Debug) -> T {
    panic!("the model does not know {id:?}")
}
