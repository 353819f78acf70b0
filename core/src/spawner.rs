//! The one port to the world: starting and stopping processes.

use alloc::string::String;
use core::fmt;

use crate::id::{JobId, RunId, SlotId};

/// Starts and stops processes for a machine of this crate.
///
/// # Contract
///
/// - Neither method blocks or awaits. What takes time is done elsewhere and
///   reported later to the machine that asked, through its `handle_*` methods.
/// - `spawn` returns `Ok` when the start is under way. Every such run yields
///   either exactly one `handle_spawn_failed`, or exactly one `handle_started`
///   and, later, exactly one `handle_exit`. Nothing else, and nothing twice.
/// - `spawn` returns `Err` when the start was refused at once. Such a run
///   yields nothing more.
/// - `stop` is about a run that is under way. While that run is still
///   starting it takes effect as soon as there is a process, or keeps it from
///   being started: then the run yields `handle_spawn_failed` with
///   [`SpawnFailureKind::Stopped`]. On one that has already ended, or that the
///   spawner does not know, it does nothing.
/// - `handle_exit` means *reaped*: the process is gone, all that it left behind
///   in its process group has been sent KILL (and may take a moment yet to die),
///   and no signal can reach a stranger that was given its number since.
///
/// Faults are decorators: a spawner that wraps another and refuses, delays or
/// loses calls is how the tests of this project make trouble.
pub trait ProcessSpawner {
    /// Whatever this spawner can run.
    type Command;

    /// Starts `command` as `run`.
    ///
    /// # Errors
    ///
    /// The start was refused at once; see [`SpawnFailureKind`] for what the
    /// scheduler makes of it.
    fn spawn(&mut self, run: &RunInfo, command: &Self::Command) -> Result<(), SpawnFailure>;

    /// Asks `run` to end, or ends it.
    fn stop(&mut self, run: RunId, how: Stop);
}

/// What a process may know about itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RunInfo {
    /// This attempt.
    pub id: RunId,
    /// The job it is an attempt of.
    pub job: JobId,
    /// Which attempt, from 1. A run that follows an eviction repeats the
    /// number: an eviction is not an attempt.
    pub attempt: u32,
    /// The slot it occupies.
    pub slot: SlotId,
}

/// How to stop a process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stop {
    /// Ask it to end (SIGTERM, to its whole process group).
    Terminate,
    /// End it (SIGKILL, to its whole process group).
    Kill,
}

/// The end of a process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Exit {
    /// What the process left as its status.
    pub status: ExitStatus,
    /// Whether a stop had been carried out (a signal sent) before the exit was
    /// seen. `false` keeps the natural outcome even when the scheduler has
    /// asked for a stop in the meantime: the process was faster.
    pub after_stop: bool,
}

impl Exit {
    /// A process that ended by itself.
    #[must_use]
    pub const fn natural(status: ExitStatus) -> Self {
        Self { status, after_stop: false }
    }

    /// A process that ended after it was sent a signal.
    #[must_use]
    pub const fn stopped(status: ExitStatus) -> Self {
        Self { status, after_stop: true }
    }
}

/// The status of a process that has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExitStatus {
    /// It exited with this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
    /// It is gone, and nobody knows how it ended.
    Unknown,
}

impl ExitStatus {
    /// Whether the process exited with code 0.
    #[must_use]
    pub const fn is_success(self) -> bool {
        matches!(self, Self::Code(0))
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
            Self::Unknown => f.write_str("exit status unknown"),
        }
    }
}

/// Why a process could not be started.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SpawnFailure {
    /// What the scheduler makes of it.
    pub kind: SpawnFailureKind,
    /// What a person makes of it: what failed, and the system's own words.
    pub message: String,
}

/// The kinds of [`SpawnFailure`] that a scheduler treats differently.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SpawnFailureKind {
    /// It is about this command: no such program, no permission. Another try
    /// would fail the same way.
    Command,
    /// It is about this machine: no memory, processes, descriptors or room on
    /// the disk left (`ENOMEM`, `EAGAIN`, `EMFILE`, `ENFILE`, `ENOSPC`,
    /// `EDQUOT`). Any other command would have failed too; a later try may not.
    Exhausted,
    /// It is about this run: it was stopped before anybody had tried to start
    /// it. What becomes of the job is what the stop was for.
    Stopped,
}

impl fmt::Display for SpawnFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl core::error::Error for SpawnFailure {}
