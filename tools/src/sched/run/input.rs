//! Where the lines come from.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::fd::AsFd;
use std::thread;

use async_channel::{Receiver, Sender, bounded};

use crate::lines::{Found, read_line};

use super::line::{JobLine, LineError, parse};

/// The longest line in bytes: as much as the system takes for one argument.
const LONGEST: usize = 128 * 1024;
/// How many lines are handed over at once, if there are so many.
const BATCH: usize = 256;

/// An open file or standard input.
#[derive(Debug)]
pub(super) struct Input {
    file: File,
    /// Whether all of it is there already.
    pub(super) is_file: bool,
}

/// What was read, in the order in which it stands there.
pub(super) enum Line {
    Job(JobLine, Vec<OsString>),
    Bad { number: u64, why: LineError },
}

/// Some lines, or why there are no more.
pub(super) type Batch = io::Result<Vec<Line>>;

impl Input {
    /// Opens a file; `-` is standard input.
    pub(super) fn open(name: &str) -> io::Result<Self> {
        let file = match name {
            "-" => File::from(io::stdin().as_fd().try_clone_to_owned()?),
            name => File::open(name)?,
        };
        let meta = file.metadata()?;
        if meta.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        Ok(Self { is_file: meta.is_file(), file })
    }

    /// Reads on a thread of its own, because a read may wait for ever. The
    /// channel closes at the end; nothing more is read once it is dropped.
    pub(super) fn read(self) -> io::Result<Receiver<Batch>> {
        let (sender, batches) = bounded(1);
        let reader = BufReader::with_capacity(64 * 1024, self.file);
        thread::Builder::new().name("input".into()).spawn(move || {
            let mut lines = Lines { reader, number: 0, line: Vec::new() };
            while lines.hand_over(&sender) {}
        })?;
        Ok(batches)
    }
}

struct Lines<R> {
    reader: BufReader<R>,
    number: u64,
    line: Vec<u8>,
}

impl<R: Read> Lines<R> {
    /// Reads what is there, and waits if nothing is. Returns whether to go on.
    fn hand_over(&mut self, to: &Sender<Batch>) -> bool {
        let mut batch = Vec::new();
        let more = loop {
            match self.next(&mut batch) {
                Ok(true) if batch.len() < BATCH && self.has_another() => {}
                Ok(more) => break Ok(more),
                Err(why) => break Err(why),
            }
        };
        let handed = batch.is_empty() || to.send_blocking(Ok(batch)).is_ok();
        match more {
            Ok(more) => more && handed,
            Err(why) => {
                // Nobody listens any more: then nobody wants to know.
                let _ = to.send_blocking(Err(why));
                false
            }
        }
    }

    /// Whether a whole line is there, so that reading it does not wait.
    fn has_another(&self) -> bool {
        self.reader.buffer().contains(&b'\n')
    }

    /// Reads a line. Returns whether there was one.
    fn next(&mut self, batch: &mut Vec<Line>) -> io::Result<bool> {
        let found = read_line(&mut self.reader, &mut self.line, LONGEST)?;
        self.number += 1;
        let number = self.number;
        match found {
            Found::End => return Ok(false),
            Found::TooLong => {
                batch.push(Line::Bad { number, why: LineError::TooLong(LONGEST) });
                return Ok(true);
            }
            Found::Line => {}
        }
        match parse(number, &self.line) {
            Ok(Some((job, words))) => batch.push(Line::Job(job, words)),
            Ok(None) => {}
            Err(why) => batch.push(Line::Bad { number, why }),
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &[u8]) -> Vec<(u64, Result<usize, LineError>)> {
        let mut lines = Lines { reader: BufReader::new(text), number: 0, line: Vec::new() };
        let mut batch = Vec::new();
        while lines.next(&mut batch).unwrap() {}
        let seen = batch.into_iter().map(|line| match line {
            Line::Job(job, words) => (job.number, Ok(words.len())),
            Line::Bad { number, why } => (number, Err(why)),
        });
        seen.collect()
    }

    #[test]
    fn lines_are_numbered_and_the_last_needs_no_end() {
        let expected = [(2, Ok(1)), (3, Err(LineError::OpenQuote)), (5, Ok(2))];
        assert_eq!(all(b"\ntrue\n'\n#\necho x"), expected);
    }

    #[test]
    fn a_line_that_is_too_long_is_named_and_the_next_one_read() {
        let long = "x".repeat(LONGEST);
        let text = format!("{long}\n{long}y\ntrue\n{long}y");
        let too_long = || Err(LineError::TooLong(LONGEST));
        assert_eq!(
            all(text.as_bytes()),
            [(1, Ok(1)), (2, too_long()), (3, Ok(1)), (4, too_long())]
        );
    }
}
