//! A process that tells when it runs.
//!
//! Whoever has started a process may hear of it late: the system may well run the
//! new process first, even to its end. What counts for the one that was waited
//! for is when it runs.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::path::PathBuf;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::time::{ClockId, clock_gettime};

use crate::kit::Kit;
use crate::trouble::{Doing, Result, Trouble};

/// How long one may take to run.
const GUARD: Timespec = Timespec { tv_sec: 10, tv_nsec: 0 };

/// The program, and the pipe into which it writes when it runs.
pub(crate) struct Herald {
    program: PathBuf,
    pipe: PathBuf,
    ours: File,
}

impl Herald {
    /// `name` is that of the pipe.
    pub(crate) fn new(kit: &Kit, name: &str) -> Result<Self> {
        let (program, pipe) = (kit.herald()?, kit.file(name));
        // One of an earlier round.
        let _none = std::fs::remove_file(&pipe);
        let made = mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0);
        made.map_err(std::io::Error::from).doing("make a pipe with a name")?;
        // For writing too: so it has no end.
        let ours = OpenOptions::new().read(true).write(true).open(&pipe).doing("open a pipe")?;
        Ok(Self { program, pipe, ours })
    }

    /// The program and its argument.
    pub(crate) fn words(&self) -> [String; 2] {
        [&self.program, &self.pipe].map(|path| path.to_string_lossy().into_owned())
    }

    /// When the next one ran, by [`now`]. Waits for it.
    pub(crate) fn ran(&self) -> Result<i64> {
        let mut ready = [PollFd::new(&self.ours, PollFlags::IN)];
        match poll(&mut ready, Some(&GUARD)) {
            Ok(1) => {}
            Ok(_) => return Err(Trouble::wrong("a process does not run")),
            Err(why) => return Err(std::io::Error::from(why)).doing("wait for a process to run"),
        }
        let mut bytes = [0; 8];
        (&self.ours).read_exact(&mut bytes).doing("hear when a process ran")?;
        Ok(i64::from_ne_bytes(bytes))
    }
}

/// The time, in nanoseconds, by the clock that processes share.
pub(crate) fn now() -> i64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}
