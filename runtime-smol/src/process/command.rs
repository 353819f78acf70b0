//! What to run.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};

/// A program with its arguments, ready to be run any number of times.
///
/// ```
/// use sched_runtime_smol::{Command, Output};
///
/// let command = Command::new("sh").args(["-c", "echo hello"]).output(Output::CAPTURE);
/// assert_eq!(command.to_string(), r#"sh -c "echo hello""#);
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Command {
    program: OsString,
    args: Vec<OsString>,
    cwd: Option<PathBuf>,
    env: Vec<(OsString, OsString)>,
    env_above_all: Vec<(OsString, OsString)>,
    output: Output,
}

/// Where a process's standard output and standard error go.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Output {
    /// To `/dev/null`.
    #[default]
    Null,
    /// To where this program's own go.
    Inherit,
    /// Into memory, both through one pipe, so that they stay in order. The
    /// last `limit` bytes are kept; what went before is counted.
    Capture {
        /// How many bytes are kept.
        limit: usize,
    },
    /// All of it into files without a name in `$TMPDIR` (or else `/tmp`), one
    /// for each descriptor. The room on that disk is the bound: a process that
    /// fills it is told so by its own write.
    Spool,
}

impl Output {
    /// Capture of the last 64 KiB.
    pub const CAPTURE: Self = Self::Capture { limit: 64 * 1024 };
}

impl Command {
    /// Runs `program`. A name without a slash is looked up in the process's `PATH`
    /// (see [`env`](Self::env)).
    /// A relative path counts from [`cwd`](Self::cwd).
    #[must_use]
    pub fn new(program: impl Into<OsString>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            cwd: None,
            env: Vec::new(),
            env_above_all: Vec::new(),
            output: Output::default(),
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets the working directory; without it, that of this program.
    #[must_use]
    pub fn cwd(mut self, dir: impl Into<PathBuf>) -> Self {
        self.cwd = Some(dir.into());
        self
    }

    /// Adds a variable to the environment, which is otherwise this program's as it
    /// was when the scheduler or spawner was made.
    /// It does not replace the variables in which a scheduler tells a run what
    /// it is (`SCHED_JOB`, `SCHED_RUN`, `SCHED_ATTEMPT`, `SCHED_SLOT`).
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Adds a variable that replaces every other, those of the scheduler too:
    /// for whoever runs jobs that somebody else has numbered.
    #[must_use]
    pub fn env_above_all(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env_above_all.push((name.into(), value.into()));
        self
    }

    /// Says where the output goes; without it, to `/dev/null`.
    #[must_use]
    pub fn output(mut self, output: Output) -> Self {
        self.output = output;
        self
    }

    pub(super) fn program(&self) -> &OsStr {
        &self.program
    }

    pub(super) fn arguments(&self) -> &[OsString] {
        &self.args
    }

    pub(super) fn working_dir(&self) -> Option<&Path> {
        self.cwd.as_deref()
    }

    pub(super) fn variables(&self) -> &[(OsString, OsString)] {
        &self.env
    }

    pub(super) fn variables_above_all(&self) -> &[(OsString, OsString)] {
        &self.env_above_all
    }

    pub(super) fn destination(&self) -> Output {
        self.output
    }
}

impl fmt::Display for Command {
    /// About as one would type it; what could be misread is quoted.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_word(f, &self.program)?;
        for arg in &self.args {
            f.write_str(" ")?;
            write_word(f, arg)?;
        }
        Ok(())
    }
}

fn write_word(f: &mut fmt::Formatter<'_>, word: &OsStr) -> fmt::Result {
    let text = word.to_string_lossy();
    let plain = |c: char| c.is_alphanumeric() || "-_./=:,+@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        f.write_str(&text)
    } else {
        write!(f, "{text:?}")
    }
}
