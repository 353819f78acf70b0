//! What can go wrong, in the types that tell it.

use std::io;

use rustix::io::Errno;
use sched_core::{SpawnFailure, SpawnFailureKind};

/// Why a [`SmolSpawner`](crate::SmolSpawner) cannot be made.
#[derive(thiserror::Error, Debug)]
pub enum SpawnerError {
    /// The limit of descriptors leaves no room for so many runs.
    #[error(
        "{max_runs} runs at once, with all else in this program, may need {needed} descriptors, \
         and the hard limit is {limit}: \
         use at most {fits} slots, or raise the limit (ulimit -Hn, LimitNOFILE=)"
    )]
    TooManyRuns {
        /// How many runs were asked for.
        max_runs: usize,
        /// How many descriptors they need, with those that are open now and
        /// those that the other runs of this program may need.
        needed: u64,
        /// How many this program may have.
        limit: u64,
        /// How many runs would fit.
        fits: u64,
    },
    /// The soft limit of descriptors could not be raised.
    #[error("cannot raise the limit of descriptors from {from} to {to}: {why}")]
    Raise {
        /// The soft limit as it is.
        from: u64,
        /// The hard limit.
        to: u64,
        /// The system's own words.
        why: io::Error,
    },
    /// The system has no pidfds, or forbids them.
    #[error("cannot await processes without pidfds (Linux 5.4 or later, pidfd_open allowed): {0}")]
    NoPidfd(io::Error),
    /// What watches processes could not be made: no descriptor is left, say.
    #[error("cannot watch processes: {0}")]
    Watch(io::Error),
    /// Nobody could learn how a process ended.
    #[error(
        "SIGCHLD is ignored, so that the system forgets processes as they end: \
         start this program with SIGCHLD at its default"
    )]
    ChildrenIgnored,
}

/// A failure to start, sorted by what the system said.
pub(super) fn failed(what: impl Into<String>, why: &io::Error) -> SpawnFailure {
    let mut message = what.into();
    message.push_str(": ");
    message.push_str(&why.to_string());
    SpawnFailure { kind: kind(why), message }
}

/// A failure that is about the command, in words of ours.
pub(super) fn bad_command(message: String) -> SpawnFailure {
    SpawnFailure { kind: SpawnFailureKind::Command, message }
}

/// A failure that is about the machine, in words of ours.
pub(super) fn exhausted(message: String) -> SpawnFailure {
    SpawnFailure { kind: SpawnFailureKind::Exhausted, message }
}

/// It was stopped in time: nobody has tried.
pub(super) fn stopped(message: String) -> SpawnFailure {
    SpawnFailure { kind: SpawnFailureKind::Stopped, message }
}

/// Whether waiting may help. A full disk or a used up quota gets room again as
/// other files go, and until then no command finds room for its output. A disk
/// that is read-only, broken or not there stays so until somebody mends it: that
/// must be told, not waited for.
fn kind(why: &io::Error) -> SpawnFailureKind {
    const EXHAUSTED: [Errno; 6] =
        [Errno::NOMEM, Errno::AGAIN, Errno::MFILE, Errno::NFILE, Errno::NOSPC, Errno::DQUOT];
    match Errno::from_io_error(why) {
        Some(errno) if EXHAUSTED.contains(&errno) => SpawnFailureKind::Exhausted,
        _ => SpawnFailureKind::Command,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn want_of_resources_is_told_from_a_bad_command() {
        for (errno, expected) in [
            (Errno::MFILE, SpawnFailureKind::Exhausted),
            (Errno::NFILE, SpawnFailureKind::Exhausted),
            (Errno::NOMEM, SpawnFailureKind::Exhausted),
            (Errno::AGAIN, SpawnFailureKind::Exhausted),
            (Errno::NOSPC, SpawnFailureKind::Exhausted),
            (Errno::DQUOT, SpawnFailureKind::Exhausted),
            (Errno::ROFS, SpawnFailureKind::Command),
            (Errno::IO, SpawnFailureKind::Command),
            (Errno::NOENT, SpawnFailureKind::Command),
            (Errno::ACCESS, SpawnFailureKind::Command),
            (Errno::TOOBIG, SpawnFailureKind::Command),
        ] {
            assert_eq!(failed("x", &errno.into()).kind, expected, "{errno:?}");
        }
    }
}
