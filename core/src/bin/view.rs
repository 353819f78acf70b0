//! What a bin tells about itself, and its refusals.

use alloc::boxed::Box;
use core::fmt;

use crate::id::{JobId, RunId};
use crate::job::{JobSpec, JobState, OutcomeKind};
use crate::spawner::{RunInfo, Stop};
use crate::time::{Duration, Instant};

/// What the driver must do to a process.
#[derive(Debug, PartialEq, Eq)]
pub enum Action<'a, C> {
    /// Start `command` as this run, and report it.
    Spawn {
        /// The run, its job, its attempt and its slot.
        run: RunInfo,
        /// What to run.
        command: &'a C,
    },
    /// Stop the process of this run.
    Stop {
        /// The run.
        run: RunId,
        /// How.
        how: Stop,
    },
}

/// What a bin is willing to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// It accepts and starts jobs.
    Accepting,
    /// It accepts jobs, and starts nothing.
    Paused,
    /// It finishes what runs, and accepts and starts nothing.
    Draining,
    /// It is ending everything.
    Stopping,
    /// Everything has ended.
    Stopped,
}

/// A job as it is now.
#[derive(Debug)]
pub struct JobView<'a, C> {
    /// Its id.
    pub id: JobId,
    /// As it was submitted.
    pub spec: &'a JobSpec<C>,
    /// What it is doing.
    pub state: JobState,
    /// When it was submitted.
    pub submitted: Instant,
    /// The attempt that runs or comes next, from 1.
    pub attempt: u32,
    /// How often it has been evicted.
    pub evictions: u32,
    /// Whether a slot is being vacated for it.
    pub reserved: bool,
}

/// What a bin has counted since it was made.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Stats {
    pub(super) outcomes: [u64; OutcomeKind::ALL.len()],
    /// Jobs accepted.
    pub accepted: u64,
    /// Submissions refused and handed back.
    pub refused: u64,
    /// Runs that were given a slot.
    pub runs: u64,
    /// Runs that were evicted.
    pub evictions: u64,
    /// Slot time of runs that were not evicted, from the decision to start
    /// until the process was reaped.
    pub useful: Duration,
    /// Slot time of runs that were.
    pub wasted: Duration,
    /// Events that nobody drained in time.
    pub events_dropped: u64,
    /// Reports about runs that the bin does not know.
    pub reports_ignored: u64,
}

impl Stats {
    /// How many jobs have ended this way.
    #[must_use]
    pub const fn ended(&self, kind: OutcomeKind) -> u64 {
        self.outcomes[kind as usize]
    }

    /// How many jobs have ended.
    #[must_use]
    pub fn ended_total(&self) -> u64 {
        self.outcomes.iter().sum()
    }
}

impl core::ops::Add<&Self> for Stats {
    type Output = Self;

    fn add(mut self, other: &Self) -> Self {
        for (mine, theirs) in self.outcomes.iter_mut().zip(other.outcomes) {
            *mine += theirs;
        }
        Self {
            outcomes: self.outcomes,
            accepted: self.accepted + other.accepted,
            refused: self.refused + other.refused,
            runs: self.runs + other.runs,
            evictions: self.evictions + other.evictions,
            useful: self.useful + other.useful,
            wasted: self.wasted + other.wasted,
            events_dropped: self.events_dropped + other.events_dropped,
            reports_ignored: self.reports_ignored + other.reports_ignored,
        }
    }
}

/// A submission that was refused. The job is handed back.
pub struct SubmitError<C> {
    /// The job.
    pub job: Box<JobSpec<C>>,
    /// Why it was refused.
    pub why: Refusal,
}

/// Why a submission was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// As many jobs wait, for a slot or for their next attempt, as may. Try
    /// again later.
    Full,
    /// It is draining. Try again after a resume, or elsewhere.
    Draining,
    /// It was stopped. Try elsewhere.
    Stopped,
    /// None of the bins accepts it.
    NoBin,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => {
                "as many jobs wait, for a slot or for their next attempt, as may; try again later"
            }
            Self::Draining => "the scheduler is draining and accepts no more jobs",
            Self::Stopped => "the scheduler was stopped",
            Self::NoBin => "none of the bins accepts this job",
        })
    }
}

impl<C> fmt::Display for SubmitError<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.why, f)
    }
}

impl<C> fmt::Debug for SubmitError<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubmitError")
            .field("priority", &self.job.priority)
            .field("why", &self.why)
            .finish_non_exhaustive()
    }
}

impl<C> core::error::Error for SubmitError<C> {}

/// There is no such job, or it has its outcome already.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UnknownJob(pub JobId);

impl fmt::Display for UnknownJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is no job {}, or it has ended", self.0)
    }
}

impl core::error::Error for UnknownJob {}
