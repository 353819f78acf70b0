//! What may be asked of a bin at any time.

use alloc::vec::Vec;

use super::record::Phase;
use super::{JobView, Mode, SchedulerBin, Stats};
use crate::id::{BinIndex, JobId};
use crate::job::JobState;
use crate::policy::Policy;
use crate::process_task::TaskState;
use crate::runner::RunView;
use crate::time::Instant;

impl<C> SchedulerBin<C> {
    /// Its place in its manager.
    #[must_use]
    pub const fn index(&self) -> BinIndex {
        self.index
    }

    /// The rules it decides by.
    #[must_use]
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// What it is willing to do.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// Whether it was told to end everything.
    #[must_use]
    pub const fn is_ending(&self) -> bool {
        matches!(self.mode, Mode::Stopping | Mode::Stopped)
    }

    /// How many slots it has.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.runner.size()
    }

    /// How many of them are free.
    #[must_use]
    pub fn free_slots(&self) -> usize {
        self.runner.free()
    }

    /// How many runs have not been reaped yet.
    #[must_use]
    pub fn running(&self) -> usize {
        self.runner.running()
    }

    /// How many jobs wait for a slot.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.queue.len()
    }

    /// How many jobs wait for their next attempt.
    #[must_use]
    pub const fn backing_off(&self) -> usize {
        self.backing_off
    }

    /// Until when nothing is started because the machine is exhausted.
    #[must_use]
    pub const fn spawning_paused(&self) -> Option<Instant> {
        self.spawning_paused
    }

    /// What it has counted.
    #[must_use]
    pub const fn stats(&self) -> &Stats {
        &self.stats
    }

    /// A job; `None` if it is unknown or has its outcome.
    #[must_use]
    pub fn job(&self, job: JobId) -> Option<JobView<'_, C>> {
        self.view(self.jobs.handle(job)?)
    }

    /// The jobs that have no outcome yet, in order of submission. O(n log n).
    pub fn jobs(&self) -> impl Iterator<Item = JobView<'_, C>> {
        self.jobs.handles().filter_map(|handle| self.view(handle))
    }

    /// The pending jobs, in the order in which free slots take them. O(n log n).
    #[must_use]
    pub fn pending_in_order(&self) -> Vec<JobId> {
        let record = |handle| self.jobs.get(handle).map(|record| record.id);
        self.queue.in_order().into_iter().filter_map(record).collect()
    }

    /// The runs that have not been reaped yet, by slot.
    pub fn runs(&self) -> impl Iterator<Item = RunView> {
        self.runner.runs()
    }

    fn view(&self, handle: u32) -> Option<JobView<'_, C>> {
        let record = self.jobs.get(handle)?;
        let state = match record.phase {
            Phase::Pending { .. } | Phase::Between => JobState::Pending,
            Phase::BackingOff { until, .. } => JobState::BackingOff { until },
            Phase::Active(slot) => {
                let occupant = self.runner.at(slot)?;
                let run = occupant.info.id;
                match occupant.task.state() {
                    TaskState::Running { .. } => JobState::Running(run),
                    TaskState::Stopping { cause, .. } => JobState::Stopping(run, cause),
                    TaskState::Starting | TaskState::Exited { .. } => JobState::Starting(run),
                }
            }
        };
        Some(JobView {
            id: record.id,
            spec: &record.spec,
            state,
            submitted: record.submitted,
            attempt: record.attempt,
            evictions: record.sums.evictions,
            reserved: record.is_pending() && self.queue.is_reserved(record.place(&self.policy)),
        })
    }
}
