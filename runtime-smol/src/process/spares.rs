//! Files for output that are used again, if it is certain that they may be.
//!
//! Making a file without a name and dropping it costs 19 us on ext4, and much
//! more after thousands of them, for the file system looks for a number that was
//! not in use a moment ago. Most processes of a long list write nothing, and
//! leave their files as they got them.
//!
//! But a descendant that got away may still have the file open, and what it
//! writes later must not become the output of another process. So every process
//! gets an opening of the file of its own, made through `/proc/self/fd`, and the
//! kernel is asked (inotify) to tell of openings and closings. A file is used
//! again only if it is empty after all that was told since the process got it is
//! one thing: its opening was closed, in every process that had it. A second
//! opening (`/dev/stdout` is one) is enough to let the file go. Two equal events
//! in a row are told once, which is why every opening of ours is taken note of
//! before the process starts. The closing may be told later than the process has
//! ended: one that is just being started, and has not its program yet, has copies
//! of all our descriptors.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::fs::{Mode, OFlags, open, openat};
use rustix::io::Errno;

use super::crew::STARTS;
use super::spool::{SpooledOutput, nameless};

/// How many pairs there may be beyond those of the runs: some wait until they
/// are closed.
pub(super) const BEYOND: usize = 2 * STARTS;

/// The files of the runs that there may be at once.
#[derive(Debug)]
pub(super) struct Spares {
    /// How many pairs there may be, those of runs with those that are kept.
    most: usize,
    /// Made when it is first needed; `None` if that cannot be.
    watch: OnceLock<Option<Watch>>,
    shelf: Mutex<Shelf>,
}

#[derive(Debug)]
struct Watch {
    events: OwnedFd,
    /// `/proc/self/fd`.
    descriptors: OwnedFd,
}

#[derive(Debug, Default)]
struct Shelf {
    /// Those that no run has. Some may not be free yet.
    pairs: Vec<Pair>,
    /// How many runs have some.
    lent: usize,
    /// What was told of each file that is watched.
    told: HashMap<i32, Told>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Told {
    opened: bool,
    closed: bool,
}

impl Told {
    const OPENED: Self = Self { opened: true, closed: false };
    const CLOSED: Self = Self { opened: false, closed: true };
}

/// Files for standard output and standard error.
#[derive(Debug)]
struct Pair {
    files: [File; 2],
    /// `None`: they are not watched, and used once.
    watched: Option<[i32; 2]>,
}

/// The files of one run, until it has ended.
#[derive(Debug)]
pub(super) struct Spooling {
    spares: Arc<Spares>,
    pair: Option<Pair>,
}

impl Spares {
    /// For so many runs at once. Without any, no files are used again.
    pub(super) fn new(runs: usize) -> Arc<Self> {
        let most = if runs == 0 { 0 } else { runs.saturating_add(BEYOND) };
        Arc::new(Self { most, watch: OnceLock::new(), shelf: Mutex::default() })
    }

    /// A pair of empty files, and the process's own descriptors of them.
    pub(super) fn take(self: &Arc<Self>) -> io::Result<(Spooling, [File; 2])> {
        let spare = self.shelf().take_free();
        let mut pair = spare.map_or_else(|| self.make(), Ok)?;
        let theirs = match self.open_again(&pair) {
            Some(theirs) => theirs,
            None => {
                self.shelf().forget(&mut pair);
                let [out, err] = &pair.files;
                [out.try_clone()?, err.try_clone()?]
            }
        };
        self.shelf().lent += 1;
        Ok((Spooling { spares: Arc::clone(self), pair: Some(pair) }, theirs))
    }

    fn make(&self) -> io::Result<Pair> {
        let files = [nameless()?, nameless()?];
        let watched = self.watch().and_then(|watch| watch.add(&files));
        for number in watched.iter().flatten() {
            self.shelf().told.insert(*number, Told::default());
        }
        Ok(Pair { files, watched })
    }

    /// `None`: they cannot be opened again, or it was not told that they were.
    fn open_again(&self, pair: &Pair) -> Option<[File; 2]> {
        let (watch, numbers) = (self.watch()?, pair.watched?);
        let [out, err] = &pair.files;
        let theirs = [watch.open_again(out)?, watch.open_again(err)?];
        let mut shelf = self.shelf();
        shelf.listen(watch);
        let opened = numbers.into_iter().all(|file| shelf.told(file) == Told::OPENED);
        shelf.expect_news(numbers);
        opened.then_some(theirs)
    }

    /// Keeps the files of a run that has ended, if nobody wrote to them.
    fn put_back(&self, mut pair: Pair) -> SpooledOutput {
        let mut shelf = self.shelf();
        shelf.lent = shelf.lent.saturating_sub(1);
        if let Some(watch) = self.watch().filter(|_| pair.watched.is_some() && pair.is_empty()) {
            shelf.listen(watch);
            shelf.keep(pair, self.most);
            return SpooledOutput::default();
        }
        shelf.forget(&mut pair);
        drop(shelf);
        SpooledOutput::new(pair.files)
    }

    fn watch(&self) -> Option<&Watch> {
        self.watch.get_or_init(|| (self.most > 0).then(Watch::new).and_then(Result::ok)).as_ref()
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pair {
    fn is_empty(&self) -> bool {
        self.files.iter().all(|file| file.metadata().is_ok_and(|it| it.len() == 0))
    }
}

impl Spooling {
    /// What was written, now that the process has ended.
    pub(super) fn finish(mut self) -> SpooledOutput {
        self.pair.take().map(|pair| self.spares.put_back(pair)).unwrap_or_default()
    }
}

impl Drop for Spooling {
    /// Nothing was started.
    fn drop(&mut self) {
        if let Some(pair) = self.pair.take() {
            drop(self.spares.put_back(pair));
        }
    }
}

impl Watch {
    fn new() -> io::Result<Self> {
        let events = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let descriptors = open("/proc/self/fd", flags, Mode::empty())?;
        Ok(Self { events, descriptors })
    }

    fn add(&self, files: &[File; 2]) -> Option<[i32; 2]> {
        let add = |file: &File| {
            let path = format!("/proc/self/fd/{}", file.as_raw_fd());
            inotify::add_watch(&self.events, path, WatchFlags::OPEN | WatchFlags::CLOSE).ok()
        };
        let [out, err] = files;
        Some([add(out)?, add(err)?])
    }

    fn open_again(&self, file: &File) -> Option<File> {
        let flags = OFlags::RDWR | OFlags::APPEND | OFlags::CLOEXEC;
        let name = file.as_raw_fd().to_string();
        openat(&self.descriptors, name, flags, Mode::empty()).ok().map(File::from)
    }
}

impl Shelf {
    /// The pair that was put back last of those that nobody has open any more.
    /// Looked at in this order: after the last closing nobody writes.
    fn take_free(&mut self) -> Option<Pair> {
        let is_closed = |file| self.told(file) == Told::CLOSED;
        let is_free = |pair: &Pair| pair.watched.is_some_and(|it| it.into_iter().all(is_closed));
        let last = self.pairs.iter().rposition(is_free)?;
        let mut pair = self.pairs.remove(last);
        if !pair.is_empty() {
            self.forget(&mut pair);
            return None;
        }
        pair.watched.into_iter().for_each(|numbers| self.expect_news(numbers));
        Some(pair)
    }

    /// In the place of the oldest, if there is no room: it has not become free.
    fn keep(&mut self, pair: Pair, most: usize) {
        self.pairs.push(pair);
        while self.pairs.len() + self.lent > most && !self.pairs.is_empty() {
            let mut oldest = self.pairs.remove(0);
            self.forget(&mut oldest);
        }
    }

    /// The kernel itself stops watching a file when it is gone.
    fn forget(&mut self, pair: &mut Pair) {
        for file in pair.watched.take().iter().flatten() {
            self.told.remove(file);
        }
    }

    /// Takes note of what is told.
    fn listen(&mut self, watch: &Watch) {
        let closed = ReadFlags::CLOSE_WRITE | ReadFlags::CLOSE_NOWRITE;
        let mut buffer = [MaybeUninit::uninit(); 1024];
        let mut events = inotify::Reader::new(&watch.events, &mut buffer);
        loop {
            match events.next() {
                Ok(event) if event.events().contains(ReadFlags::QUEUE_OVERFLOW) => self.doubt_all(),
                Ok(event) => {
                    let (file, what) = (event.wd(), event.events());
                    if let Some(told) = self.told.get_mut(&file) {
                        told.opened |= what.contains(ReadFlags::OPEN);
                        told.closed |= what.intersects(closed);
                    }
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => return self.doubt_all(),
            }
        }
    }

    /// Something was not told.
    fn doubt_all(&mut self) {
        for told in self.told.values_mut() {
            *told = Told { opened: true, closed: true };
        }
    }

    fn told(&self, file: i32) -> Told {
        self.told.get(&file).copied().unwrap_or_default()
    }

    /// What was told is known.
    fn expect_news(&mut self, files: [i32; 2]) {
        for file in files {
            self.told.insert(file, Told::default());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::fs::OpenOptions;
    use std::io::{Read, Write};
    use std::os::unix::fs::MetadataExt;

    use super::*;

    fn number(file: &File) -> u64 {
        file.metadata().unwrap().ino()
    }

    /// What the run after one that did `what` gets: whether it is the same file.
    fn is_used_again(what: impl FnOnce([File; 2])) -> bool {
        let spares = Spares::new(1);
        let (run, theirs) = spares.take().unwrap();
        let before = number(&theirs[1]);
        what(theirs);
        let _output = run.finish();
        let (_run, theirs) = spares.take().unwrap();
        number(&theirs[1]) == before
    }

    /// Not always at once: other tests start processes, and those that have not
    /// their program yet have copies of what is open here.
    #[test]
    fn files_that_were_closed_without_a_word_are_used_again() {
        const ROUNDS: usize = 100;
        assert!((0..ROUNDS).any(|_| is_used_again(drop)));
        let spares = Spares::new(2);
        let mut numbers = HashSet::new();
        for _ in 0..ROUNDS {
            let runs = [(), ()].map(|()| spares.take().unwrap());
            for (run, theirs) in runs {
                numbers.extend(theirs.iter().map(number));
                drop(theirs);
                assert!(run.finish().is_empty());
            }
        }
        assert!(numbers.len() < ROUNDS, "{} files for {ROUNDS} times four", numbers.len());
    }

    #[test]
    fn files_that_somebody_may_write_to_are_not_used_again() {
        let mut kept = Vec::new();
        assert!(!is_used_again(|theirs| kept.extend(theirs)), "never closed");
        let copy = |theirs: [File; 2]| kept.push(theirs[0].try_clone().unwrap());
        assert!(!is_used_again(copy), "closed by one who had it, and not by the other");
        let again = |theirs: [File; 2]| {
            let path = format!("/proc/self/fd/{}", theirs[1].as_raw_fd());
            kept.push(OpenOptions::new().append(true).open(path).unwrap());
        };
        assert!(!is_used_again(again), "opened once more, and not closed");
        assert!(!is_used_again(|mut theirs| theirs[1].write_all(b"x").unwrap()), "written to");
    }

    #[test]
    fn files_that_are_closed_later_are_used_again_later() {
        let spares = Spares::new(1);
        let (run, theirs) = spares.take().unwrap();
        let before = number(&theirs[0]);
        assert!(run.finish().is_empty());
        let (other, others) = spares.take().unwrap();
        assert_ne!(number(&others[0]), before);
        drop(theirs);
        let is_back = || number(&spares.take().unwrap().1[0]) == before;
        assert!((0..100).any(|_| is_back()));
        drop(other);
    }

    #[test]
    fn what_is_written_after_the_end_is_nobodys_output() {
        let spares = Spares::new(1);
        let (run, mut theirs) = spares.take().unwrap();
        assert!(run.finish().is_empty());
        theirs[0].write_all(b"late").unwrap();
        drop(theirs);
        let (run, mut theirs) = spares.take().unwrap();
        theirs[0].write_all(b"mine").unwrap();
        drop(theirs);
        let mut text = String::new();
        run.finish().stdout.reader().read_to_string(&mut text).unwrap();
        assert_eq!(text, "mine");
    }

    #[test]
    fn no_more_are_kept_than_there_are_runs_and_a_few() {
        let spares = Spares::new(3);
        let (runs, theirs): (Vec<_>, Vec<_>) = (0..20).map(|_| spares.take().unwrap()).unzip();
        drop(theirs);
        drop(runs);
        let shelf = spares.shelf();
        assert_eq!(
            (shelf.pairs.len(), shelf.told.len(), shelf.lent),
            (3 + BEYOND, 2 * (3 + BEYOND), 0)
        );
    }
}
