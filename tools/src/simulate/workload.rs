//! Workloads from files.

use std::fmt;
use std::io::{self, BufRead};

use thiserror::Error;

use super::recorded::Recorded;
use super::{Work, swf};
use crate::lines::{Found, read_line};

/// What a file is written in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// The Standard Workload Format, version 2: see [`Source`].
    Swf,
    /// The events of a bus, a JSON object a line, as `sched events --json`
    /// prints them.
    Events,
}

/// What is done about a line that makes no sense.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum BadLines {
    /// Nothing is read.
    #[default]
    Fail,
    /// It is left out, and named.
    Skip,
}

/// A line that makes no sense.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("line {number}: {why}")]
pub struct BadLine {
    /// Counted from 1.
    pub number: usize,
    /// What is wrong with it.
    pub why: String,
}

/// Why a workload could not be read.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The file.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A line of it.
    #[error("{0}; --bad-lines skip goes on without such lines")]
    Line(BadLine),
    /// It has no job that could be simulated.
    #[error("there is no job in it ({0})")]
    Empty(Source),
}

/// What was read, and what was not.
///
/// A record of the Standard Workload Format has 18 numbers, of which -1 means
/// "not known". Used are: 2, when it was submitted (seconds); 4, how long it ran
/// (seconds); 15, its queue, taken for its priority. A job takes one slot,
/// however many processors it had. Whoever has no runtime did not run, and is
/// left out; a queue that is not known is priority 0. With `limits`, number 9,
/// the time that was asked for, is the time limit of a run.
///
/// Of the events of a bus, the first of a job says when it was submitted, and
/// how urgent it was; the runtime is that of the run with which it finished or
/// failed. Jobs whose begin or end is not among the events are left out.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Source {
    /// Jobs.
    pub jobs: usize,
    /// Jobs that are left out, because they did not run to their own end.
    pub left_out: usize,
    /// Lines that made no sense.
    pub bad: usize,
    /// The first few of them.
    pub examples: Vec<BadLine>,
}

/// How many bad lines are kept to be shown.
const EXAMPLES: usize = 10;
/// The longest line in bytes: more than a bus writes of one event.
const LONGEST: usize = 1024 * 1024;

/// Reads a workload; `None` for the format: as the first line that is not empty
/// looks. Gives the jobs in the order of their submission.
///
/// # Errors
///
/// The file cannot be read, has a bad line that may not be skipped, or has no
/// job.
pub fn read(
    mut file: impl BufRead,
    format: Option<Format>,
    bad_lines: BadLines,
    limits: bool,
) -> Result<(Vec<Work>, Source), ReadError> {
    let mut reading = Reading { format, limits, ..Reading::default() };
    let mut line = Vec::new();
    for number in 1.. {
        let read = match read_line(&mut file, &mut line, LONGEST)? {
            Found::End => break,
            Found::Line => reading.line(String::from_utf8_lossy(&line).trim()),
            Found::TooLong => Err(format!("it is longer than {LONGEST} bytes")),
        };
        let Err(why) = read else { continue };
        let bad = BadLine { number, why };
        if bad_lines == BadLines::Fail {
            return Err(ReadError::Line(bad));
        }
        reading.source.skip(bad);
    }
    reading.end()
}

/// What has been read so far.
#[derive(Debug, Default)]
struct Reading {
    format: Option<Format>,
    limits: bool,
    works: Vec<Work>,
    recorded: Recorded,
    source: Source,
}

impl Reading {
    fn line(&mut self, text: &str) -> Result<(), String> {
        if text.is_empty() {
            return Ok(());
        }
        match *self.format.get_or_insert_with(|| looks_like(text)) {
            Format::Events => self.recorded.event(text)?,
            Format::Swf => match swf::record(text, self.limits)? {
                swf::Record::Job(work) => self.works.push(work),
                swf::Record::DidNotRun => self.source.left_out += 1,
                swf::Record::Comment => {}
            },
        }
        Ok(())
    }

    fn end(self) -> Result<(Vec<Work>, Source), ReadError> {
        let Self { mut works, recorded, mut source, .. } = self;
        source.left_out += recorded.take(&mut works);
        source.jobs = works.len();
        if works.is_empty() {
            return Err(ReadError::Empty(source));
        }
        let begin = works.iter().map(|work| work.submitted).min().unwrap_or_default();
        works.iter_mut().for_each(|work| work.submitted -= begin);
        works.sort_by_key(|work| work.submitted);
        Ok((works, source))
    }
}

fn looks_like(line: &str) -> Format {
    if line.starts_with('{') { Format::Events } else { Format::Swf }
}

impl Source {
    fn skip(&mut self, bad: BadLine) {
        self.bad += 1;
        if self.examples.len() < EXAMPLES {
            self.examples.push(bad);
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} jobs", self.jobs)?;
        if self.left_out > 0 {
            write!(f, ", {} left out that did not run to their end", self.left_out)?;
        }
        if self.bad > 0 {
            write!(f, ", {} bad lines", self.bad)?;
        }
        Ok(())
    }
}
