//! All of a process's output, kept in files without a name.
//!
//! A file takes whatever a process writes, at once and without anybody who
//! reads along: it costs no wake-ups, never makes the process wait, and does
//! not mind a descendant that holds it open. What it can grow to is bounded by
//! the disk: a process that fills it is told so by its own write.

use std::env;
use std::fs::{File, OpenOptions, remove_file};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;

/// All that a process wrote to one of its descriptors.
///
/// The file has no name, and is gone with the last copy of this. Each holds
/// one descriptor, together with its copies; none if nothing was written.
#[derive(Clone, Default, Debug)]
pub struct Spool {
    /// `None`: nothing was written.
    file: Option<Arc<File>>,
    len: u64,
}

/// All that a process wrote, by descriptor.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct SpooledOutput {
    /// What went to standard output.
    pub stdout: Spool,
    /// What went to standard error.
    pub stderr: Spool,
}

/// Reads a [`Spool`] from its beginning.
#[derive(Debug)]
pub struct SpoolReader<'a> {
    spool: &'a Spool,
    at: u64,
}

impl Spool {
    /// What is in the file now. What a descendant that got away writes later is
    /// not part of it.
    fn new(file: File) -> io::Result<Self> {
        let len = file.metadata()?.len();
        let file = (len > 0).then(|| Arc::new(file));
        Ok(Self { file, len })
    }

    /// How many bytes it has.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// Whether nothing was written.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Reads it from its beginning; may be called any number of times.
    #[must_use]
    pub const fn reader(&self) -> SpoolReader<'_> {
        SpoolReader { spool: self, at: 0 }
    }
}

impl SpooledOutput {
    /// What there is now that the process has ended.
    pub(super) fn new([stdout, stderr]: [File; 2]) -> Self {
        let spool = |file| {
            Spool::new(file).unwrap_or_else(|why| {
                tracing::error!(%why, "what a process wrote is lost");
                Spool::default()
            })
        };
        Self { stdout: spool(stdout), stderr: spool(stderr) }
    }

    /// Whether nothing was written to either.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.stdout.is_empty() && self.stderr.is_empty()
    }
}

impl PartialEq for Spool {
    /// Whether they are the same file, or both nothing.
    fn eq(&self, other: &Self) -> bool {
        match (&self.file, &other.file) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => true,
            _ => false,
        }
    }
}

impl Eq for Spool {}

impl Read for SpoolReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.spool.len - self.at).unwrap_or(usize::MAX);
        let want = buffer.len().min(left);
        let Some(file) = &self.spool.file else { return Ok(0) };
        let n = file.read_at(&mut buffer[..want], self.at)?;
        self.at += n as u64;
        Ok(n)
    }
}

/// An empty file in the [`directory`]. Appending, so that processes that open it
/// once more (`/dev/stdout`) do not write over each other.
///
/// # Errors
///
/// The system's own: whether it is the machine's trouble or the command's is
/// told by its number.
pub(super) fn nameless() -> io::Result<File> {
    nameless_in(&directory())
}

/// `$TMPDIR`, or else `/tmp`.
pub(super) fn directory() -> PathBuf {
    env::temp_dir()
}

fn nameless_in(dir: &Path) -> io::Result<File> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::APPEND | OFlags::CLOEXEC;
    match open(dir, flags, Mode::RUSR | Mode::WUSR) {
        Ok(file) => Ok(file.into()),
        // Some file systems (NFS, old overlays) make no files without a name.
        Err(Errno::OPNOTSUPP | Errno::ISDIR) => named_for_a_moment(dir),
        Err(why) => Err(why.into()),
    }
}

fn named_for_a_moment(dir: &Path) -> io::Result<File> {
    const TRIES: usize = 16;
    const OWNER_ONLY: u32 = 0o600;
    let mut refused = io::ErrorKind::AlreadyExists.into();
    for _ in 0..TRIES {
        let path = dir.join(format!("sched-{:016x}", fastrand::u64(..)));
        let mut options = OpenOptions::new();
        options.read(true).append(true).create_new(true).mode(OWNER_ONLY);
        match options.open(&path) {
            Ok(file) => return remove_file(&path).map(|()| file),
            Err(why) if why.kind() == io::ErrorKind::AlreadyExists => refused = why,
            Err(why) => return Err(why),
        }
    }
    Err(refused)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn text(spool: &Spool) -> String {
        let mut text = String::new();
        spool.reader().read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn what_was_written_is_read_as_often_as_one_likes_and_no_further() {
        let file = nameless().unwrap();
        let mut theirs = file.try_clone().unwrap();
        theirs.write_all(b"one\n").unwrap();
        theirs.write_all(b"two\n").unwrap();
        let spool = Spool::new(file).unwrap();
        theirs.write_all(b"late\n").unwrap();
        assert_eq!(
            (text(&spool), text(&spool), spool.len()),
            ("one\ntwo\n".into(), text(&spool), 8)
        );
    }

    #[test]
    fn a_file_that_nobody_wrote_to_is_not_kept() {
        let spool = Spool::new(nameless().unwrap()).unwrap();
        assert!(spool.file.is_none() && spool.is_empty());
        assert_eq!(text(&spool), "");
    }

    #[test]
    fn where_there_are_no_files_without_a_name_the_name_is_taken_away() {
        let dir = env::temp_dir().join(format!("sched-spool-{}", std::process::id()));
        std::fs::create_dir(&dir).unwrap();
        let mut file = named_for_a_moment(&dir).unwrap();
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 0);
        std::fs::remove_dir(&dir).unwrap();
        file.write_all(b"kept").unwrap();
        assert_eq!(file.metadata().unwrap().len(), 4);
        assert!(named_for_a_moment(&dir).is_err());
    }
}
