//! Starting a process.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{self, Stdio};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::Pid;
use sched_core::{SpawnFailure, SpawnFailureKind};

use super::capture::Capture;
use super::command::{Command, Output};
use super::error::{bad_command, exhausted, failed};
use super::group::{Group, kill_and_reap};
use super::spares::{Spares, Spooling};
use super::{limits, program, spool, want};

/// A process that was started and that must be ended and reaped.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) group: Group,
    pub(super) capture: Option<Capture>,
    pub(super) spool: Option<Spooling>,
}

/// Variables for the process, which win over those of its command.
pub(super) type Variables = Vec<(&'static str, String)>;

/// Starts `command`. Blocks for 0.1 to 0.6 ms, longer if the program is [busy](patiently).
pub(super) fn start(
    command: &Command,
    vars: &Variables,
    spares: &Arc<Spares>,
) -> Result<Started, SpawnFailure> {
    try_start(command, vars, spares).inspect_err(|why| {
        if why.kind == SpawnFailureKind::Exhausted {
            want::tell(why);
        }
    })
}

fn try_start(
    command: &Command,
    vars: &Variables,
    spares: &Arc<Spares>,
) -> Result<Started, SpawnFailure> {
    let path = program::resolve(command)?;
    let mut line = command_line(command, vars, &path);
    let (capture, spool) = connect(&mut line, command, spares)?;
    let group = launch(command, &path, line)?;
    Ok(Started { group, capture, spool })
}

/// `/dev/null`, kept open from one start to the next.
fn null() -> io::Result<&'static OwnedFd> {
    static NULL: OnceLock<OwnedFd> = OnceLock::new();
    if let Some(null) = NULL.get() {
        return Ok(null);
    }
    let null = File::options().read(true).write(true).open("/dev/null")?;
    Ok(NULL.get_or_init(|| null.into()))
}

fn command_line(command: &Command, vars: &Variables, program: &Path) -> process::Command {
    let mut line = process::Command::new(program);
    line.arg0(command.program()).args(command.arguments()).process_group(0);
    line.envs(command.variables().iter().map(|(name, value)| (name, value)));
    line.envs(vars.iter().map(|(name, value)| (name, value)));
    line.envs(command.variables_above_all().iter().map(|(name, value)| (name, value)));
    if let Some(dir) = command.working_dir() {
        line.current_dir(dir);
    }
    line
}

/// Sets the standard descriptors.
fn connect(
    line: &mut process::Command,
    command: &Command,
    spares: &Arc<Spares>,
) -> Result<(Option<Capture>, Option<Spooling>), SpawnFailure> {
    let capture = connect_plain(line, command.destination());
    let capture = capture.map_err(|why| failed(cannot_start(command), &why))?;
    if command.destination() != Output::Spool {
        return Ok((capture, None));
    }
    let files = spares.take();
    let (spool, [stdout, stderr]) = files.map_err(|why| no_files(command, &why))?;
    line.stdout(stdout).stderr(stderr);
    Ok((capture, Some(spool)))
}

/// All but files.
fn connect_plain(line: &mut process::Command, to: Output) -> io::Result<Option<Capture>> {
    let null = null()?;
    line.stdin(null.try_clone()?);
    match to {
        Output::Null => {
            line.stdout(null.try_clone()?).stderr(null.try_clone()?);
        }
        Output::Inherit => {
            line.stdout(Stdio::inherit()).stderr(Stdio::inherit());
        }
        Output::Capture { limit } => {
            let (capture, theirs) = Capture::new(limit)?;
            line.stdout(theirs.try_clone()?).stderr(theirs);
            return Ok(Some(capture));
        }
        Output::Spool => {}
    }
    Ok(None)
}

/// Starts the process so that, whatever fails, none is left running unknown.
///
/// `line` holds the process's standard descriptors. They are given back as soon
/// as it has its own: the other end of a pipe must not stay open here, and what
/// watches the process needs a descriptor, which must not be the one too many
/// after the process runs. It had three more a moment ago.
fn launch(
    command: &Command,
    program: &Path,
    mut line: process::Command,
) -> Result<Group, SpawnFailure> {
    let child = patiently(|| line.spawn(), thread::sleep);
    let child = child.map_err(|why| not_started(command, program, &why))?;
    drop(line);
    // The crew reaps: of the child only its number is of use.
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| exhausted(cannot_start(command)))?;
    limits::restore(pid);
    Group::new(pid).map_err(|why| half_started(command, pid, why))
}

/// Tries again for 63 ms if the program is open for writing (`ETXTBSY`).
///
/// Whoever has just written it may have closed it long ago: a process that is
/// being started by another thread has a copy of every descriptor until it has
/// its own program. That is over in a moment. What is busy for longer is told as
/// the command's trouble: as the machine's it would hold up all others, for as
/// long as somebody has this one file open.
fn patiently<T>(
    mut spawn: impl FnMut() -> io::Result<T>,
    mut wait: impl FnMut(Duration),
) -> io::Result<T> {
    const FIRST: Duration = Duration::from_millis(1);
    const TRIES: u32 = 6;
    for doublings in 0..TRIES {
        match spawn() {
            Err(why) if why.kind() == io::ErrorKind::ExecutableFileBusy => {
                wait(FIRST * (1 << doublings));
            }
            result => return result,
        }
    }
    spawn()
}

fn cannot_start(command: &Command) -> String {
    format!("cannot start {command}")
}

fn no_files(command: &Command, why: &io::Error) -> SpawnFailure {
    let (what, dir) = (cannot_start(command), spool::directory());
    failed(format!("{what}: temporary file in {dir:?}"), why)
}

fn not_started(command: &Command, program: &Path, why: &io::Error) -> SpawnFailure {
    let failure = failed(cannot_start(command), why);
    match failure.kind {
        SpawnFailureKind::Command => program::fault(command, program).unwrap_or(failure),
        SpawnFailureKind::Exhausted | SpawnFailureKind::Stopped => failure,
    }
}

/// It runs, or ran for a moment, and cannot be watched. It must not be started
/// again and again where that would end the same way.
fn half_started(command: &Command, pid: Pid, why: Errno) -> SpawnFailure {
    let what = cannot_start(command);
    if why == Errno::SRCH {
        // Its number may be a stranger's by now.
        return bad_command(format!(
            "{what}: it was started, but something in this program reaps processes that are \
             not its own (or ignores SIGCHLD): how it ended is not known"
        ));
    }
    match kill_and_reap(pid) {
        // Whatever the system called the trouble, it was about the machine.
        Ok(()) => exhausted(format!("{what}: {why}, so that it was killed just after its start")),
        Err(refused) => bad_command(format!(
            "{what}: it was started as process {pid}, but cannot be watched ({why}) nor killed \
             ({refused}): it runs on"
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::{env, fs};

    use super::*;

    #[test]
    fn a_program_that_is_busy_is_tried_again_but_not_for_ever() {
        let path = env::temp_dir().join(format!("sched-busy-{}", process::id()));
        fs::copy(program::resolve(&Command::new("true")).unwrap(), &path).unwrap();
        let writer = File::options().append(true).open(&path).unwrap();
        let (mut tries, mut waited) = (0, Duration::ZERO);
        let spawn = || {
            tries += 1;
            process::Command::new(&path).spawn()
        };
        let why = patiently(spawn, |time| waited += time).unwrap_err();
        drop(writer);
        fs::remove_file(&path).unwrap();
        assert_eq!(why.kind(), io::ErrorKind::ExecutableFileBusy);
        assert_eq!((tries, waited), (7, Duration::from_millis(63)));
    }

    #[test]
    fn a_program_that_was_busy_for_a_moment_is_started() {
        let mut results = [Err(Errno::TXTBSY), Err(Errno::TXTBSY), Ok(7)].into_iter();
        let spawn = || Ok(results.next().unwrap()?);
        assert_eq!(patiently(spawn, |_| ()).unwrap(), 7);
        let missing = patiently(|| Err::<(), _>(Errno::NOENT.into()), |_| panic!("in vain"));
        assert_eq!(missing.unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_process_that_others_have_reaped_is_not_started_again_and_again() {
        let mut child = process::Command::new("true").spawn().unwrap();
        let pid = Pid::from_child(&child);
        child.wait().unwrap();
        let why = Group::new(pid).unwrap_err();
        let failure = half_started(&Command::new("true"), pid, why);
        assert_eq!(failure.kind, SpawnFailureKind::Command, "{failure}");
        assert!(failure.message.contains("SIGCHLD"), "{failure}");
    }
}
