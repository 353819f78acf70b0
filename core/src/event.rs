//! What happened, for whoever wants to know.

use crate::id::{JobId, RunId};
use crate::job::{Outcome, StopCause};
use crate::priority::Priority;
use crate::spawner::{ExitStatus, RunInfo, SpawnFailure};
use crate::time::{Duration, Instant};

/// Something that a bin decided or learnt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// When.
    pub at: Instant,
    /// What.
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum EventKind {
    /// A job was accepted, and waits for a slot. Where one is free the start
    /// follows at once.
    Accepted {
        /// The job.
        job: JobId,
        /// As submitted.
        priority: Priority,
    },
    /// A job was given a slot, and its process is being started.
    Starting {
        /// The run, its job, its attempt and its slot.
        run: RunInfo,
        /// How long the job waited for this slot.
        waited: Duration,
    },
    /// There is a process.
    Started {
        /// The run.
        run: RunId,
        /// Its job.
        job: JobId,
    },
    /// There is no process: it could not be started. The slot is free.
    SpawnFailed {
        /// The run.
        run: RunId,
        /// Its job.
        job: JobId,
        /// Why.
        why: SpawnFailure,
    },
    /// A run was asked to end.
    Stopping {
        /// The run.
        run: RunId,
        /// Its job.
        job: JobId,
        /// Why.
        cause: StopCause,
    },
    /// A run did not end within the grace period, and is killed.
    Killing {
        /// The run.
        run: RunId,
        /// Its job.
        job: JobId,
    },
    /// A process was reaped. The slot is free.
    Exited {
        /// The run.
        run: RunId,
        /// Its job.
        job: JobId,
        /// How it ended.
        status: ExitStatus,
        /// How long it ran.
        ran: Duration,
    },
    /// A job that had a slot is pending again, at its old place.
    Requeued {
        /// The job.
        job: JobId,
        /// Why.
        why: Requeue,
    },
    /// A job's wait between two attempts is over; it is pending.
    RetryDue {
        /// The job.
        job: JobId,
    },
    /// A job has its outcome. Nothing follows about it.
    Ended {
        /// The job.
        job: JobId,
        /// How it ended.
        outcome: Outcome,
        /// Its life in figures.
        tally: JobTally,
    },
    /// The machine is exhausted; nothing is started for a while.
    SpawningPaused {
        /// Until when.
        until: Instant,
    },
    /// Starting is tried again.
    SpawningResumed,
    /// Nothing new is started until `Resumed`.
    Paused,
    /// No more jobs are accepted, nothing new is started; what runs goes on.
    Draining,
    /// Draining, and the last run has ended.
    Drained,
    /// Jobs are accepted and started.
    Resumed,
    /// Everything is being ended.
    ShuttingDown,
    /// Everything has ended; the last process is reaped.
    Stopped,
}

/// Why a job came back into the queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Requeue {
    /// It was evicted; it has been evicted so many times now.
    Evicted {
        /// By whom.
        by: JobId,
        /// How many times by now.
        evictions: u32,
    },
    /// The machine had no room for its process. No attempt is counted.
    Exhausted,
    /// Its attempt failed, and it has more. It is not eligible before then.
    Retry {
        /// When it will be pending.
        at: Instant,
        /// The attempt that failed, from 1.
        failed: u32,
    },
}

/// The life of a job in figures.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct JobTally {
    /// From its submission to its outcome.
    pub total: Duration,
    /// Of that: without a slot.
    pub waited: Duration,
    /// Of that: with a process, over all its runs.
    pub ran: Duration,
    /// How many runs were given a slot.
    pub runs: u32,
    /// How many of them were evicted.
    pub evictions: u32,
}
