//! What time does to jobs and to their runs.

use super::SchedulerBin;
use super::record::Phase;
use crate::event::EventKind;
use crate::id::SlotId;
use crate::job::{Outcome, StopCause, TimeBound};
use crate::runner::Occupant;
use crate::time::Instant;

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
            Phase::Active(slot) => self.fire_active(now, handle, slot, late),
            Phase::Pending { .. } | Phase::BackingOff { .. } => self.arm(handle),
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
        let deadline = record.deadline_at();
        let (other, deadline) = match record.phase {
            Phase::Pending { .. } => (record.expires_at(), deadline),
            Phase::BackingOff { until, .. } => (Some(until), deadline),
            Phase::Active(slot) => {
                let run = self.runner.at(slot);
                let matters =
                    |_: &Instant| run.is_some_and(|run| self.deadline_matters(handle, run));
                (run.and_then(|run| run.task.poll_timeout()), deadline.filter(matters))
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
