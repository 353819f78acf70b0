//! What is told while there is something to be done: nobody who decides or
//! supervises waits for a terminal that is halted, or a pipe that nobody reads.
//!
//! Lines go to stdout and stderr through a thread and a bounded backlog for each.
//! What does not fit is dropped and counted, and the count is told once there is
//! room again. What only prints a result, and has nothing else to do, writes it
//! [itself](super::print_line): of that nothing is dropped.

mod backlog;
mod teller;

use std::fmt;
use std::io::{self, Write};
use std::sync::OnceLock;
use std::time::Instant;

use self::teller::Teller;

/// How much is kept for a reader who does not read, in bytes: some tens of thousands
/// of lines.
const MOST: usize = 4 * 1024 * 1024;

static STDOUT: Voice = Voice::new("stdout", |text| {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text)?;
    stdout.flush()
});
static STDERR: Voice = Voice::new("stderr", |text| io::stderr().lock().write_all(text));

/// Tells a line on stdout, without waiting for whoever reads it.
pub fn tell_line(line: impl fmt::Display) {
    STDOUT.tell(format!("{line}\n").into_bytes());
}

/// Tells a line on stderr, without waiting for whoever reads it.
pub fn note_line(line: impl fmt::Display) {
    STDERR.tell(format!("{line}\n").into_bytes());
}

/// Waits until all that was told is written: two seconds for somebody who takes
/// nothing, ten for somebody who is slow.
pub fn until_told() {
    let asked = Instant::now();
    for voice in [&STDERR, &STDOUT] {
        if let Some(Some(teller)) = voice.teller.get() {
            teller.until_told(asked);
        }
    }
}

/// Has what was told [written](until_told) when a program ends: for the first
/// line of its `main`.
#[derive(Debug)]
pub struct LastWords;

impl Drop for LastWords {
    fn drop(&mut self) {
        until_told();
    }
}

/// Tells what is written to it on stderr, a line a write.
#[derive(Debug)]
pub(super) struct Log;

impl Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        STDERR.tell(line.to_vec());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One of the two streams.
struct Voice {
    name: &'static str,
    write: fn(&[u8]) -> io::Result<()>,
    /// From the first line on; `None` inside: there was no room for a thread.
    teller: OnceLock<Option<Teller>>,
}

impl Voice {
    const fn new(name: &'static str, write: fn(&[u8]) -> io::Result<()>) -> Self {
        Self { name, write, teller: OnceLock::new() }
    }

    fn tell(&self, line: Vec<u8>) {
        match self.teller.get_or_init(|| Teller::start(self.name, MOST, self.write).ok()) {
            Some(teller) => teller.tell(line),
            // Better late than never.
            None => {
                let _nobody_listens = (self.write)(&line);
            }
        }
    }
}
