//! Finding a process that was started although its start is told as failed.
//!
//! async-process needs a descriptor for each process it has started. If there
//! is none left it returns the error and forgets the process, which runs.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rustix::process::{Pid, getpgid};

use super::group::kill_and_reap;

/// The children of this thread, by the kernel's count.
///
/// A process is the child of the thread that started it, and one thread starts
/// one process at a time. So what was not there before a start and is there
/// after it, is the process that was started. The file is kept open: reading
/// it again takes no descriptor.
#[derive(Debug)]
pub(super) struct Children {
    file: File,
    before: Vec<Pid>,
}

impl Children {
    /// Those of the thread that calls this, none noted yet. `None` where the
    /// kernel does not tell. An error (no descriptor left, say) means that the
    /// next start could not be watched, and so must not be tried.
    pub(super) fn open() -> io::Result<Option<Self>> {
        match File::open("/proc/thread-self/children") {
            Ok(file) => Ok(Some(Self { file, before: Vec::new() })),
            Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(why) => Err(why),
        }
    }

    /// Notes the children that the thread has now. To be called before every
    /// start, on the thread that this was opened on.
    pub(super) fn note(&mut self) -> io::Result<()> {
        self.before = list(&self.file)?;
        Ok(())
    }

    /// Kills and reaps what was started since. Returns whether there was
    /// anything. Blocks until it is dead.
    pub(super) fn end_new(&self) -> bool {
        let now = list(&self.file).unwrap_or_else(|why| {
            tracing::error!(%why, "a process may have been lost");
            Vec::new()
        });
        let new = now.into_iter().filter(|child| !self.before.contains(child));
        let mut any = false;
        for child in new.filter(|child| getpgid(Some(*child)) == Ok(*child)) {
            tracing::warn!(
                pid = child.as_raw_pid(),
                "killing a process that was lost at its start"
            );
            kill_and_reap(child);
            any = true;
        }
        any
    }
}

fn list(file: &File) -> io::Result<Vec<Pid>> {
    let mut text = Vec::with_capacity(512);
    let mut chunk = [0; 512];
    loop {
        match file.read_at(&mut chunk, text.len() as u64) {
            Ok(0) => break,
            Ok(n) => text.extend_from_slice(&chunk[..n]),
            Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
            Err(why) => return Err(why),
        }
    }
    let words = text.split(u8::is_ascii_whitespace).filter_map(|word| str_of(word)?.parse().ok());
    Ok(words.filter_map(Pid::from_raw).collect())
}

fn str_of(word: &[u8]) -> Option<&str> {
    std::str::from_utf8(word).ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    use super::*;

    #[test]
    fn a_new_child_is_found_and_ended_and_an_old_one_left_alone() {
        let mut old = Command::new("sleep").arg("60").process_group(0).spawn().unwrap();
        let mut children = Children::open().unwrap().unwrap();
        children.note().unwrap();
        assert!(!children.end_new());
        let mut new = Command::new("sleep").arg("60").process_group(0).spawn().unwrap();
        assert!(children.end_new());
        assert!(new.try_wait().is_err(), "it was reaped");
        assert_eq!(old.try_wait().unwrap(), None, "it still runs");
        old.kill().unwrap();
        old.wait().unwrap();
    }

    #[test]
    fn a_new_child_that_is_dead_already_is_found() {
        let mut children = Children::open().unwrap().unwrap();
        children.note().unwrap();
        let mut new = Command::new("true").process_group(0).spawn().unwrap();
        let pid = Pid::from_child(&new);
        let zombie =
            rustix::process::WaitIdOptions::EXITED | rustix::process::WaitIdOptions::NOWAIT;
        rustix::process::waitid(rustix::process::WaitId::Pid(pid), zombie).unwrap();
        assert!(children.end_new());
        assert!(new.try_wait().is_err());
    }
}
