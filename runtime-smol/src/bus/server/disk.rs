//! What the hub hands to the disk, and hears of it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use async_channel::{Receiver, Sender};
use futures_lite::Stream;
use sched_core::bus::Persist;
use smol::Task;
use tracing::{error, info};

use super::desk::Desk;
use super::report::DiskStats;
use crate::store::{Group, Store};

/// How much may wait for the disk. Beyond it the disk counts as failing, and
/// submissions are refused, until it has taken what waits.
const MOST_WAITING: usize = 64 * 1024 * 1024;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Reports that may wait for the hub: more than there can be, since every group
/// is of another turn of the hub, and it hears them all once a turn.
const REPORTS: usize = 4;

/// The hub's end of the one thread that writes.
///
/// One group at a time is on its way to the disk. The next is what comes in
/// meanwhile; the writer takes it itself as soon as it is free, and a group that
/// failed is put before it and tried again when the hub says so.
#[derive(Debug)]
pub(super) struct Disk {
    desk: Arc<Desk>,
    pausing: Option<Instant>,
    failed: u32,
    overdue: bool,
    stats: DiskStats,
    reports: Pin<Box<Receiver<Report>>>,
    writer: Task<()>,
}

/// What the writer says of a group.
#[derive(Debug)]
enum Report {
    /// It is on disk; that took so long. It goes back to the hub, whose memory
    /// it is: if the writer gave that free, both would wait for each other at
    /// the allocator, just when the hub has most to do.
    Committed(Group, Duration),
    /// It is not, and is back on the desk.
    Failed(String),
}

/// What the broker must hear.
#[derive(Debug)]
pub(super) enum Verdict {
    Persisted(u64),
    Failed(String),
}

impl Disk {
    /// Starts the thread that writes to this store.
    pub(super) fn new(store: Box<dyn Store>) -> Self {
        let desk = Arc::new(Desk::default());
        let (report, reports) = async_channel::bounded(REPORTS);
        Self {
            desk: desk.clone(),
            pausing: None,
            failed: 0,
            overdue: false,
            stats: DiskStats::default(),
            reports: Box::pin(reports),
            writer: smol::unblock(move || write(store, &desk, &report)),
        }
    }

    /// Takes what must be on disk. An answer: the disk is too slow for that.
    pub(super) fn take(&mut self, changes: impl Iterator<Item = Persist>) -> Option<Verdict> {
        // Made before the desk is locked: the writer may want to look at it.
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

    /// What the broker must hear of the writer's next report.
    pub(super) fn poll_verdict(&mut self, cx: &mut Context<'_>) -> Poll<Verdict> {
        match ready!(self.reports.as_mut().poll_next(cx)) {
            Some(report) => Poll::Ready(self.heard(report)),
            None => Poll::Pending,
        }
    }

    /// Takes what the writer says.
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

    /// Writes what is left, if the disk takes it now, and closes the store.
    pub(super) async fn finish(mut self) {
        self.desk.end();
        while let Ok(report) = self.reports.recv().await {
            let _nobody_is_left_to_hear_it = self.heard(report);
        }
        (&mut self.writer).await;
        if self.desk.add(Group::default()) > 0 {
            error!("the last changes could not be written; none of them was acknowledged");
        }
    }
}

/// Whoever drops it leaves no thread behind that waits.
impl Drop for Disk {
    fn drop(&mut self) {
        self.desk.end();
    }
}

/// Writes, on a thread of its own: a task that hands every group on to another
/// thread, and waits for that, pays for four changes of threads and not two. At
/// the end it closes the store, which writes as well.
fn write(mut store: Box<dyn Store>, desk: &Desk, reports: &Sender<Report>) {
    while let Some(group) = desk.wait() {
        let begun = Instant::now();
        let report = match store.commit(&group) {
            Ok(()) => Report::Committed(group, begun.elapsed()),
            Err(why) => {
                desk.put_back(group);
                Report::Failed(why.to_string())
            }
        };
        if reports.send_blocking(report).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use sched_core::bus::PersistOp;
    use sched_core::{BinIndex, JobId};
    use smol::future::poll_fn;
    use smol::{Timer, block_on};

    use super::*;
    use crate::store::{Records, StoreError};

    /// Jobs, and how long their records are.
    type Taken = Vec<(u64, usize)>;

    /// A disk that can be full, and tells what it has taken.
    struct Flaky {
        full: Arc<AtomicBool>,
        taken: Sender<Taken>,
    }

    /// A disk that asks before it takes anything.
    struct Slow {
        asks: Sender<()>,
        may: Receiver<()>,
    }

    impl Store for Slow {
        fn load(&mut self) -> Result<Records, StoreError> {
            Ok(Records::default())
        }

        fn commit(&mut self, _: &Group) -> Result<(), StoreError> {
            self.asks.send_blocking(()).unwrap();
            self.may.recv_blocking().unwrap();
            Ok(())
        }
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

    #[test]
    fn what_comes_in_meanwhile_is_the_next_group() {
        let ((asks, asked), (let_it, may)) = (async_channel::bounded(1), async_channel::bounded(1));
        let mut disk = Disk::new(Box::new(Slow { asks, may }));
        let asked = || asked.recv_blocking().unwrap();
        let let_it = || let_it.send_blocking(()).unwrap();
        disk.take(put(1, "x"));
        asked();
        disk.take(put(2, "x"));
        disk.take(put(3, "x"));
        let_it();
        // It goes on by itself.
        asked();
        assert!(matches!(heard(&mut disk), Verdict::Persisted(1)));
        disk.take(put(4, "x"));
        let_it();
        assert!(matches!(heard(&mut disk), Verdict::Persisted(3)));
        asked();
        let_it();
        assert!(matches!(heard(&mut disk), Verdict::Persisted(4)));
        block_on(disk.finish());
    }

    #[test]
    fn a_group_that_failed_is_tried_again_with_what_follows() {
        let (mut disk, full, taken) = disk();
        full.store(true, Ordering::SeqCst);
        disk.take(put(1, "x"));
        disk.flush();
        let Verdict::Failed(why) = heard(&mut disk) else { panic!("it was full") };
        assert!(why.contains("it is full"), "{why}");
        full.store(false, Ordering::SeqCst);
        disk.take(put(2, "y"));
        disk.flush();
        assert!(taken.is_empty(), "not before the pause is over");
        block_on(Timer::at(disk.due().unwrap()));
        disk.flush();
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
        disk.flush();
        let large = "x".repeat(MOST_WAITING / 2);
        assert!(disk.take(put(2, &large)).is_none());
        assert!(matches!(disk.take(put(3, &large)), Some(Verdict::Failed(_))));
        assert!(disk.take(put(4, "x")).is_none(), "it is said once");
        full.store(false, Ordering::SeqCst);
        let (length, all) = (large.len(), disk.finish());
        block_on(all);
        let taken: Vec<_> = std::iter::from_fn(|| taken.try_recv().ok()).flatten().collect();
        assert_eq!(taken, [(1, 1), (2, length), (3, length), (4, 1)], "nothing is given up");
    }

    #[test]
    fn a_disk_that_stays_full_does_not_hold_up_the_end() {
        let (mut disk, full, taken) = disk();
        full.store(true, Ordering::SeqCst);
        disk.take(put(1, "x"));
        block_on(disk.finish());
        assert!(taken.is_empty());
    }
}
