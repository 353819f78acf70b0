//! Stopping runs, and ending everything.

use alloc::vec::Vec;

use super::record::Phase;
use super::{Mode, SchedulerBin};
use crate::event::EventKind;
use crate::id::RunId;
use crate::job::{Outcome, StopCause};
use crate::process_task::TaskState;
use crate::runner::RunView;
use crate::time::Instant;

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

    pub(super) fn kill_run(&mut self, now: Instant, run: RunId) {
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
    pub(super) fn end_run(&mut self, now: Instant, run: RunId, cause: StopCause) {
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
    pub(super) fn comes_back(&self, run: &RunView) -> bool {
        let cause = match run.state {
            TaskState::Stopping { cause, .. } => Some(cause),
            _ => None,
        };
        matches!(cause, Some(StopCause::Evicted { .. }))
            && self.jobs.handle(run.info.job).is_some_and(|handle| self.requeues(handle))
    }

    pub(super) fn stop_run(&mut self, now: Instant, run: RunId, cause: StopCause) {
        if self.runner.stop(now, run, cause) {
            if let Some(view) = self.runner.run(run) {
                let job = view.info.job;
                self.tell(EventKind::Stopping { run, job, cause });
                self.arm_job(job);
            }
        }
    }
}
