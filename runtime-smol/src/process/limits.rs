//! The limit of open descriptors, and how many runs fit under it.

use std::fs;
use std::io;
use std::num::NonZeroUsize;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::process::{PidfdFlags, Resource, Rlimit, getpid, getrlimit, pidfd_open};
use rustix::process::{Signal, setrlimit};

use super::error::SpawnerError;
use super::spares::BEYOND;

/// What a run holds until it is reaped: its pidfd, and the pipe of its output or
/// its two files.
const PER_RUN: u64 = 3;
/// What a run holds after that, if it wrote to both its files, until nobody has
/// its output any more.
const PER_OUTPUT: u64 = 2;
/// What is open for a moment while a thread starts a process: the process's own
/// openings of its files, or the other end of its pipe.
const PER_START: u64 = 2;
/// The spare files of an owner of runs beyond those that its runs have, and what
/// tells when they are free.
const SPARE: u64 = 2 * BEYOND as u64 + 2;
/// For everything else that this program may open: sockets, files, pools.
const MARGIN: u64 = 64;

/// The runs for which there are places in the whole program.
static PLACES: AtomicUsize = AtomicUsize::new(0);

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

/// Places for runs, which count for as long as this lives.
#[derive(Debug)]
pub(super) struct Places(usize);

impl Places {
    /// Whether there is [room](make_room) for them is another question.
    pub(super) fn take(count: usize) -> Self {
        PLACES.fetch_add(count, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        PLACES.fetch_sub(self.0, Ordering::Relaxed);
    }
}

/// Makes room for the descriptors of `max_runs` runs beside those that have their
/// places already, or says why there is none. What others' runs have open now is
/// counted twice, as open and as theirs to come: too much, but never too little.
/// The places are [taken](Places::take) after that: of two who ask at the same
/// moment each finds room.
pub(super) fn make_room(max_runs: NonZeroUsize, starts: usize) -> Result<(), SpawnerError> {
    let taken = PLACES.load(Ordering::Relaxed) as u64;
    let runs = taken.saturating_add(max_runs.get() as u64);
    let open = open_now() + MARGIN + SPARE + starts as u64 * PER_START;
    let base = taken.saturating_mul(PER_RUN).saturating_add(open);
    let needed = runs.saturating_mul(PER_RUN).saturating_add(open);
    let limit = getrlimit(Resource::Nofile);
    let (soft, hard) = (limit.current.unwrap_or(u64::MAX), limit.maximum.unwrap_or(u64::MAX));
    if needed > hard {
        let fits = hard.saturating_sub(base) / PER_RUN;
        let max_runs = max_runs.get();
        return Err(SpawnerError::TooManyRuns { max_runs, needed, limit: hard, fits });
    }
    // Nobody is refused for the output that others may hold, but it is thought of.
    let wanted = runs.saturating_mul(PER_OUTPUT).saturating_add(needed);
    if wanted <= soft || soft == hard {
        return Ok(());
    }
    match raise(&limit) {
        Err(why) if needed > soft => Err(SpawnerError::Raise { from: soft, to: hard, why }),
        Err(why) => {
            tracing::debug!(%why, "the limit of descriptors stays at {soft}");
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

/// Makes room for so many descriptors that are not of runs, beside those that the
/// runs of this program may need, as far as the hard limit lets. Returns for how
/// many of them there is room.
pub(crate) fn make_room_for_others(wanted: u64) -> u64 {
    let runs = PLACES.load(Ordering::Relaxed) as u64;
    let taken = runs.saturating_mul(PER_RUN + PER_OUTPUT).saturating_add(open_now() + MARGIN);
    let limit = getrlimit(Resource::Nofile);
    let (soft, hard) = (limit.current.unwrap_or(u64::MAX), limit.maximum.unwrap_or(u64::MAX));
    let is_enough = taken.saturating_add(wanted) <= soft || soft == hard;
    let reached = match is_enough {
        true => soft,
        false => raise(&limit).map_or_else(
            |why| {
                tracing::warn!(%why, "the limit of descriptors stays at {soft}");
                soft
            },
            |()| hard,
        ),
    };
    reached.saturating_sub(taken).min(wanted)
}

/// What every process gets, if the limit was raised: programs that use `select`
/// break above 1,024. Never more than this program has.
pub(super) fn before_it_was_raised() -> Option<Rlimit> {
    let before = BEFORE.get()?;
    // `None` is the highest of all.
    let lower = |one: Option<u64>, other: Option<u64>| match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        _ => one.or(other),
    };
    let now = getrlimit(Resource::Nofile);
    Some(Rlimit { current: lower(before.current, now.maximum), maximum: now.maximum })
}

fn raise(limit: &Rlimit) -> io::Result<()> {
    // First: a process that starts meanwhile is not to begin with the raised one.
    let before = BEFORE.get_or_init(|| *limit);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    setrlimit(Resource::Nofile, raised)?;
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
