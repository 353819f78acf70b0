//! Starting a process.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process;
use std::sync::Once;

use async_process::{Child, Stdio};
use rustix::process::Pid;
use sched_core::SpawnFailure;
use smol::future::{block_on, poll_once};

use super::capture::Capture;
use super::command::{Command, Output};
use super::error::{exhausted, failed};
use super::group::{Group, kill_and_reap};
use super::limits;
use super::lost::Children;
use super::program;
use super::spool::SpooledOutput;

/// How many descriptors must be free for a process to be started: those it
/// holds and those of the start, so that none is missing half-way.
const HEADROOM: usize = 6;

/// A process that was started and that its task must end and reap.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) child: Child,
    pub(super) group: Group,
    pub(super) capture: Option<Capture>,
    pub(super) spool: Option<SpooledOutput>,
}

/// Variables for the process, which win over those of its command.
pub(super) type Variables = Vec<(&'static str, String)>;

/// Starts `command`. Blocks for 0.1 to 0.6 ms.
pub(super) fn start(command: &Command, vars: &Variables) -> Result<Started, SpawnFailure> {
    drive_async_process();
    let path = program::resolve(command)?;
    let mut std = process::Command::new(path);
    std.arg0(command.program()).args(command.arguments()).process_group(0);
    std.envs(command.variables().iter().map(|(name, value)| (name, value)));
    std.envs(vars.iter().map(|(name, value)| (name, value)));
    std.envs(command.variables_above_all().iter().map(|(name, value)| (name, value)));
    if let Some(dir) = command.working_dir() {
        std.current_dir(dir);
    }
    let mut command_line = async_process::Command::from(std);
    // `status()` is awaited to its end, except where we reap by ourselves.
    command_line.reap_on_drop(false);
    let what = || format!("cannot start {command}");
    let connected = connect(&mut command_line, command.destination());
    let (capture, spool) = connected.map_err(|why| failed(what(), &why))?;
    let (child, group) = launch(command_line, &what)?;
    Ok(Started { child, group, capture, spool })
}

/// Sets the standard descriptors. After the conversion, which forgets them.
fn connect(
    command: &mut async_process::Command,
    to: Output,
) -> io::Result<(Option<Capture>, Option<SpooledOutput>)> {
    command.stdin(Stdio::null());
    match to {
        Output::Null => {
            command.stdout(Stdio::null()).stderr(Stdio::null());
            Ok((None, None))
        }
        Output::Inherit => {
            command.stdout(Stdio::inherit()).stderr(Stdio::inherit());
            Ok((None, None))
        }
        Output::Capture { limit } => {
            let (capture, theirs) = Capture::new(limit)?;
            command.stdout(theirs.try_clone()?).stderr(theirs);
            Ok((Some(capture), None))
        }
        Output::Spool => {
            let spool = SpooledOutput::new()?;
            command.stdout(spool.stdout.share()?).stderr(spool.stderr.share()?);
            Ok((None, Some(spool)))
        }
    }
}

/// Starts the process so that, whatever fails, none is left running unknown.
/// `command` is consumed: it holds the other end of the pipe.
fn launch(
    mut command: async_process::Command,
    what: &dyn Fn() -> String,
) -> Result<(Child, Group), SpawnFailure> {
    let children = Children::note().map_err(|why| failed(what(), &why))?;
    let headroom = headroom().map_err(|why| failed(what(), &why))?;
    drop(headroom);
    let child = command.spawn().map_err(|why| not_started(what(), &why, children.as_ref()))?;
    let pid = pid_of(&child).ok_or_else(|| exhausted(what()))?;
    limits::restore(pid);
    match Group::new(pid) {
        Ok(group) => Ok((child, group)),
        Err(why) => {
            kill_and_reap(pid);
            Err(half_started(what(), &why))
        }
    }
}

/// As many descriptors as a start can need, to see that there are so many.
/// They are given back just before the start.
fn headroom() -> io::Result<Vec<OwnedFd>> {
    let first: OwnedFd = File::open("/dev/null")?.into();
    let more = (1..HEADROOM).map(|_| first.try_clone()).collect::<io::Result<Vec<_>>>()?;
    Ok(more.into_iter().chain([first]).collect())
}

fn not_started(what: String, why: &io::Error, children: Option<&Children>) -> SpawnFailure {
    match children {
        Some(children) if children.end_new() => half_started(what, why),
        Some(_) => failed(what, why),
        None => {
            tracing::error!(%why, "no list of children: a process may have been lost");
            failed(what, why)
        }
    }
}

/// It ran for a moment. Whatever the system called the trouble, it was about
/// the machine, not the command.
fn half_started(what: String, why: &io::Error) -> SpawnFailure {
    exhausted(format!("{what}: {why}, so that it was killed just after its start"))
}

fn pid_of(child: &Child) -> Option<Pid> {
    i32::try_from(child.id()).ok().and_then(Pid::from_raw)
}

/// Keeps async-process from starting a thread of its own, which it does at the
/// first process unless somebody has already polled its driver.
fn drive_async_process() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let mut driver = Box::pin(async_process::driver());
        let _pending = block_on(poll_once(&mut driver));
        smol::spawn(driver).detach();
    });
}
