//! Where the hub leaves changes for the disk, and the writer finds them.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::store::Group;

/// What the hub and the writer share.
///
/// The writer takes the next group itself, without asking the hub. While the
/// hub tells everybody of the last one, which takes it about as long, the disk
/// is at work; and where both share a processor, the writer gets as far as the
/// disk at once. If the hub had to hand it the group, the writer would wait for
/// the processor until the hub had nothing left to do, and then nobody would
/// work while the disk does.
#[derive(Debug, Default)]
pub(super) struct Desk {
    paper: Mutex<Paper>,
    /// There is something that the writer waits for.
    news: Condvar,
}

#[derive(Debug, Default)]
struct Paper {
    next: Group,
    /// The writer sleeps.
    idle: bool,
    /// The last group failed: nothing is tried until the hub says so.
    pausing: bool,
    /// There will be no more changes.
    ended: bool,
    /// The next failure is no reason to wait: there is nobody to wait for.
    once_more: bool,
}

impl Desk {
    /// Adds what must be on disk; it gets there together. Returns how many
    /// bytes wait, about.
    pub(super) fn add(&self, changes: Group) -> usize {
        let mut paper = self.lock();
        paper.next.absorb(changes);
        let waiting = paper.next.bytes();
        self.tell(paper);
        waiting
    }

    /// What failed may be tried again.
    pub(super) fn go_on(&self) {
        let mut paper = self.lock();
        paper.pausing = false;
        self.tell(paper);
    }

    /// There will be no more changes. What is left is tried, even if the last
    /// group failed, or that which is on its way does; if that fails again, it
    /// stays.
    pub(super) fn end(&self) {
        let mut paper = self.lock();
        (paper.pausing, paper.ended, paper.once_more) = (false, true, !paper.idle);
        self.tell(paper);
    }

    /// Waits for the next group; `None`: there is none.
    pub(super) fn wait(&self) -> Option<Group> {
        let mut paper = self.lock();
        while !paper.is_ready() {
            if paper.ended {
                return None;
            }
            paper.idle = true;
            paper = self.news.wait(paper).unwrap_or_else(PoisonError::into_inner);
            paper.idle = false;
        }
        Some(std::mem::take(&mut paper.next))
    }

    /// This group failed: it comes before what has come in meanwhile.
    pub(super) fn put_back(&self, mut group: Group) {
        let mut paper = self.lock();
        group.absorb(std::mem::take(&mut paper.next));
        let pausing = !std::mem::take(&mut paper.once_more);
        (paper.next, paper.pausing) = (group, pausing);
    }

    /// Wakes the writer if there is something for it, when the lock is free:
    /// it needs that first of all.
    fn tell(&self, paper: MutexGuard<'_, Paper>) {
        let wake = paper.idle && (paper.is_ready() || paper.ended);
        drop(paper);
        if wake {
            self.news.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Paper> {
        self.paper.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Paper {
    fn is_ready(&self) -> bool {
        !self.pausing && !self.next.is_empty()
    }
}
