//! Starting a process.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use sched_core::{SpawnFailure, SpawnFailureKind};

use super::capture::Capture;
use super::command::{Command, Output};
use super::environment::{Additions, BadWord, Environment};
use super::error::{bad_command, failed};
use super::group::Group;
use super::spares::{Spares, Spooling};
use super::strings::{Strings, Table};
use super::vfork::{Fault, Plan, vfork};
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

/// What all processes of one owner are started with.
#[derive(Clone, Debug)]
pub(super) struct Supplies {
    pub(super) environment: Arc<Environment>,
    /// For their output.
    pub(super) spares: Arc<Spares>,
}

/// Starts `command`. Blocks for 0.1 to 0.6 ms, longer if the program is [busy](patiently).
pub(super) fn start(
    command: &Command,
    vars: &Variables,
    supplies: &Supplies,
) -> Result<Started, SpawnFailure> {
    try_start(command, vars, supplies).inspect_err(|why| {
        if why.kind == SpawnFailureKind::Exhausted {
            want::tell(why);
        }
    })
}

fn try_start(
    command: &Command,
    vars: &Variables,
    supplies: &Supplies,
) -> Result<Started, SpawnFailure> {
    let Supplies { environment, spares } = supplies;
    let path = program::resolve(command, environment)?;
    let words = Words::of(command, vars, &path).map_err(|why| bad_word(command, why))?;
    let null = null().map_err(|why| failed(cannot_start(command), &why))?;
    let ends = Ends::of(command, spares)?;
    let plan = Plan {
        program: &words.program,
        arguments: &Table::of(&words.arguments),
        environment: &environment.with(&words.variables),
        directory: words.directory.as_deref(),
        descriptors: ends.descriptors(null),
        limit: limits::before_it_was_raised(),
    };
    let group = launch(command, &path, &plan)?;
    // What is left of the ends is closed: it is the process's.
    let Ends { capture, spool, .. } = ends;
    Ok(Started { group, capture, spool })
}

/// What a process is told, as the system takes it.
struct Words {
    program: CString,
    directory: Option<CString>,
    arguments: Strings,
    variables: Additions,
}

impl Supplies {
    /// For so many runs at once, with the variables that there are now.
    pub(super) fn for_runs(most: usize) -> Self {
        Self { environment: Arc::new(Environment::now()), spares: Spares::new(most) }
    }
}

impl Words {
    fn of(command: &Command, vars: &Variables, program: &Path) -> Result<Self, BadWord> {
        let in_c =
            |path: &Path| CString::new(path.as_os_str().as_bytes()).map_err(|_| BadWord::Zero);
        let mut arguments = Strings::default();
        arguments.push(&[command.program().as_bytes()])?;
        command.arguments().iter().try_for_each(|it| arguments.push(&[it.as_bytes()]))?;
        Ok(Self {
            program: in_c(program)?,
            directory: command.working_dir().map(in_c).transpose()?,
            arguments,
            variables: Additions::new(command, vars)?,
        })
    }
}

/// The standard descriptors of a process, and what is ours of them.
struct Ends {
    theirs: Theirs,
    capture: Option<Capture>,
    spool: Option<Spooling>,
}

enum Theirs {
    Null,
    Inherited,
    /// For both.
    Pipe(OwnedFd),
    Files([File; 2]),
}

impl Ends {
    fn of(command: &Command, spares: &Arc<Spares>) -> Result<Self, SpawnFailure> {
        match command.destination() {
            Output::Null => Ok(Self::without_ours(Theirs::Null)),
            Output::Inherit => Ok(Self::without_ours(Theirs::Inherited)),
            Output::Capture { limit } => {
                let pipe = Capture::new(limit);
                let (ours, theirs) = pipe.map_err(|why| failed(cannot_start(command), &why))?;
                Ok(Self { capture: Some(ours), ..Self::without_ours(Theirs::Pipe(theirs)) })
            }
            Output::Spool => {
                let (ours, theirs) = spares.take().map_err(|why| no_files(command, &why))?;
                Ok(Self { spool: Some(ours), ..Self::without_ours(Theirs::Files(theirs)) })
            }
        }
    }

    const fn without_ours(theirs: Theirs) -> Self {
        Self { theirs, capture: None, spool: None }
    }

    fn descriptors<'a>(&'a self, null: BorrowedFd<'a>) -> [Option<BorrowedFd<'a>>; 3] {
        let (out, err) = match &self.theirs {
            Theirs::Null => (Some(null), Some(null)),
            Theirs::Inherited => (None, None),
            Theirs::Pipe(both) => (Some(both.as_fd()), Some(both.as_fd())),
            Theirs::Files([out, err]) => (Some(out.as_fd()), Some(err.as_fd())),
        };
        [Some(null), out, err]
    }
}

/// `/dev/null`, kept open from one start to the next.
fn null() -> io::Result<BorrowedFd<'static>> {
    static NULL: OnceLock<OwnedFd> = OnceLock::new();
    if let Some(null) = NULL.get() {
        return Ok(null.as_fd());
    }
    let null = File::options().read(true).write(true).open("/dev/null")?;
    Ok(NULL.get_or_init(|| null.into()).as_fd())
}

fn launch(command: &Command, program: &Path, plan: &Plan<'_>) -> Result<Group, SpawnFailure> {
    let started = patiently(|| vfork(plan), thread::sleep);
    let (leader, pidfd) = started.map_err(|fault| not_started(command, program, fault))?;
    Ok(Group::new(leader, pidfd))
}

/// Tries again for 63 ms if the program is open for writing (`ETXTBSY`).
///
/// Whoever has just written it may have closed it long ago: a process that is
/// being started by another thread has a copy of every descriptor until it has
/// its own program. That is over in a moment. What is busy for longer is told as
/// the command's trouble: as the machine's it would hold up all others, for as
/// long as somebody has this one file open.
fn patiently<T>(
    mut start: impl FnMut() -> Result<T, Fault>,
    mut wait: impl FnMut(Duration),
) -> Result<T, Fault> {
    const FIRST: Duration = Duration::from_millis(1);
    const TRIES: u32 = 6;
    for doublings in 0..TRIES {
        match start() {
            Err(Fault::Program(Errno::TXTBSY)) => wait(FIRST * (1 << doublings)),
            result => return result,
        }
    }
    start()
}

fn cannot_start(command: &Command) -> String {
    format!("cannot start {command}")
}

fn bad_word(command: &Command, why: BadWord) -> SpawnFailure {
    let why = match why {
        BadWord::Zero => "a word, a variable or a path has a zero byte in it",
        BadWord::Name => "a variable's name is empty, or has = in it",
    };
    bad_command(format!("{}: {why}", cannot_start(command)))
}

fn no_files(command: &Command, why: &io::Error) -> SpawnFailure {
    let (what, dir) = (cannot_start(command), spool::directory());
    failed(format!("{what}: temporary file in {dir:?}"), why)
}

fn not_started(command: &Command, program: &Path, fault: Fault) -> SpawnFailure {
    match fault {
        Fault::Process(why) => {
            let what = cannot_start(command);
            failed(format!("{what}: the system makes no process for it"), &why.into())
        }
        Fault::Directory(why) => {
            let dir = command.working_dir().unwrap_or_else(|| Path::new("."));
            failed(format!("working directory {dir:?}"), &why.into())
        }
        Fault::Program(why) => {
            let failure = failed(cannot_start(command), &why.into());
            match failure.kind {
                SpawnFailureKind::Command => program::fault(program, why).unwrap_or(failure),
                SpawnFailureKind::Exhausted | SpawnFailureKind::Stopped => failure,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{env, fs, process};

    use super::*;

    fn try_to_start(command: &Command) -> Result<Started, SpawnFailure> {
        start(command, &Vec::new(), &Supplies::for_runs(0))
    }

    #[test]
    fn a_program_that_is_busy_is_tried_again_but_not_for_ever() {
        let supplies = Supplies::for_runs(0);
        let path = env::temp_dir().join(format!("sched-busy-{}", process::id()));
        let original = program::resolve(&Command::new("true"), &supplies.environment).unwrap();
        fs::copy(original, &path).unwrap();
        let writer = File::options().append(true).open(&path).unwrap();
        let words = Words::of(&Command::new("x"), &Vec::new(), &path).unwrap();
        let plan = Plan {
            program: &words.program,
            arguments: &Table::of(&words.arguments),
            environment: &supplies.environment.with(&words.variables),
            directory: None,
            descriptors: [None; 3],
            limit: None,
        };
        let (mut tries, mut waited) = (0, Duration::ZERO);
        let start = || {
            tries += 1;
            vfork(&plan)
        };
        let why = patiently(start, |time| waited += time).unwrap_err();
        drop(writer);
        fs::remove_file(&path).unwrap();
        assert_eq!(why, Fault::Program(Errno::TXTBSY));
        assert_eq!((tries, waited), (7, Duration::from_millis(63)));
    }

    #[test]
    fn a_program_that_was_busy_for_a_moment_is_started() {
        let busy = Err(Fault::Program(Errno::TXTBSY));
        let mut results = [busy, busy, Ok(7)].into_iter();
        assert_eq!(patiently(|| results.next().unwrap(), |_| ()), Ok(7));
        let missing = || Err::<(), _>(Fault::Program(Errno::NOENT));
        assert_eq!(patiently(missing, |_| panic!("in vain")), missing());
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (command, reason) in [
            (Command::new("sh").cwd("/nowhere"), "working directory \"/nowhere\": No such file"),
            (Command::new("sh").cwd("/etc/passwd"), "\"/etc/passwd\": Not a directory"),
            (Command::new("/etc/passwd"), "\"/etc/passwd\" is not an executable file"),
            (Command::new("/nowhere/x"), "program \"/nowhere/x\": No such file"),
            (Command::new("./x").cwd("/nowhere"), "working directory \"/nowhere\""),
            (Command::new("sh").arg("a\0b"), "zero byte"),
            (Command::new("sh").cwd("a\0b"), "zero byte"),
            (Command::new("sh").env("A=B", "c"), "variable's name"),
        ] {
            let why = try_to_start(&command).unwrap_err();
            assert_eq!(why.kind, SpawnFailureKind::Command);
            assert!(why.message.contains(reason), "{why}");
        }
    }
}
