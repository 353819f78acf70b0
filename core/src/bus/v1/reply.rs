//! What the bus says to a client of version 1.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use serde::Serialize;
use serde_json::value::RawValue;

use super::request::SubmitOptions;

/// A message of the bus.
#[derive(Serialize, Debug)]
#[serde(tag = "ev", rename_all = "snake_case")]
pub enum Reply<'a> {
    /// The answer to a registration with version 1.
    Welcome {
        /// The version.
        v: u32,
        /// The session, to come back with.
        session: String,
        /// What becomes of accepted jobs when the bus is killed.
        durability: Durability,
        /// How often a scheduler must send a beat.
        beat_ms: u64,
        /// How long a lease lasts without one.
        lease_ms: u64,
        /// The largest message the bus takes, in bytes.
        max_frame: usize,
        /// The last event so far.
        seq: u64,
    },
    /// A job was accepted.
    Accepted {
        /// The request.
        re: Option<&'a RawValue>,
        /// The job.
        job: String,
        /// The event that tells so.
        seq: u64,
        /// Whether it had been accepted before, under the same key.
        dup: bool,
    },
    /// A scheduler is to run a job.
    Assign {
        /// The job.
        job: String,
        /// The lease under which it has it.
        lease: u64,
        /// Which attempt, from 1.
        attempt: u32,
        /// As it was submitted.
        payload: &'a RawValue,
        /// Its terms.
        opts: AssignOptions,
    },
    /// A scheduler is to end a job.
    Revoke {
        /// The job.
        job: String,
        /// The lease that ends.
        lease: u64,
        /// Why.
        why: RevokeWhy,
    },
    /// The answer to a beat.
    Beat {
        /// The leases it named that have ended.
        revoked: Vec<u64>,
    },
    /// Something happened to a job.
    Job(JobChange<'a>),
    /// What there is.
    Snapshot(Snapshot<'a>),
    /// It was done.
    Ok {
        /// The request.
        re: Option<&'a RawValue>,
    },
    /// It was not done.
    Error {
        /// The request.
        re: Option<&'a RawValue>,
        /// See [`ErrorCode`](super::ErrorCode).
        code: i32,
        /// The same, as a word.
        name: &'static str,
        /// What was wrong, and what to do.
        message: &'a str,
    },
}

/// What becomes of accepted jobs when the bus is killed.
#[derive(Serialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// They are lost.
    Memory,
    /// They are on disk before they are acknowledged.
    Fsync,
}

/// Why a lease is taken back.
#[derive(Serialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "snake_case")]
pub enum RevokeWhy {
    /// The job was cancelled.
    Cancelled,
    /// Its deadline has passed.
    Expired,
    /// The lease has lapsed, and the job is another's now.
    Superseded,
}

/// The terms under which a scheduler runs a job.
#[derive(Serialize, Clone, PartialEq, Eq, Debug)]
pub struct AssignOptions {
    /// As submitted.
    #[serde(flatten)]
    pub submitted: SubmitOptions,
    /// How urgent it is while it runs: its priority less what waiting added.
    pub level: i64,
    /// Whether it has been evicted so often that it is spared from now on.
    pub shielded: bool,
}

/// Where a job is.
#[derive(Serialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "snake_case")]
pub enum WireState {
    /// It waits.
    Pending,
    /// A scheduler has it, and has not started it.
    Assigned,
    /// It runs.
    Running,
    /// It runs, and was asked to end. For who watches; it is none of the states
    /// in which a job is listed.
    Stopping,
    /// See [`Outcome`](crate::Outcome), as for the others.
    Finished,
    /// It failed.
    Failed,
    /// It reached a limit on its time.
    TimedOut,
    /// It was evicted.
    Evicted,
    /// It was cancelled.
    Cancelled,
    /// It waited too long.
    Expired,
    /// It could not be started.
    SpawnFailed,
    /// It lost too many leases.
    Lost,
}

impl WireState {
    /// Whether it is an outcome.
    #[must_use]
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Pending | Self::Assigned | Self::Running | Self::Stopping)
    }
}

/// Something that happened to a job.
#[derive(Serialize, Clone, Debug)]
pub struct JobChange<'a> {
    /// The number of this event; they only grow.
    pub seq: u64,
    /// The job.
    pub job: String,
    /// Where it is now.
    pub state: WireState,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// Its priority as submitted.
    pub priority: i32,
    /// The job that evicted it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// The scheduler that has or had it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on: Option<Cow<'a, str>>,
    /// How long its process ran, in this run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ran_ms: Option<u64>,
    /// The exit code, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<i32>,
    /// The signal that ended it, where one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// In words, where there is more to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Cow<'a, str>>,
    /// The end of what it wrote, where it was captured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<Cow<'a, str>>,
    /// When it is tried again, in milliseconds from now, where that is so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_ms: Option<u64>,
    /// The slot of the scheduler that it has, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slot: Option<u32>,
    /// The job for which it is to make room, while it is stopping.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room_for: Option<String>,
    /// How much time it has before it is killed, while it is stopping.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grace_ms: Option<u64>,
    /// Whether this is its outcome.
    #[serde(rename = "final")]
    pub last: bool,
    /// When, by the bus's clock (RFC 3339).
    pub at: String,
}

/// What there is.
#[derive(Serialize, Debug)]
pub struct Snapshot<'a> {
    /// The request.
    pub re: Option<&'a RawValue>,
    /// The last event that is contained in it.
    pub seq: u64,
    /// The number of the first event that is still kept: `since` may be one
    /// less.
    pub oldest: u64,
    /// When, by the bus's clock (RFC 3339).
    pub at: String,
    /// `accepting`, `paused` or `draining`.
    pub mode: &'static str,
    /// The schedulers.
    pub schedulers: Vec<SchedulerRow>,
    /// What is assigned or runs.
    pub running: Vec<RunningRow>,
    /// How many of what waits come before the first that is named.
    pub from: usize,
    /// What waits, in the order in which it will run; the first of them, if
    /// they are many.
    pub pending: Vec<PendingRow>,
    /// The outcomes that were told last.
    pub ended: Vec<Cow<'a, RawValue>>,
    /// What was counted since the bus started.
    pub counters: Counters,
    /// How long jobs waited for their first start, since the bus started.
    pub wait_ms: Quantiles,
}

/// How long things took that differ much, in milliseconds. `None`: there were
/// none.
#[derive(Serialize, Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Quantiles {
    /// Half of them took no longer than this.
    pub p50: Option<u64>,
    /// All but a hundredth took no longer than this.
    pub p99: Option<u64>,
}

/// A scheduler of the bus.
#[derive(Serialize, Debug)]
pub struct SchedulerRow {
    /// What people call it.
    pub name: String,
    /// Its session.
    pub session: String,
    /// How many jobs it runs at once.
    pub slots: u32,
    /// How many jobs it has.
    pub jobs: usize,
    /// Whether it is connected.
    pub connected: bool,
    /// `accepting`, `paused` or `draining`.
    pub mode: &'static str,
}

/// A job that is assigned or runs.
#[derive(Serialize, Debug)]
pub struct RunningRow {
    /// The job.
    pub job: String,
    /// Its priority as submitted.
    pub priority: i32,
    /// Where it is.
    pub state: WireState,
    /// The scheduler that has it.
    pub on: String,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// How long it has run.
    pub ran_ms: u64,
    /// How long it has been there.
    pub age_ms: u64,
    /// How often it has been evicted.
    pub evictions: u32,
    /// What it is, in a few words.
    pub what: String,
    /// The slot of the scheduler that it has, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slot: Option<u32>,
    /// Why it does not run yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// That it was asked to end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopping: Option<StoppingRow>,
}

/// A run that was asked to end.
#[derive(Serialize, Debug)]
pub struct StoppingRow {
    /// The job for which it is evicted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// How much time it has left before it is killed.
    pub grace_ms: u64,
}

/// A job that waits.
#[derive(Serialize, Debug)]
pub struct PendingRow {
    /// The job.
    pub job: String,
    /// Its priority as submitted.
    pub priority: i32,
    /// Which attempt comes next, from 1.
    pub attempt: u32,
    /// How long it has been there.
    pub age_ms: u64,
    /// How often it has been evicted.
    pub evictions: u32,
    /// What it is, in a few words.
    pub what: String,
    /// Why it does not run.
    pub why: String,
}

/// What was counted since the bus started.
#[derive(Serialize, Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Jobs accepted.
    pub accepted: u64,
    /// Submissions refused.
    pub refused: u64,
    /// Jobs that wait now.
    pub pending: u64,
    /// Jobs that are assigned or run now.
    pub running: u64,
    /// Slots of all schedulers that are connected.
    pub slots: u64,
    /// Assignments.
    pub assigned: u64,
    /// Runs that were evicted.
    pub evictions: u64,
    /// Leases that lapsed.
    pub leases_lost: u64,
    /// Reports under a lease that had ended.
    pub stale_reports: u64,
    /// Time of runs that were not evicted, in milliseconds.
    pub useful_ms: u64,
    /// Time of runs that were.
    pub wasted_ms: u64,
    /// Jobs that finished.
    pub finished: u64,
    /// Jobs that failed.
    pub failed: u64,
    /// Jobs that reached a limit on their time.
    pub timed_out: u64,
    /// Jobs whose outcome is that they were evicted.
    pub evicted: u64,
    /// Jobs that were cancelled.
    pub cancelled: u64,
    /// Jobs that waited too long.
    pub expired: u64,
    /// Jobs that could not be started.
    pub spawn_failed: u64,
    /// Jobs that lost too many leases.
    pub lost: u64,
}
