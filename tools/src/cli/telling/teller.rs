//! A thread that writes, so that nobody else waits for who reads.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::backlog::{Backlog, Lines};

/// How long lines are gathered before they are written: one at a time they would
/// cost two context switches each.
const GATHER: Duration = Duration::from_millis(2);

/// How long it is waited for somebody to take something, and how long in all.
const PATIENCE: Duration = Duration::from_secs(2);
const LONGEST: Duration = Duration::from_secs(10);

/// Writes lines in their order, on a thread of its own.
#[derive(Debug)]
pub(super) struct Teller(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// There is something to write.
    news: Condvar,
    /// Something is written, or everything is.
    progress: Condvar,
}

#[derive(Debug)]
struct State {
    backlog: Backlog,
    /// Whether the thread writes, or is about to.
    awake: bool,
    /// When something was written last.
    written: Instant,
}

impl Teller {
    /// One that keeps so many bytes for a reader who does not read.
    ///
    /// # Errors
    ///
    /// The system has no room for a thread.
    pub(super) fn start(
        name: &str,
        most: usize,
        mut write: impl FnMut(&[u8]) -> io::Result<()> + Send + 'static,
    ) -> io::Result<Self> {
        let (backlog, written) = (Backlog::new(most), Instant::now());
        let shared = Arc::new(Shared {
            state: Mutex::new(State { backlog, awake: false, written }),
            news: Condvar::new(),
            progress: Condvar::new(),
        });
        let ours = Arc::clone(&shared);
        let writes = move || {
            loop {
                ours.until_news();
                thread::sleep(GATHER);
                while let Some(lines) = ours.take() {
                    let told = write(&lines.text).is_ok();
                    ours.put_down(lines.count, told);
                }
            }
        };
        thread::Builder::new().name(name.to_owned()).spawn(writes)?;
        Ok(Self(shared))
    }

    /// Has a line written. Never waits.
    pub(super) fn tell(&self, line: Vec<u8>) {
        let mut state = self.0.state();
        state.backlog.push(line);
        if !std::mem::replace(&mut state.awake, true) {
            self.0.news.notify_one();
        }
    }

    /// Waits until all is written, but not long for somebody who takes nothing.
    /// `asked` is when the waiting began.
    pub(super) fn until_told(&self, asked: Instant) {
        let mut state = self.0.state();
        while state.awake {
            let until = (asked.max(state.written) + PATIENCE).min(asked + LONGEST);
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let waited = self.0.progress.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Shared {
    fn until_news(&self) {
        let mut state = self.state();
        while state.backlog.is_empty() {
            state.awake = false;
            self.progress.notify_all();
            state = self.news.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn take(&self) -> Option<Lines> {
        self.state().backlog.take()
    }

    fn put_down(&self, lines: u64, told: bool) {
        let mut state = self.state();
        if told {
            state.written = Instant::now();
            state.backlog.written();
        } else {
            state.backlog.lost(lines);
        }
        self.progress.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::os::unix::net::UnixStream;
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn lines_are_written_in_order_by_the_time_that_all_is_told() {
        let (sender, written) = mpsc::channel();
        let teller = Teller::start("test", 1 << 20, move |text| {
            sender.send(text.to_vec()).map_err(io::Error::other)
        });
        let teller = teller.unwrap();
        (0..1000).for_each(|n| teller.tell(format!("{n}\n").into_bytes()));
        teller.until_told(Instant::now());
        let expected: String = (0..1000).map(|n| format!("{n}\n")).collect();
        assert_eq!(written.try_iter().collect::<Vec<_>>().concat(), expected.as_bytes());
    }

    /// A stream that nobody reads, and is full of empty lines.
    fn full() -> (UnixStream, UnixStream) {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.set_nonblocking(true).unwrap();
        while theirs.write(&[b'\n'; 1024]).is_ok() {}
        theirs.set_nonblocking(false).unwrap();
        (ours, theirs)
    }

    #[test]
    fn nobody_waits_for_who_does_not_read_and_what_is_dropped_is_told_once_somebody_does() {
        const LINES: u64 = 10_000;
        let (ours, mut theirs) = full();
        let teller = Teller::start("test", 4096, move |text| theirs.write_all(text)).unwrap();
        (0..LINES).for_each(|n| teller.tell(format!("line {n}\n").into_bytes()));
        // As if it had been waited for so long.
        teller.until_told(Instant::now().checked_sub(LONGEST).unwrap());

        let lines = BufReader::new(ours).lines().map(Result::unwrap);
        let (mut next, mut dropped) = (0, 0);
        for line in lines.filter(|line| !line.is_empty()) {
            if let Some(n) = line.strip_prefix("line ") {
                assert_eq!(n, next.to_string(), "none is missing but those that are told");
                next += 1;
            } else {
                let count = line.strip_suffix(" lines were dropped: nobody read them");
                let count: u64 = count.unwrap().parse().unwrap();
                (next, dropped) = (next + count, dropped + count);
            }
            if next == LINES {
                break;
            }
        }
        assert!((LINES - 300..LINES).contains(&dropped), "{dropped} were dropped");
        teller.until_told(Instant::now());
        assert!(teller.0.state().backlog.is_empty());
    }

    #[test]
    fn a_reader_that_is_gone_ends_nothing() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        drop(ours);
        let teller = Teller::start("test", 4096, move |text| theirs.write_all(text)).unwrap();
        for n in 0..3 {
            teller.tell(b"nobody\n".to_vec());
            teller.until_told(Instant::now());
            let state = teller.0.state();
            assert!(!state.awake && state.backlog.is_empty(), "after {n} before it");
        }
    }
}
