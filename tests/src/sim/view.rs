//! What can be seen of a bin from outside, as a value to compare.

use sched_core::{Instant, JobId, JobState, Mode, OutcomeKind, RunInfo, SchedulerBin, TaskState};
use std::fmt::Write as _;

use super::Verdict;
use super::model::{Model, Place, Totals};

/// The whole visible state of a bin, or of the model.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct View {
    /// What it does with new jobs.
    pub mode: Mode,
    /// Room for so many more runs.
    pub free_slots: usize,
    /// The pending jobs, in the order in which free slots take them.
    pub pending: Vec<JobId>,
    /// How many jobs wait between two attempts.
    pub backing_off: usize,
    /// Every job without an outcome, in the order of submission.
    pub jobs: Vec<JobLine>,
    /// Every run not yet reaped, by slot.
    pub runs: Vec<RunLine>,
    /// Until when nothing is started for want of resources.
    pub spawning_paused: Option<Instant>,
    /// The next wake-up.
    pub timeout: Option<Instant>,
    /// Figures.
    pub totals: Totals,
}

/// A job, as far as it can be seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct JobLine {
    /// Its id.
    pub id: JobId,
    /// What it is doing.
    pub state: JobState,
    /// When it was submitted.
    pub submitted: Instant,
    /// The attempt that runs or comes next.
    pub attempt: u32,
    /// How often it was evicted.
    pub evictions: u32,
    /// Whether a slot is promised to it.
    pub reserved: bool,
}

/// A run, as far as it can be seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RunLine {
    /// Its id, job, attempt and slot.
    pub info: RunInfo,
    /// How urgent it is while it runs.
    pub level: i64,
    /// Whether it is spared from eviction.
    pub shielded: bool,
    /// What it is doing.
    pub state: TaskState,
    /// When its start was decided.
    pub began: Instant,
}

impl View {
    /// What the machine shows.
    pub fn of_bin<C>(bin: &SchedulerBin<C>) -> Self {
        Self {
            mode: bin.mode(),
            free_slots: bin.free_slots(),
            pending: bin.pending_in_order(),
            backing_off: bin.backing_off(),
            jobs: bin
                .jobs()
                .map(|job| JobLine {
                    id: job.id,
                    state: job.state,
                    submitted: job.submitted,
                    attempt: job.attempt,
                    evictions: job.evictions,
                    reserved: job.reserved,
                })
                .collect(),
            runs: bin
                .runs()
                .map(|run| RunLine {
                    info: run.info,
                    level: run.level,
                    shielded: run.shielded,
                    state: run.state,
                    began: run.began,
                })
                .collect(),
            spawning_paused: bin.spawning_paused(),
            timeout: bin.poll_timeout(),
            totals: totals_of(bin),
        }
    }

    /// What the machine ought to show.
    #[must_use]
    pub fn of_model(model: &Model, slots: usize) -> Self {
        let reserved = model.reserved();
        let line = |job: &super::model::ModelJob| JobLine {
            id: job.id,
            state: model_state(model, job.id, job.place),
            submitted: job.submitted,
            attempt: job.failed + 1,
            evictions: job.evictions,
            reserved: reserved.contains(&job.id),
        };
        let mut runs: Vec<_> = model
            .runs
            .iter()
            .map(|run| RunLine {
                info: run.info,
                level: run.level,
                shielded: run.shielded,
                state: run.state,
                began: run.began,
            })
            .collect();
        runs.sort_by_key(|run| run.info.slot);
        let backs_off = |place| matches!(place, Place::BackingOff(_));
        Self {
            mode: model.mode,
            free_slots: slots - runs.len(),
            pending: model.queue_order(),
            backing_off: model.jobs.iter().filter(|job| backs_off(job.place)).count(),
            jobs: model.jobs.iter().map(line).collect(),
            runs,
            spawning_paused: model.spawning_paused,
            timeout: model.next_timeout(),
            totals: model.totals.clone(),
        }
    }

    /// Compares what is with what ought to be.
    ///
    /// # Errors
    ///
    /// Names what differs.
    pub fn compare(&self, model: &Self) -> Verdict {
        if self == model {
            return Ok(());
        }
        let mut told = String::new();
        let mut differ = |what: &str, is: String, ought: String| {
            if is != ought {
                let _ = write!(told, "\n  {what}:\n    machine {is}\n    model   {ought}");
            }
        };
        differ("mode", text(&self.mode), text(&model.mode));
        differ("free slots", text(&self.free_slots), text(&model.free_slots));
        differ("pending in order", text(&self.pending), text(&model.pending));
        differ("backing off", text(&self.backing_off), text(&model.backing_off));
        differ("jobs", text(&self.jobs), text(&model.jobs));
        differ("runs", text(&self.runs), text(&model.runs));
        differ("spawning paused", text(&self.spawning_paused), text(&model.spawning_paused));
        differ("timeout", text(&self.timeout), text(&model.timeout));
        differ("totals", text(&self.totals), text(&model.totals));
        Err(format!("machine and model differ in{told}"))
    }
}

fn text(value: &impl std::fmt::Debug) -> String {
    format!("{value:?}")
}

fn totals_of<C>(bin: &SchedulerBin<C>) -> Totals {
    let stats = bin.stats();
    Totals {
        outcomes: OutcomeKind::ALL.map(|kind| stats.ended(kind)),
        accepted: stats.accepted,
        runs: stats.runs,
        evictions: stats.evictions,
        useful: stats.useful,
        wasted: stats.wasted,
        refused: stats.refused,
        ignored: stats.reports_ignored,
    }
}

fn model_state(model: &Model, id: JobId, place: Place) -> JobState {
    match place {
        Place::Pending => JobState::Pending,
        Place::BackingOff(until) => JobState::BackingOff { until },
        Place::Slot => match model.runs.iter().find(|run| run.info.job == id) {
            None => JobState::Pending,
            Some(run) => match run.state {
                TaskState::Running { .. } => JobState::Running(run.info.id),
                TaskState::Stopping { cause, .. } => JobState::Stopping(run.info.id, cause),
                _ => JobState::Starting(run.info.id),
            },
        },
    }
}
