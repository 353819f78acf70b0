//! The end of a process's output, kept in memory.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::{Errno, ioctl_fionbio};
use rustix::pipe::{PipeFlags, pipe_with};

/// How much is read at once.
const CHUNK: usize = 8 * 1024;
/// How often before others come first: about what a pipe holds.
const CHUNKS_AT_ONCE: usize = 8;

/// The last bytes that a process wrote, standard output and standard error in
/// the order in which they were written.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CapturedOutput {
    /// The last bytes; at most as many as [`Output::Capture`](crate::Output::Capture) allows.
    pub bytes: Vec<u8>,
    /// How many bytes were written before these and are lost.
    pub dropped: u64,
}

impl CapturedOutput {
    /// The bytes as text; what is not UTF-8 is replaced.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.bytes)
    }
}

/// Our end of the pipe. Without a capture it is never made, and `None` stands
/// for it.
#[derive(Debug)]
pub(super) struct Capture {
    pipe: OwnedFd,
    chunk: Box<[u8]>,
    tail: Tail,
}

/// What is left in the pipe.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum More {
    /// Perhaps something: others come first.
    Now,
    /// Nothing, until the process writes again.
    Later,
    /// Nothing, and nobody has the other end open.
    Never,
}

impl Capture {
    /// A pipe: our end, and the one for the process.
    pub(super) fn new(limit: usize) -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) = pipe_with(PipeFlags::CLOEXEC)?;
        // Only our end is made non-blocking: the process must not see EAGAIN.
        ioctl_fionbio(&ours, true)?;
        let chunk = vec![0; CHUNK].into_boxed_slice();
        Ok((Self { pipe: ours, chunk, tail: Tail::new(limit) }, theirs))
    }

    pub(super) fn pipe(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }

    /// Reads what there is, but not for ever: a process that writes faster than
    /// this reads would keep its thread from every other duty.
    pub(super) fn read(&mut self) -> io::Result<More> {
        for _ in 0..CHUNKS_AT_ONCE {
            match rustix::io::read(&self.pipe, &mut self.chunk[..]) {
                Ok(0) => return Ok(More::Never),
                Ok(n) => self.tail.push(&self.chunk[..n]),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(More::Later),
                Err(why) => return Err(why.into()),
            }
        }
        Ok(More::Now)
    }

    /// Takes what is in the pipe now, and no more: a descendant that got away
    /// may hold the other end open, and write, for ever.
    pub(super) fn finish(mut self) -> CapturedOutput {
        let mut left = rustix::io::ioctl_fionread(&self.pipe).unwrap_or(0);
        while left > 0 {
            let want = usize::try_from(left).map_or(CHUNK, |left| left.min(CHUNK));
            match rustix::io::read(&self.pipe, &mut self.chunk[..want]) {
                Ok(0) => break,
                Ok(n) => {
                    self.tail.push(&self.chunk[..n]);
                    left -= n as u64;
                }
                Err(Errno::INTR) => {}
                Err(_) => break,
            }
        }
        self.tail.into_output()
    }
}

/// The last bytes of a stream.
#[derive(Debug)]
struct Tail {
    bytes: VecDeque<u8>,
    limit: usize,
    dropped: u64,
}

impl Tail {
    fn new(limit: usize) -> Self {
        Self { bytes: VecDeque::new(), limit, dropped: 0 }
    }

    fn push(&mut self, new: &[u8]) {
        let kept = &new[new.len().saturating_sub(self.limit)..];
        let too_many = (self.bytes.len() + kept.len()).saturating_sub(self.limit);
        self.bytes.drain(..too_many);
        self.bytes.extend(kept);
        self.dropped += (too_many + new.len() - kept.len()) as u64;
    }

    fn into_output(self) -> CapturedOutput {
        CapturedOutput { bytes: self.bytes.into(), dropped: self.dropped }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tail(limit: usize, writes: &[&str]) -> (String, u64) {
        let mut tail = Tail::new(limit);
        for write in writes {
            tail.push(write.as_bytes());
        }
        let output = tail.into_output();
        (output.text().into_owned(), output.dropped)
    }

    #[test]
    fn the_last_bytes_are_kept_and_the_others_counted() {
        assert_eq!(tail(4, &["ab"]), ("ab".into(), 0));
        assert_eq!(tail(4, &["ab", "cd"]), ("abcd".into(), 0));
        assert_eq!(tail(4, &["ab", "cd", "e"]), ("bcde".into(), 1));
        assert_eq!(tail(4, &["ab", "0123456789"]), ("6789".into(), 8));
        assert_eq!(tail(0, &["ab", "c"]), (String::new(), 3));
    }
}
