//! What is submitted, and how it ends.

use core::fmt;
use core::num::NonZeroU32;

use crate::id::{JobId, RunId};
use crate::policy::OnEvict;
use crate::priority::Priority;
use crate::spawner::{ExitStatus, SpawnFailure};
use crate::time::{Duration, Instant};

/// A job as it is submitted: what to run, and under which terms.
///
/// `C` is whatever the driver's [`ProcessSpawner`](crate::ProcessSpawner) can
/// run. What is left `None` follows the [`Policy`](crate::Policy).
///
/// ```
/// use sched_core::{Duration, JobSpec, Priority};
/// let job = JobSpec::new(Priority::new(3), "reduce night-12")
///     .time_limit(Duration::from_secs(600))
///     .expiry(Duration::from_secs(3600));
/// assert_eq!(job.priority.number(), 3);
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JobSpec<C> {
    /// What to run.
    pub command: C,
    /// How urgent it is; lower is more urgent.
    pub priority: Priority,
    /// How long one run may take, counted from its start.
    pub time_limit: Option<Duration>,
    /// How long the job may wait for its first start, counted from its
    /// submission. A job that has started once no longer expires: an eviction
    /// or a retry does not take its claim away.
    pub expiry: Option<Duration>,
    /// How long the job may take as a whole, counted from its submission:
    /// waiting, running and coming back.
    pub deadline: Option<Duration>,
    /// What becomes of the job when it is evicted; `None`: as the policy says.
    pub on_evict: Option<OnEvict>,
    /// How many attempts it has; `None`: as the policy says.
    pub max_attempts: Option<NonZeroU32>,
    /// How urgent its runs are held to be when a victim is looked for; `None`:
    /// as its priority and its wait say. For a scheduler that runs jobs whose
    /// wait another has seen.
    pub level: Option<i64>,
    /// Whether its runs are spared from eviction, whatever the policy says.
    pub shielded: bool,
}

impl<C> JobSpec<C> {
    /// A job without limits of its own.
    #[must_use]
    pub const fn new(priority: Priority, command: C) -> Self {
        Self {
            command,
            priority,
            time_limit: None,
            expiry: None,
            deadline: None,
            on_evict: None,
            max_attempts: None,
            level: None,
            shielded: false,
        }
    }

    /// Sets how long one run may take.
    #[must_use]
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = Some(limit);
        self
    }

    /// Sets how long the job may wait for its first start.
    #[must_use]
    pub fn expiry(mut self, wait: Duration) -> Self {
        self.expiry = Some(wait);
        self
    }

    /// Sets how long the job may take as a whole.
    #[must_use]
    pub fn deadline(mut self, whole: Duration) -> Self {
        self.deadline = Some(whole);
        self
    }

    /// Sets what becomes of the job when it is evicted.
    #[must_use]
    pub fn on_evict(mut self, fate: OnEvict) -> Self {
        self.on_evict = Some(fate);
        self
    }

    /// Sets how urgent its runs are held to be when a victim is looked for.
    #[must_use]
    pub fn level(mut self, level: i64) -> Self {
        self.level = Some(level);
        self
    }

    /// Sets whether its runs are spared from eviction.
    #[must_use]
    pub fn shielded(mut self, shielded: bool) -> Self {
        self.shielded = shielded;
        self
    }

    /// Sets how many attempts the job has.
    #[must_use]
    pub fn max_attempts(mut self, attempts: NonZeroU32) -> Self {
        self.max_attempts = Some(attempts);
        self
    }
}

/// How a job ended. Every accepted job gets exactly one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Its process exited with code 0.
    Finished,
    /// Its last attempt ended by itself with another code, or by a signal
    /// that the scheduler did not send.
    Failed(ExitStatus),
    /// It was stopped because a limit on its time was reached.
    TimedOut {
        /// Which limit.
        limit: TimeBound,
        /// How the process ended then.
        exit: ExitStatus,
    },
    /// It was stopped to make room, and was not to be requeued.
    Evicted {
        /// The job it made room for.
        by: JobId,
        /// How the process ended then; [`Unknown`](ExitStatus::Unknown) as well
        /// where it was stopped before there was one.
        exit: ExitStatus,
    },
    /// Its owner cancelled it, or the scheduler was stopped.
    Cancelled {
        /// How its process ended; `None` when none was running.
        exit: Option<ExitStatus>,
    },
    /// It waited too long: its expiry or its deadline passed while no process
    /// of it was running.
    Expired,
    /// Its process could not be started.
    SpawnFailed(SpawnFailure),
    /// Its process is gone and nobody knows how it ended.
    Lost,
}

/// Which limit on its time a job reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TimeBound {
    /// The time limit of the run.
    Run,
    /// The deadline of the whole job.
    Deadline,
}

impl Outcome {
    /// The outcome without its details, to count and to print.
    #[must_use]
    pub const fn kind(&self) -> OutcomeKind {
        match self {
            Self::Finished => OutcomeKind::Finished,
            Self::Failed(_) => OutcomeKind::Failed,
            Self::TimedOut { .. } => OutcomeKind::TimedOut,
            Self::Evicted { .. } => OutcomeKind::Evicted,
            Self::Cancelled { .. } => OutcomeKind::Cancelled,
            Self::Expired => OutcomeKind::Expired,
            Self::SpawnFailed(_) => OutcomeKind::SpawnFailed,
            Self::Lost => OutcomeKind::Lost,
        }
    }
}

impl fmt::Display for Outcome {
    /// One line: `evicted by j7 (signal 15)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind();
        match self {
            Self::Finished | Self::Expired | Self::Lost => write!(f, "{kind}"),
            Self::Failed(exit) => write!(f, "{kind} ({exit})"),
            Self::TimedOut { limit: TimeBound::Run, exit } => write!(f, "{kind} ({exit})"),
            Self::TimedOut { limit: TimeBound::Deadline, exit } => {
                write!(f, "{kind} at its deadline ({exit})")
            }
            Self::Evicted { by, exit } => write!(f, "{kind} by {by} ({exit})"),
            Self::Cancelled { exit: Some(exit) } => write!(f, "{kind} ({exit})"),
            Self::Cancelled { exit: None } => write!(f, "{kind} (did not run)"),
            Self::SpawnFailed(why) => write!(f, "{kind} ({why})"),
        }
    }
}

/// The eight ways in which a job ends.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum OutcomeKind {
    /// See [`Outcome::Finished`].
    Finished,
    /// See [`Outcome::Failed`].
    Failed,
    /// See [`Outcome::TimedOut`].
    TimedOut,
    /// See [`Outcome::Evicted`].
    Evicted,
    /// See [`Outcome::Cancelled`].
    Cancelled,
    /// See [`Outcome::Expired`].
    Expired,
    /// See [`Outcome::SpawnFailed`].
    SpawnFailed,
    /// See [`Outcome::Lost`].
    Lost,
}

impl OutcomeKind {
    /// All of them, in the order in which they are listed to people.
    pub const ALL: [Self; 8] = [
        Self::Finished,
        Self::Failed,
        Self::TimedOut,
        Self::Evicted,
        Self::Cancelled,
        Self::Expired,
        Self::SpawnFailed,
        Self::Lost,
    ];

    /// Its name in a message or a log: `spawn_failed`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::Evicted => "evicted",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
            Self::SpawnFailed => "spawn_failed",
            Self::Lost => "lost",
        }
    }
}

impl fmt::Display for OutcomeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What an accepted job that has no outcome yet is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum JobState {
    /// Waiting for a slot.
    Pending,
    /// An attempt failed; it waits to be pending again.
    BackingOff {
        /// Until when.
        until: Instant,
    },
    /// It has a slot, and its process is being started.
    Starting(RunId),
    /// Its process runs.
    Running(RunId),
    /// Its process was asked to end and has not been reaped yet.
    Stopping(RunId, StopCause),
}

/// Why a run is stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StopCause {
    /// It makes room for this job.
    Evicted {
        /// The job that is more urgent.
        by: JobId,
    },
    /// It reached a limit on its time.
    TimedOut(TimeBound),
    /// Its owner cancelled it, or the scheduler is being stopped.
    Cancelled,
}

impl fmt::Display for StopCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Evicted { by } => write!(f, "evicted for {by}"),
            Self::TimedOut(TimeBound::Run) => f.write_str("over its time limit"),
            Self::TimedOut(TimeBound::Deadline) => f.write_str("past its deadline"),
            Self::Cancelled => f.write_str("cancelled"),
        }
    }
}
