//! The machine: its processors, and what processes take of it.

use std::fs;
use std::num::NonZeroUsize;
use std::process::Command;
use std::thread::available_parallelism;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::trouble::{Doing, Result};

/// The kernel's unit of processor time in `stat`: fixed to this for programs.
const TICKS_A_SECOND: f64 = 100.0;

/// How many processors this program may use.
pub(crate) fn processors() -> usize {
    available_parallelism().map_or(1, NonZeroUsize::get)
}

/// Where a process is to run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    Anywhere,
    /// The first processor: the load generator's, where there are two.
    Load,
    /// The last one: the server's.
    Server,
}

/// Does something as if this thread were at a place. What it starts is born
/// there and stays there.
pub(crate) fn at<T>(place: Place, act: impl FnOnce() -> T) -> Result<T> {
    let all = sched_getaffinity(None).doing("ask for the processors")?;
    let usable: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|cpu| all.is_set(*cpu)).collect();
    let one = match (place, &usable[..]) {
        (Place::Load, [first, _, ..]) => *first,
        (Place::Server, [_, .., last]) => *last,
        _ => return Ok(act()),
    };
    let mut set = CpuSet::new();
    set.set(one);
    sched_setaffinity(None, &set).doing("pin to a processor")?;
    let done = act();
    sched_setaffinity(None, &all).doing("unpin from a processor")?;
    Ok(done)
}

/// Raises the limit of open files as far as it goes: a thousand connections
/// have two ends each.
pub(crate) fn allow_many_files() {
    let limit = getrlimit(Resource::Nofile);
    // Where it stays, opening too many files says so.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

/// The processor time of a process so far, in seconds: all its threads that
/// live, to the nanosecond.
pub(crate) fn processor_time(pid: u32) -> f64 {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let time = |thread: fs::DirEntry| {
        let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<f64>().ok()
    };
    threads.filter_map(time).sum::<f64>() / 1e9
}

/// The processor time of all children of this program that were waited for,
/// and of theirs, in seconds, to 10 ms.
pub(crate) fn children_time() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // What follows the name, which ends with the last bracket, begins with
    // field 3; cutime and cstime are fields 16 and 17.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks = fields.skip(13).take(2).filter_map(|field| field.parse::<f64>().ok());
    ticks.sum::<f64>() / TICKS_A_SECOND
}

/// The memory of a process that is in use, in bytes.
pub(crate) fn resident(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kib.unwrap_or_default() * 1024.0
}

/// What kind of machine this is, in words.
pub(crate) fn description() -> String {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let kernel: Vec<&str> = kernel.trim().split('.').take(2).collect();
    let rustc = Command::new("rustc").arg("--version").output().ok();
    let rustc = rustc.and_then(|out| String::from_utf8(out.stdout).ok()).unwrap_or_default();
    let rustc = rustc.split_whitespace().nth(1).unwrap_or("of a version that is not known");
    format!("{} processors, Linux {}, rustc {rustc}", processors(), kernel.join("."))
}
