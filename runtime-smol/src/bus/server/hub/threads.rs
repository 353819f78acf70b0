//! The hub as its threads see it.

use std::io;
use std::task::Waker;
use std::thread::yield_now;
use std::time::Instant;

use super::super::desk::Pen;
use super::super::disk::Disk;
use super::super::poller::Found;
use super::super::relief::Relief;
use super::super::report::BusStats;
use super::Hub;

impl Hub {
    /// Where one of two threads leaves it for the other.
    pub(in super::super) fn relief(&self) -> io::Result<Relief<Self>> {
        Relief::new(self.poller.set(), self.has_disk())
    }

    /// Whether it wants two threads.
    pub(in super::super) const fn has_disk(&self) -> bool {
        self.disk.is_some()
    }

    /// Wakes who waits.
    pub(in super::super) fn waker(&self) -> Waker {
        self.poller.waker()
    }

    /// Waits until there is something to do.
    pub(in super::super) fn wait(&mut self, found: &mut Found) {
        self.poller.wait(self.due(), found);
    }

    /// Finds what there is to do, without waiting. `false`: nothing.
    pub(in super::super) fn look_around(&self, found: &mut Found) -> bool {
        self.poller.look_around(found)
    }

    /// From now on its set can be read when there is something to do. Returns
    /// when it has to be seen to at the latest.
    pub(in super::super) fn leave(&self) -> Option<Instant> {
        self.poller.leave();
        self.due()
    }

    /// Whether its thread, which is to write what waits, gives way first.
    pub(in super::super) fn gives_way(&self) -> bool {
        self.hand.is_own() && self.hand.gives_way(Instant::now())
    }

    /// Gives way, and finds what there is to do then. `false`: nothing.
    pub(in super::super) fn give_way(&mut self, found: &mut Found) -> bool {
        let begun = Instant::now();
        yield_now();
        let now = Instant::now();
        self.hand.gave_way(now - begun, now);
        self.look_around(found)
    }

    /// What to write with, if its thread is to write.
    pub(in super::super) fn take_up(&mut self) -> Option<Pen> {
        self.hand.take().then(|| self.disk.as_ref().and_then(Disk::take_up))?
    }

    /// Its thread has written, and it was left alone meanwhile or not.
    pub(in super::super) fn wrote(&mut self, left_alone: bool) {
        self.hand.ended(left_alone);
    }

    /// Writes what is left, and returns what it has done.
    pub(in super::super) fn end(mut self) -> BusStats {
        self.log.end_period();
        if let Some(disk) = &mut self.disk {
            disk.finish();
        }
        self.stats()
    }
}
