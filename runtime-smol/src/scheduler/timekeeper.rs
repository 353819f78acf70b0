//! Wakes a scheduler when it is time: for a time limit, a grace period, a retry.

use std::sync::{Arc, Weak};

use async_channel::{Receiver, Sender, bounded};
use futures_lite::FutureExt;
use sched_core::Instant;

use super::driver::Shared;

/// The driver's side.
pub(super) struct Alarm {
    /// When the timekeeper will wake up by itself.
    set: Instant,
    calls: Option<Sender<()>>,
}

/// The timekeeper's side.
pub(super) struct Calls(Receiver<()>);

impl Alarm {
    /// Not set yet.
    pub(super) fn new() -> (Self, Calls) {
        let (calls, receiver) = bounded(1);
        (Self { set: Instant::FAR_FUTURE, calls: Some(calls) }, Calls(receiver))
    }

    /// Has the timekeeper look again if it would be late for something that is
    /// then. One that is set too early is let be: it is cheaper to wake up once too
    /// often than to be told of every change.
    pub(super) fn call_for(&mut self, due: Instant) {
        if self.set <= due {
            return;
        }
        self.set = due;
        if let Some(calls) = &self.calls {
            // Full: it was called already.
            let _ = calls.try_send(());
        }
    }

    pub(super) fn set(&mut self, due: Option<Instant>) {
        self.set = due.unwrap_or(Instant::FAR_FUTURE);
    }

    /// Takes away what keeps the timekeeper: it goes home when that is dropped.
    pub(super) fn end(&mut self) -> Self {
        Self { set: self.set, calls: self.calls.take() }
    }
}

/// Wakes the scheduler whenever something is due, until it has ended.
pub(super) async fn keep_time(scheduler: Weak<Shared>, calls: Calls) {
    while let Some((due, clock)) = scheduler.upgrade().map(|it: Arc<Shared>| it.due()) {
        let is_time = async {
            clock.sleep_until(due.unwrap_or(Instant::FAR_FUTURE)).await;
            Some(true)
        };
        let is_called = async { calls.0.recv().await.ok().map(|()| false) };
        match is_time.or(is_called).await {
            Some(true) => match scheduler.upgrade() {
                Some(scheduler) => scheduler.step(|driver, now| driver.handle_timeout(now)),
                None => return,
            },
            Some(false) => {}
            None => return,
        }
    }
}
