//! The limit of open descriptors, and how many runs fit under it.

use std::fs;
use std::io;
use std::num::NonZeroUsize;
use std::sync::OnceLock;

use rustix::process::{Pid, PidfdFlags, Resource, Rlimit, getpid, getrlimit, pidfd_open};
use rustix::process::{Signal, prlimit, setrlimit};

use super::error::SpawnerError;

/// What a run holds until it is reaped: its pidfd, and the pipe of its output or
/// its two files.
pub(super) const PER_RUN: u64 = 3;
/// What is open for a moment while a thread starts a process: three copies of
/// `/dev/null` or of the other end of the output, that end, and a pipe of the
/// standard library's.
const PER_START: u64 = 6;
/// For everything else that this program may open: sockets, files, pools.
const MARGIN: u64 = 64;

/// The soft limit before it was raised, for the processes to come.
static BEFORE: OnceLock<Rlimit> = OnceLock::new();

/// Checks that the ends of processes can be awaited and learned.
pub(super) fn check_waiting() -> Result<(), SpawnerError> {
    if is_ignored(Signal::CHILD) {
        return Err(SpawnerError::ChildrenIgnored);
    }
    match pidfd_open(getpid(), PidfdFlags::empty()) {
        Ok(_) => Ok(()),
        Err(why) => Err(SpawnerError::NoPidfd(why.into())),
    }
}

/// Makes room for the descriptors of `max_runs` runs, or says why there is none.
pub(super) fn make_room(max_runs: NonZeroUsize, starts: usize) -> Result<(), SpawnerError> {
    let base = open_now() + MARGIN + starts as u64 * PER_START;
    let needed = (max_runs.get() as u64).saturating_mul(PER_RUN).saturating_add(base);
    let limit = getrlimit(Resource::Nofile);
    let (soft, hard) = (limit.current.unwrap_or(u64::MAX), limit.maximum.unwrap_or(u64::MAX));
    if needed <= soft {
        return Ok(());
    }
    if needed > hard {
        let fits = hard.saturating_sub(base) / PER_RUN;
        let max_runs = max_runs.get();
        return Err(SpawnerError::TooManyRuns { max_runs, needed, limit: hard, fits });
    }
    raise(&limit).map_err(|why| SpawnerError::Raise { from: soft, to: hard, why })
}

/// Gives a new process the soft limit that this program once had: programs
/// that use `select` break above 1,024.
pub(super) fn restore(process: Pid) {
    if let Some(before) = BEFORE.get() {
        if let Err(why) = prlimit(Some(process), Resource::Nofile, *before) {
            // Dead already, or with other rights than ours.
            tracing::debug!(pid = process.as_raw_pid(), %why, "a raised limit was inherited");
        }
    }
}

fn raise(limit: &Rlimit) -> io::Result<()> {
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    setrlimit(Resource::Nofile, raised)?;
    let before = BEFORE.get_or_init(|| *limit);
    tracing::info!(from = before.current, to = limit.maximum, "limit of descriptors raised");
    Ok(())
}

/// As this program was told by whoever started it. Without /proc: no.
fn is_ignored(signal: Signal) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> (signal.as_raw() - 1) & 1 == 1
}

fn open_now() -> u64 {
    /// Without /proc: a guess.
    const UNKNOWN: u64 = 64;
    fs::read_dir("/proc/self/fd").map_or(UNKNOWN, |entries| entries.count() as u64)
}
