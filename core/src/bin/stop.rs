//! Stopping runs, and ending everything.

use alloc::vec::Vec;

use super::record::Phase;
use super::{Mode, SchedulerBin};
use crate::event::EventKind;
use crate::id::SlotId;
use crate::job::{Outcome, StopCause};
use crate::time::Instant;

impl<C> SchedulerBin<C> {
    pub(super) fn cancel_job(&mut self, now: Instant, handle: u32) {
        match self.jobs.get(handle).map(|record| record.phase) {
            Some(Phase::Active(slot)) => {
                if let Some(record) = self.jobs.get_mut(handle) {
                    record.cancelled = true;
                }
                self.end_run(now, slot, StopCause::Cancelled);
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
        let all: Vec<SlotId> = self.runner.runs().map(|run| run.info.slot).collect();
        for slot in all {
            self.kill_run(now, slot);
        }
    }

    pub(super) fn kill_run_of(&mut self, now: Instant, handle: u32) {
        if let Some(Phase::Active(slot)) = self.jobs.get(handle).map(|record| record.phase) {
            self.kill_run(now, slot);
        }
    }

    pub(super) fn kill_run(&mut self, now: Instant, slot: SlotId) {
        if let Some(run) = self.runner.kill_at(now, slot) {
            self.tell(|| EventKind::Killing { run: run.id, job: run.job });
            self.arm_seated(slot);
        }
    }

    /// Told once: that draining, or stopping, is over.
    #[inline]
    pub(super) fn tell_if_idle(&mut self) {
        if self.runner.running() == 0 {
            self.tell_idle();
        }
    }

    #[cold]
    fn tell_idle(&mut self) {
        match self.mode {
            Mode::Draining if !self.drained => {
                self.drained = true;
                self.tell(|| EventKind::Drained);
            }
            Mode::Stopping => {
                self.mode = Mode::Stopped;
                self.tell(|| EventKind::Stopped);
            }
            _ => {}
        }
    }

    /// Stops a run. One that is being evicted, to be requeued, goes on being
    /// stopped, and ends for this cause instead.
    pub(super) fn end_run(&mut self, now: Instant, slot: SlotId, cause: StopCause) {
        let stopping = self.runner.at(slot).and_then(|run| run.task.stop_cause());
        let Some(before) = stopping else {
            return self.stop_run(now, slot, cause);
        };
        if self.seated(slot).is_some_and(|handle| self.comes_back(handle, before)) {
            self.runner.change_cause_at(slot, cause);
            self.arm_seated(slot);
        }
    }

    /// Whether a job whose run is being stopped for this will be requeued.
    pub(super) fn comes_back(&self, handle: u32, cause: StopCause) -> bool {
        matches!(cause, StopCause::Evicted { .. }) && self.requeues(handle)
    }

    pub(super) fn stop_run(&mut self, now: Instant, slot: SlotId, cause: StopCause) {
        if let Some(run) = self.runner.stop_at(now, slot, cause) {
            self.tell(|| EventKind::Stopping { run: run.id, job: run.job, cause });
            self.arm_seated(slot);
        }
    }

    /// Sets the timer of the job whose run is in this slot.
    pub(super) fn arm_seated(&mut self, slot: SlotId) {
        if let Some(handle) = self.seated(slot) {
            self.arm(handle);
        }
    }
}
