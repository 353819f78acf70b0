//! A disk for tests, which takes the time that it is told to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_channel::{Receiver, Sender, bounded};

use super::{Group, Records, Store, StoreError};

/// Takes everything, and remembers nothing.
struct Slow {
    held: Arc<AtomicBool>,
    asks: Sender<()>,
    may: Receiver<bool>,
}

/// Holds a slow disk up.
pub(crate) struct Hold {
    held: Arc<AtomicBool>,
    asked: Receiver<()>,
    may: Sender<bool>,
}

/// A disk that is as fast as any until it is held up.
pub(crate) fn slow() -> (Box<dyn Store>, Hold) {
    let ((asks, asked), (may, is_let)) = (bounded(1), bounded(1));
    let held = Arc::new(AtomicBool::new(false));
    (Box::new(Slow { held: held.clone(), asks, may: is_let }), Hold { held, asked, may })
}

impl Store for Slow {
    fn load(&mut self) -> Result<Records, StoreError> {
        Ok(Records::default())
    }

    fn commit(&mut self, _: &Group) -> Result<(), StoreError> {
        if self.held.load(Ordering::SeqCst) {
            self.asks.send_blocking(()).unwrap();
            assert!(self.may.recv_blocking().unwrap(), "this disk was told to panic");
        }
        Ok(())
    }
}

impl Hold {
    /// From now on every commit waits.
    pub(crate) fn hold(&self) {
        self.held.store(true, Ordering::SeqCst);
    }

    /// Waits until a commit waits.
    pub(crate) fn asked(&self) {
        self.asked.recv_blocking().unwrap();
    }

    /// That commit ends.
    pub(crate) fn let_it(&self) {
        self.may.send_blocking(true).unwrap();
    }

    /// That commit, and all that follow.
    pub(crate) fn let_all(&self) {
        self.release();
        self.let_it();
    }

    /// Whether it is closed.
    pub(crate) fn is_closed(&self) -> bool {
        self.asked.is_closed()
    }

    /// Waits until it is closed. No commit may wait any more.
    pub(crate) fn closed(&self) {
        assert!(self.asked.recv_blocking().is_err(), "somebody writes");
    }

    /// From now on no commit waits.
    pub(crate) fn release(&self) {
        self.held.store(false, Ordering::SeqCst);
    }

    /// That commit panics.
    pub(crate) fn panic(&self) {
        self.may.send_blocking(false).unwrap();
    }
}
