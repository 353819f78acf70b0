//! Named pipes: how a process under test says where it is.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_lite::StreamExt;
use futures_lite::io::{AsyncBufReadExt, BufReader, Lines};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use smol::Unblock;

/// A named pipe: how a process under test says where it is, and, by its end of
/// file, that it and all its descendants are gone.
#[derive(Debug)]
pub struct Fifo {
    path: PathBuf,
}

impl Fifo {
    /// A pipe with a name that nobody else has.
    ///
    /// # Panics
    ///
    /// It cannot be made.
    #[must_use]
    pub fn new() -> Self {
        static MADE: AtomicU64 = AtomicU64::new(0);
        let name = format!("sched-{}-{}", process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        let mode = Mode::RUSR | Mode::WUSR;
        mknodat(CWD, &path, FileType::Fifo, mode, 0).expect("a named pipe in the temporary folder");
        Self { path }
    }

    /// Its name.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its name, for a script.
    #[must_use]
    pub fn name(&self) -> std::path::Display<'_> {
        self.path.display()
    }

    /// The lines that are written into it, once somebody writes.
    ///
    /// # Panics
    ///
    /// It cannot be opened.
    pub async fn lines(&self) -> FifoLines {
        let path = self.path.clone();
        let file = smol::unblock(move || fs::File::open(path)).await.expect("the named pipe");
        FifoLines(BufReader::new(Unblock::new(file)).lines())
    }
}

impl Default for Fifo {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Fifo {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// The lines out of a [`Fifo`].
#[derive(Debug)]
pub struct FifoLines(Lines<BufReader<Unblock<fs::File>>>);

impl FifoLines {
    /// The next line; `None` when nobody is left who could write one.
    pub async fn next(&mut self) -> Option<io::Result<String>> {
        self.0.next().await
    }

    /// Expects that the next line is `line`.
    ///
    /// # Panics
    ///
    /// It is not.
    pub async fn expect(&mut self, line: &str) {
        let next = self.next().await.map(|line| line.expect("text"));
        assert_eq!(next.as_deref(), Some(line));
    }

    /// Waits until nobody is left who could write a line.
    ///
    /// # Panics
    ///
    /// Somebody writes one.
    pub async fn expect_end(&mut self) {
        let next = self.next().await.map(|line| line.expect("text"));
        assert_eq!(next, None, "a line, where the writers' end was expected");
    }
}
