//! Starting a process.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process;
use std::sync::{Arc, Once};

use async_process::{Child, Stdio};
use rustix::process::Pid;
use sched_core::{SpawnFailure, SpawnFailureKind};
use smol::future::{block_on, poll_once};

use super::capture::Capture;
use super::command::{Command, Output};
use super::error::{exhausted, failed};
use super::group::{Group, kill_and_reap};
use super::limits;
use super::lost::Children;
use super::program;
use super::spares::{Spares, Spooling};

/// How many descriptors must be free for a process to be started, so that none
/// is missing half-way: async-process's pidfd and ours, and both ends of the pipe
/// that the standard library needs where it has to fork.
const HEADROOM: usize = 4;

/// A process that was started and that its task must end and reap.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) child: Child,
    pub(super) group: Group,
    pub(super) capture: Option<Capture>,
    pub(super) spool: Option<Spooling>,
}

/// Variables for the process, which win over those of its command.
pub(super) type Variables = Vec<(&'static str, String)>;

/// A thread that starts processes. It must not go to another thread.
#[derive(Debug, Default)]
pub(super) struct Starter {
    kept: Option<Kept>,
}

/// What it keeps open from one start to the next.
#[derive(Debug)]
struct Kept {
    null: OwnedFd,
    /// `None` where the kernel does not tell of them.
    children: Option<Children>,
}

impl Starter {
    /// Starts `command`. Blocks for 0.1 to 0.6 ms.
    pub(super) fn start(
        &mut self,
        command: &Command,
        vars: &Variables,
        spares: &Arc<Spares>,
    ) -> Result<Started, SpawnFailure> {
        drive_async_process();
        let path = program::resolve(command)?;
        let what = |why: io::Error| failed(format!("cannot start {command}"), &why);
        let kept = self.kept().map_err(what)?;
        let mut command_line = command_line(command, vars, &path);
        let (capture, spool) =
            connect(&mut command_line, command.destination(), &kept.null, spares).map_err(what)?;
        let start = Start { command, program: &path, kept };
        let (child, group) = start.launch(command_line)?;
        Ok(Started { child, group, capture, spool })
    }

    fn kept(&mut self) -> io::Result<&mut Kept> {
        let kept = match self.kept.take() {
            Some(kept) => kept,
            None => Kept {
                null: File::options().read(true).write(true).open("/dev/null")?.into(),
                children: Children::open()?,
            },
        };
        Ok(self.kept.insert(kept))
    }
}

fn command_line(command: &Command, vars: &Variables, program: &Path) -> async_process::Command {
    let mut std = process::Command::new(program);
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
    command_line
}

/// Sets the standard descriptors. After the conversion, which forgets them.
fn connect(
    command: &mut async_process::Command,
    to: Output,
    null: &OwnedFd,
    spares: &Arc<Spares>,
) -> io::Result<(Option<Capture>, Option<Spooling>)> {
    command.stdin(null.try_clone()?);
    match to {
        Output::Null => {
            command.stdout(null.try_clone()?).stderr(null.try_clone()?);
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
            let (spool, [stdout, stderr]) = spares.take()?;
            command.stdout(stdout).stderr(stderr);
            Ok((None, Some(spool)))
        }
    }
}

/// One start.
struct Start<'a> {
    command: &'a Command,
    program: &'a Path,
    kept: &'a mut Kept,
}

impl Start<'_> {
    /// Starts the process so that, whatever fails, none is left running unknown.
    /// `line` is consumed: it holds the other end of the pipe.
    fn launch(self, mut line: async_process::Command) -> Result<(Child, Group), SpawnFailure> {
        let noted = self.kept.children.as_mut().map_or(Ok(()), Children::note);
        let headroom = noted.and_then(|()| headroom(&self.kept.null));
        drop(headroom.map_err(|why| failed(self.what(), &why))?);
        let child = line.spawn().map_err(|why| self.not_started(&why))?;
        let pid = pid_of(&child).ok_or_else(|| exhausted(self.what()))?;
        limits::restore(pid);
        match Group::new(pid) {
            Ok(group) => Ok((child, group)),
            Err(why) => {
                kill_and_reap(pid);
                Err(self.half_started(&why))
            }
        }
    }

    fn what(&self) -> String {
        format!("cannot start {}", self.command)
    }

    fn not_started(&self, why: &io::Error) -> SpawnFailure {
        match &self.kept.children {
            Some(children) if children.end_new() => return self.half_started(why),
            Some(_) => {}
            None => tracing::error!(%why, "no list of children: a process may have been lost"),
        }
        let failure = failed(self.what(), why);
        match failure.kind {
            SpawnFailureKind::Command => {
                program::fault(self.command, self.program).unwrap_or(failure)
            }
            SpawnFailureKind::Exhausted => failure,
        }
    }

    /// It ran for a moment. Whatever the system called the trouble, it was about
    /// the machine, not the command.
    fn half_started(&self, why: &io::Error) -> SpawnFailure {
        let what = self.what();
        exhausted(format!("{what}: {why}, so that it was killed just after its start"))
    }
}

/// As many descriptors as a start can need, to see that there are so many.
/// They are given back just before the start.
fn headroom(any: &OwnedFd) -> io::Result<[OwnedFd; HEADROOM]> {
    let [one, two, three, four] = [(); HEADROOM].map(|()| any.try_clone());
    Ok([one?, two?, three?, four?])
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
