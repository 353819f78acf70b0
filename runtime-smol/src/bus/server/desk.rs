//! Where the hub leaves changes for the disk, and what was written is told.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::store::{Group, Store};

/// What must be on disk, and the pen to write it with. There is one: one group
/// at a time is on its way to the disk. The next is what comes in meanwhile, and
/// whoever has the pen takes it without asking the hub: while that tells
/// everybody of the last one, which takes it about as long, the disk is at work.
///
/// Whoever wakes another holds no lock: who is woken often runs at once, in the
/// place of who woke it, and would only find out that it has to wait.
#[derive(Debug)]
pub(super) struct Desk {
    paper: Mutex<Paper>,
    /// The pen is back.
    back: Condvar,
}

struct Paper {
    next: Group,
    /// Whoever has this has the pen.
    store: Option<Box<dyn Store>>,
    /// The last group failed: nothing is tried until the hub says so.
    pausing: bool,
    /// The hub writes what is left, and nobody else.
    ended: bool,
    /// What the hub has not heard yet. Every group is of another turn of the
    /// hub, which hears all there is, so that they are three at most.
    reports: VecDeque<Report>,
    /// The hub wants to know when there is one.
    hub: Option<Waker>,
}

/// Whoever has it writes. It is back on the desk when this is dropped.
pub(super) struct Pen {
    desk: Arc<Desk>,
    store: Option<Box<dyn Store>>,
    /// What is being written.
    group: Group,
}

/// What is said of a group.
#[derive(Debug)]
pub(super) enum Report {
    /// It is on disk; that took so long. It goes back to the hub, whose memory
    /// it is: if it were given free elsewhere, two threads would wait for each
    /// other at the allocator, just when the hub has most to do.
    Committed(Group, Duration),
    /// It is not, and is back on the desk.
    Failed(String),
}

impl Desk {
    /// An empty one.
    pub(super) fn new(store: Box<dyn Store>) -> Arc<Self> {
        let paper = Paper {
            next: Group::default(),
            store: Some(store),
            pausing: false,
            ended: false,
            reports: VecDeque::new(),
            hub: None,
        };
        Arc::new(Self { paper: Mutex::new(paper), back: Condvar::new() })
    }

    /// Adds what must be on disk; it gets there together. Returns how many
    /// bytes wait, about.
    pub(super) fn add(&self, changes: Group) -> usize {
        let mut paper = self.lock();
        paper.next.absorb(changes);
        paper.next.bytes()
    }

    /// What failed may be tried again.
    pub(super) fn go_on(&self) {
        self.lock().pausing = false;
    }

    /// How many records wait, if nobody writes and somebody may.
    pub(super) fn waits(&self) -> usize {
        let paper = self.lock();
        if paper.may_go_on() && paper.store.is_some() { paper.next.len() } else { 0 }
    }

    /// The pen, if nobody has it.
    pub(super) fn take_up(self: &Arc<Self>) -> Option<Pen> {
        let store = self.lock().store.take()?;
        Some(self.pen(store))
    }

    /// Waits for the pen, which nobody goes on with any more.
    pub(super) fn end(self: &Arc<Self>) -> Pen {
        let mut paper = self.lock();
        paper.ended = true;
        loop {
            match paper.store.take() {
                Some(store) => return self.pen(store),
                None => paper = self.back.wait(paper).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    fn pen(self: &Arc<Self>, store: Box<dyn Store>) -> Pen {
        Pen { desk: self.clone(), store: Some(store), group: Group::default() }
    }

    /// The next report. If there is none the hub is woken for it, by whoever
    /// [goes on](Pen::go_on).
    pub(super) fn poll_report(&self, cx: &Context<'_>) -> Poll<Report> {
        let mut paper = self.lock();
        if let Some(report) = paper.reports.pop_front() {
            return Poll::Ready(report);
        }
        paper.hub = Some(cx.waker().clone());
        Poll::Pending
    }

    /// The next report, if there is one.
    pub(super) fn take_report(&self) -> Option<Report> {
        self.lock().reports.pop_front()
    }

    fn lock(&self) -> MutexGuard<'_, Paper> {
        self.paper.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pen {
    /// Writes what there is, for as long as the disk takes. The hub is not woken.
    pub(super) fn write(&mut self) {
        let Some(store) = &mut self.store else { return };
        self.group = std::mem::take(&mut self.desk.lock().next);
        if self.group.is_empty() {
            return;
        }
        let begun = Instant::now();
        let result = store.commit(&self.group);
        let (took, group) = (begun.elapsed(), std::mem::take(&mut self.group));
        let mut paper = self.desk.lock();
        let report = match result {
            Ok(()) => Report::Committed(group, took),
            Err(why) => {
                paper.put_back(group);
                Report::Failed(why.to_string())
            }
        };
        paper.reports.push_back(report);
    }

    /// Closes the store.
    pub(super) fn close(mut self) {
        self.store = None;
    }

    /// Writes group after group, as long as there are some.
    pub(super) fn write_on(self) {
        let mut pen = Some(self);
        while let Some(mut mine) = pen {
            mine.write();
            pen = mine.go_on();
        }
    }

    /// Wakes the hub for what was written, and keeps the pen if there is more to
    /// write. `None`: it is back.
    pub(super) fn go_on(mut self) -> Option<Self> {
        let mut paper = self.desk.lock();
        let (hub, goes_on) = (paper.hub.take(), paper.may_go_on());
        if !goes_on {
            paper.store = self.store.take();
        }
        drop(paper);
        if let Some(hub) = hub {
            hub.wake();
        }
        goes_on.then_some(self)
    }
}

/// It is put back, whatever happens to who has it, and so is a group of which it
/// is not known what has become: nothing that comes later may be on disk before it.
impl Drop for Pen {
    fn drop(&mut self) {
        let mut paper = self.desk.lock();
        if !self.group.is_empty() {
            paper.put_back(std::mem::take(&mut self.group));
        }
        if let Some(store) = self.store.take() {
            paper.store = Some(store);
        }
        drop(paper);
        self.desk.back.notify_one();
    }
}

impl Paper {
    /// What was not written comes before what has come in meanwhile, and waits
    /// until the hub says that it may be tried again.
    fn put_back(&mut self, mut group: Group) {
        group.absorb(std::mem::take(&mut self.next));
        (self.next, self.pausing) = (group, true);
    }

    fn may_go_on(&self) -> bool {
        !self.pausing && !self.ended && !self.next.is_empty()
    }
}

impl fmt::Debug for Pen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pen").finish_non_exhaustive()
    }
}

impl fmt::Debug for Paper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Paper").field("next", &self.next).finish_non_exhaustive()
    }
}
