//! What time does to jobs and to their runs.

use core::mem::replace;

use super::SchedulerBin;
use super::record::{Phase, Record, TimerKey};
use crate::event::EventKind;
use crate::id::SlotId;
use crate::job::{Outcome, StopCause, TimeBound};
use crate::runner::Occupant;
use crate::time::Instant;

impl<C> SchedulerBin<C> {
    /// Whether [`fire_timers`](Self::fire_timers) does anything.
    #[inline]
    pub(super) fn is_anything_due(&self, now: Instant) -> bool {
        let is_due = |at: Instant| at <= now;
        self.timers.first().is_some_and(|(timer, _)| is_due(timer.due))
            || self.spawning_paused.is_some_and(is_due)
    }

    /// Lets everything act that is due, in order of its time and then of jobs.
    #[inline]
    pub(super) fn fire_timers(&mut self, now: Instant) {
        if self.is_anything_due(now) {
            self.fire_all(now);
        }
    }

    #[cold]
    fn fire_all(&mut self, now: Instant) {
        if self.spawning_paused.is_some_and(|until| until <= now) {
            self.spawning_paused = None;
            self.tell(|| EventKind::SpawningResumed);
        }
        while let Some((TimerKey { due, .. }, handle)) = self.timers.first() {
            if due > now {
                break;
            }
            self.disarm(handle);
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
                record.phase = Phase::Between;
                let job = record.id;
                self.backing_off -= 1;
                self.tell(|| EventKind::RetryDue { job });
                self.enqueue(handle);
            }
            Phase::Active(slot) => self.fire_active(now, handle, slot, late),
            Phase::Pending { .. } | Phase::Between | Phase::BackingOff { .. } => self.arm(handle),
        }
    }

    fn fire_active(&mut self, now: Instant, handle: u32, slot: SlotId, late: bool) {
        let Some(run) = self.runner.at(slot) else {
            return;
        };
        if late && self.deadline_matters(handle, run) {
            self.end_run(now, slot, StopCause::TimedOut(TimeBound::Deadline));
        } else if run.task.stop_cause().is_some() {
            self.kill_run(now, slot);
        } else {
            self.stop_run(now, slot, StopCause::TimedOut(TimeBound::Run));
        }
        self.arm(handle);
    }

    /// Whether the deadline of its job can still make a difference to a run.
    fn deadline_matters(&self, handle: u32, run: &Occupant) -> bool {
        run.task.stop_cause().is_none_or(|cause| self.comes_back(handle, cause))
    }

    /// Sets the timer of a job to the next thing that is due about it. It is
    /// worked out anew from the job's state at every change of it, so that no
    /// timer can outlive its reason.
    pub(super) fn arm(&mut self, handle: u32) {
        let Some(record) = self.jobs.get(handle) else {
            return;
        };
        let due = self.due(handle, record);
        if due == record.timer {
            return;
        }
        let job = record.id;
        let before = self.jobs.get_mut(handle).and_then(|it| replace(&mut it.timer, due));
        if let Some(due) = before {
            self.timers.remove(TimerKey { due, job });
        }
        if let Some(due) = due {
            self.timers.insert(TimerKey { due, job }, handle);
        }
    }

    /// As [`arm`](Self::arm), where a run is not being stopped.
    #[inline]
    pub(super) fn arm_if_timed(&mut self, handle: u32) {
        if self.jobs.get(handle).is_some_and(Record::is_timed) {
            self.arm(handle);
        }
    }

    #[inline]
    pub(super) fn disarm(&mut self, handle: u32) {
        if let Some(record) = self.jobs.get_mut(handle) {
            if let Some(due) = record.timer.take() {
                self.timers.remove(TimerKey { due, job: record.id });
            }
        }
    }

    #[inline]
    fn due(&self, handle: u32, record: &Record<C>) -> Option<Instant> {
        let deadline = record.deadline_at();
        let (other, deadline) = match record.phase {
            Phase::Between => return None,
            Phase::Pending { .. } => (record.expires_at(), deadline),
            Phase::BackingOff { until, .. } => (Some(until), deadline),
            Phase::Active(slot) => {
                let run = self.runner.at(slot);
                let matters =
                    |_: &Instant| run.is_some_and(|run| self.deadline_matters(handle, run));
                (run.and_then(|run| run.task.poll_timeout()), deadline.filter(matters))
            }
        };
        match (other, deadline) {
            (Some(one), Some(another)) => Some(one.min(another)),
            (one, another) => one.or(another),
        }
    }
}
