//! What processes do, and what becomes of a job whose run has ended.

use super::SchedulerBin;
use super::record::Phase;
use crate::event::{EventKind, Requeue};
use crate::id::{JobId, RunId};
use crate::job::{Outcome, StopCause};
use crate::policy::{OnEvict, OnExhausted};
use crate::runner::EndedRun;
use crate::spawner::{Exit, ExitStatus, SpawnFailure, SpawnFailureKind};
use crate::time::Instant;

impl<C> SchedulerBin<C> {
    pub(super) fn run_started(&mut self, now: Instant, run: RunId) {
        let Some(info) = self.runner.handle_started(now, run) else {
            self.stats.reports_ignored += 1;
            return;
        };
        self.exhausted = 0;
        self.tell(|| EventKind::Started { run, job: info.job });
        if let Some(handle) = self.seated(info.slot) {
            self.arm_if_timed(handle);
        }
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
        self.tell(|| EventKind::SpawnFailed { run, job, why: why.clone() });
        let handle = self.seated(ended.info.slot)?;
        let evicted = why.kind == SpawnFailureKind::Stopped
            && matches!(ended.cause, Some(StopCause::Evicted { .. }));
        self.book(handle, &ended, evicted);
        match ended.cause {
            Some(StopCause::Evicted { by }) if evicted => {
                self.evicted(handle, by, ExitStatus::Unknown);
            }
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
        self.tell(|| EventKind::Exited { run, job, status: exit.status, ran });
        let handle = self.seated(ended.info.slot)?;
        self.book(handle, &ended, matches!(outcome, Outcome::Evicted { .. }));
        match outcome {
            Outcome::Evicted { by, exit } => self.evicted(handle, by, exit),
            Outcome::Failed(_) => self.attempt_failed(now, handle, outcome),
            outcome => self.conclude(handle, outcome),
        }
        ended.cause
    }

    /// Books the time of a run that has left its slot.
    fn book(&mut self, handle: u32, ended: &EndedRun, evicted: bool) {
        if evicted {
            self.stats.evictions += 1;
            self.stats.wasted += ended.occupied;
        } else {
            self.stats.useful += ended.occupied;
        }
        if let Some(record) = self.jobs.get_mut(handle) {
            record.end_run(ended, evicted);
        }
    }

    pub(super) fn requeues(&self, handle: u32) -> bool {
        self.jobs.get(handle).is_some_and(|it| it.on_evict(&self.policy) == OnEvict::Requeue)
    }

    fn evicted(&mut self, handle: u32, by: JobId, exit: ExitStatus) {
        if self.requeues(handle) {
            self.requeue_victim(handle, by);
        } else {
            self.conclude(handle, Outcome::Evicted { by, exit });
        }
    }

    fn requeue_victim(&mut self, handle: u32, by: JobId) {
        if let Some(record) = self.jobs.get(handle) {
            let (job, evictions) = (record.id, record.sums.evictions);
            self.tell(|| EventKind::Requeued { job, why: Requeue::Evicted { by, evictions } });
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
        self.tell(|| EventKind::Requeued { job, why: Requeue::Retry { at, failed } });
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
                    self.tell(|| EventKind::Requeued { job, why });
                    self.enqueue(handle);
                }
                if self.spawning_paused.is_none() {
                    self.exhausted = self.exhausted.saturating_add(1);
                    let salt = self.policy.jitter_seed ^ run.count();
                    let until = now + backoff.delay(self.exhausted, salt);
                    self.spawning_paused = Some(until);
                    self.queue.unreserve_all();
                    self.tell(|| EventKind::SpawningPaused { until });
                }
            }
            (SpawnFailureKind::Exhausted, OnExhausted::Fail) => {
                self.conclude(handle, Outcome::SpawnFailed(why));
            }
            (SpawnFailureKind::Command | SpawnFailureKind::Stopped, _) => {
                self.attempt_failed(now, handle, Outcome::SpawnFailed(why));
            }
        }
    }

    /// The outcome of a job: it is told, and the job is forgotten.
    pub(super) fn conclude(&mut self, handle: u32, outcome: Outcome) {
        self.dequeue(handle);
        self.disarm(handle);
        let Some(record) = self.jobs.get_mut(handle) else {
            return;
        };
        record.end_wait(self.now);
        if matches!(record.phase, Phase::BackingOff { .. }) {
            self.backing_off -= 1;
        }
        let (job, tally) = (record.id, record.tally(self.now));
        self.jobs.remove(handle);
        self.stats.outcomes[outcome.kind() as usize] += 1;
        self.tell(|| EventKind::Ended { job, outcome, tally });
    }
}
