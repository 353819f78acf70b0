//! What the hub hands to the disk, and hears of it.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use sched_core::bus::Persist;
use tracing::{error, info};

use super::desk::{Desk, Pen, Report};
use super::report::DiskStats;
use crate::store::{Group, Store};

/// How much may wait for the disk. Beyond it the disk counts as failing, and
/// submissions are refused, until it has taken what waits.
const MOST_WAITING: usize = 64 * 1024 * 1024;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// The hub's view of the disk: it leaves changes on the [`Desk`], and hears what
/// has become of them. A group that failed is tried again when it says so.
#[derive(Debug)]
pub(super) struct Disk {
    desk: Arc<Desk>,
    pausing: Option<Instant>,
    failed: u32,
    overdue: bool,
    stats: DiskStats,
}

/// What the broker must hear.
#[derive(Debug)]
pub(super) enum Verdict {
    Persisted(u64),
    Failed(String),
}

impl Disk {
    /// A disk on which nothing of this store is under way.
    pub(super) fn new(store: Box<dyn Store>) -> Self {
        Self {
            desk: Desk::new(store),
            pausing: None,
            failed: 0,
            overdue: false,
            stats: DiskStats::default(),
        }
    }

    /// Takes what must be on disk. An answer: the disk is too slow for that.
    pub(super) fn take(&mut self, changes: impl Iterator<Item = Persist>) -> Option<Verdict> {
        // Made before the desk is locked: who writes may want to look at it.
        let mut group = Group::default();
        changes.for_each(|change| group.add(change));
        let waiting = self.desk.add(group);
        if self.overdue || waiting <= MOST_WAITING {
            return None;
        }
        self.overdue = true;
        error!("too much waits for the disk; submissions are refused until it has caught up");
        Some(Verdict::Failed("too much waits for it already".to_owned()))
    }

    /// How many records wait, if nobody writes and somebody may.
    pub(super) fn waits(&self) -> usize {
        self.desk.waits()
    }

    /// What to write with, if nobody does.
    pub(super) fn take_up(&self) -> Option<Pen> {
        self.desk.take_up()
    }

    /// Has what failed tried again, if it is time for that.
    pub(super) fn flush(&mut self) {
        if self.pausing.is_some_and(|until| until <= Instant::now()) {
            self.pausing = None;
            self.desk.go_on();
        }
    }

    /// When [`flush`](Self::flush) has to be called, at the latest.
    pub(super) const fn due(&self) -> Option<Instant> {
        self.pausing
    }

    /// What the broker must hear of the next report.
    pub(super) fn poll_verdict(&mut self, cx: &Context<'_>) -> Poll<Verdict> {
        self.desk.poll_report(cx).map(|report| self.heard(report))
    }

    /// Takes what is said of a group.
    fn heard(&mut self, report: Report) -> Verdict {
        match report {
            Report::Committed(group, took) => {
                self.stats.commits.add(took);
                if self.failed > 0 {
                    info!("the disk works again, after {} attempts that failed", self.failed);
                }
                (self.failed, self.overdue) = (0, false);
                Verdict::Persisted(group.last())
            }
            Report::Failed(why) => {
                self.stats.failures += 1;
                if self.failed == 0 {
                    error!("{why}; submissions are refused until that works again");
                }
                let pause = FIRST_PAUSE.saturating_mul(1 << self.failed.min(16));
                self.failed += 1;
                self.pausing = Some(Instant::now() + pause.min(LONGEST_PAUSE));
                Verdict::Failed(why)
            }
        }
    }

    /// What it has done.
    pub(super) const fn stats(&self) -> DiskStats {
        self.stats
    }

    /// Writes what is left, when whoever writes has ended and if the disk takes it
    /// then, and closes the store.
    pub(super) fn finish(&mut self) {
        let mut pen = self.desk.end();
        pen.write();
        pen.close();
        while let Some(report) = self.desk.take_report() {
            let _nobody_is_left_to_hear_it = self.heard(report);
        }
        if self.desk.add(Group::default()) > 0 {
            error!("the last changes could not be written; none of them was acknowledged");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use std::task::Waker;
    use std::thread;

    use async_channel::{Receiver, Sender};
    use sched_core::bus::PersistOp;
    use sched_core::{BinIndex, JobId};
    use smol::future::poll_fn;
    use smol::{Timer, block_on};

    use super::*;
    use crate::store::{Records, StoreError, slow};

    /// Jobs, and how long their records are.
    type Taken = Vec<(u64, usize)>;

    /// A disk that can be full, and tells what it has taken.
    struct Flaky {
        full: Arc<AtomicBool>,
        taken: Sender<Taken>,
    }

    impl Store for Flaky {
        fn load(&mut self) -> Result<Records, StoreError> {
            Ok(Records::default())
        }

        fn commit(&mut self, group: &Group) -> Result<(), StoreError> {
            if self.full.load(Ordering::SeqCst) {
                let why = "it is full".to_owned();
                return Err(StoreError::Failed { path: "here".into(), why });
            }
            let length = |record: Option<&str>| record.map_or(0, str::len);
            let taken = group.jobs().map(|(job, record)| (job.count(), length(record)));
            self.taken.try_send(taken.collect()).unwrap();
            Ok(())
        }
    }

    fn disk() -> (Disk, Arc<AtomicBool>, Receiver<Taken>) {
        let (sender, taken) = async_channel::unbounded();
        let full = Arc::new(AtomicBool::new(false));
        (Disk::new(Box::new(Flaky { full: full.clone(), taken: sender })), full, taken)
    }

    fn put(seq: u64, record: &str) -> std::option::IntoIter<Persist> {
        let op = PersistOp::Put(JobId::new(BinIndex::default(), seq), record.to_owned());
        Some(Persist { seq, op }).into_iter()
    }

    fn heard(disk: &mut Disk) -> Verdict {
        block_on(poll_fn(|cx| disk.poll_verdict(cx)))
    }

    /// What is known of a group by now.
    fn next(disk: &mut Disk) -> Poll<Verdict> {
        disk.poll_verdict(&Context::from_waker(Waker::noop()))
    }

    /// Writes what may be written by now.
    fn write(disk: &Disk) {
        if disk.waits() > 0 {
            disk.take_up().unwrap().write_on();
        }
    }

    #[test]
    fn what_comes_in_meanwhile_is_the_next_group() {
        let (store, hold) = slow();
        let mut disk = Disk::new(store);
        hold.hold();
        disk.take(put(1, "x"));
        assert_eq!(disk.waits(), 1);
        let pen = disk.take_up().unwrap();
        let writes = thread::spawn(|| pen.write_on());
        hold.asked();
        disk.take(put(2, "x"));
        disk.take(put(3, "x"));
        assert!(disk.take_up().is_none(), "there is one pen");
        assert_eq!(disk.waits(), 0, "somebody writes");
        assert!(next(&mut disk).is_pending());
        hold.let_it();
        // It goes on by itself.
        hold.asked();
        assert!(matches!(next(&mut disk), Poll::Ready(Verdict::Persisted(1))));
        disk.take(put(4, "x"));
        hold.let_it();
        assert!(matches!(heard(&mut disk), Verdict::Persisted(3)));
        hold.asked();
        hold.let_it();
        assert!(matches!(heard(&mut disk), Verdict::Persisted(4)));
        writes.join().unwrap();
        disk.finish();
    }

    #[test]
    fn nothing_is_written_after_a_group_that_was_cut_short() {
        let (store, hold) = slow();
        let mut disk = Disk::new(store);
        hold.hold();
        disk.take(put(1, "x"));
        let pen = disk.take_up().unwrap();
        let writes = thread::spawn(|| pen.write_on());
        hold.asked();
        hold.release();
        hold.panic();
        assert!(writes.join().is_err());
        disk.take(put(2, "x"));
        assert_eq!(disk.waits(), 0);
        assert!(next(&mut disk).is_pending());
        disk.finish();
        assert_eq!(disk.stats().commits.counts().iter().sum::<u64>(), 1, "both together");
        assert!(hold.is_closed());
    }

    #[test]
    fn a_group_that_failed_is_tried_again_with_what_follows() {
        let (mut disk, full, taken) = disk();
        full.store(true, Ordering::SeqCst);
        disk.take(put(1, "x"));
        disk.flush();
        write(&disk);
        let Verdict::Failed(why) = heard(&mut disk) else { panic!("it was full") };
        assert!(why.contains("it is full"), "{why}");
        full.store(false, Ordering::SeqCst);
        disk.take(put(2, "y"));
        disk.flush();
        write(&disk);
        assert!(taken.is_empty(), "not before the pause is over");
        block_on(Timer::at(disk.due().unwrap()));
        disk.flush();
        write(&disk);
        assert!(matches!(heard(&mut disk), Verdict::Persisted(2)));
        assert_eq!(taken.try_recv(), Ok(vec![(1, 1), (2, 1)]));
        assert_eq!(disk.due(), None);
        let DiskStats { commits, failures } = disk.stats();
        assert_eq!((commits.counts().iter().sum::<u64>(), failures), (1, 1));
    }

    #[test]
    fn what_waits_is_bounded() {
        let (mut disk, full, taken) = disk();
        full.store(true, Ordering::SeqCst);
        disk.take(put(1, "x"));
        write(&disk);
        let large = "x".repeat(MOST_WAITING / 2);
        assert!(disk.take(put(2, &large)).is_none());
        assert!(matches!(disk.take(put(3, &large)), Some(Verdict::Failed(_))));
        assert!(disk.take(put(4, "x")).is_none(), "it is said once");
        full.store(false, Ordering::SeqCst);
        let length = large.len();
        disk.finish();
        let taken: Vec<_> = std::iter::from_fn(|| taken.try_recv().ok()).flatten().collect();
        assert_eq!(taken, [(1, 1), (2, length), (3, length), (4, 1)], "nothing is given up");
    }

    #[test]
    fn a_disk_that_stays_full_does_not_hold_up_the_end() {
        let (mut disk, full, taken) = disk();
        full.store(true, Ordering::SeqCst);
        disk.take(put(1, "x"));
        write(&disk);
        disk.finish();
        assert!(taken.is_empty());
    }
}
