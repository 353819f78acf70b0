//! How long somebody is waited for who takes nothing of what is printed.

use std::convert::Infallible;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_channel::{Receiver, Sender, bounded};
use smol::Timer;

/// Who has taken nothing for so long is not waited for, once the run is to end.
const LONGEST: Duration = Duration::from_secs(2);

/// What is to be printed, and whether any of it is taken.
#[derive(Debug)]
pub(super) struct Patience {
    /// Messages that are not printed to their end.
    owed: AtomicU64,
    /// Grows with whatever is taken.
    steps: AtomicU64,
    /// Whether something is being printed.
    at_work: AtomicBool,
    /// Closed when it is out.
    open: Sender<Infallible>,
    out: Receiver<Infallible>,
}

/// Tells of everything that is taken.
#[derive(Debug)]
pub(super) struct Steps<'a, W>(W, &'a Patience);

impl Patience {
    pub(super) fn new() -> Self {
        let (open, out) = bounded(1);
        let (owed, steps, at_work) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
        Self { owed, steps, at_work, open, out }
    }

    /// Another message is to be printed.
    pub(super) fn owe(&self) {
        self.owed.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn owed(&self) -> u64 {
        self.owed.load(Ordering::Relaxed)
    }

    /// A message is being printed.
    pub(super) fn begin(&self) {
        self.step();
        self.at_work.store(true, Ordering::Relaxed);
    }

    /// It is printed to its end.
    pub(super) fn done(&self) {
        self.at_work.store(false, Ordering::Relaxed);
        self.owed.fetch_sub(1, Ordering::Relaxed);
    }

    fn step(&self) {
        self.steps.fetch_add(1, Ordering::Relaxed);
    }

    /// Looks on until nothing is taken of what is being printed.
    pub(super) async fn run_out(&self) {
        loop {
            let before = self.steps.load(Ordering::Relaxed);
            Timer::after(LONGEST).await;
            let stands_still = self.steps.load(Ordering::Relaxed) == before;
            if stands_still && self.at_work.load(Ordering::Relaxed) {
                return self.give_up();
            }
        }
    }

    pub(super) fn give_up(&self) {
        self.open.close();
    }

    /// Waits until it is out.
    pub(super) async fn is_out(&self) {
        let _closed = self.out.recv().await;
    }
}

impl<'a, W> Steps<'a, W> {
    pub(super) const fn new(to: W, patience: &'a Patience) -> Self {
        Self(to, patience)
    }
}

impl<W: Write> Write for Steps<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.0.write(bytes)?;
        self.1.step();
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
