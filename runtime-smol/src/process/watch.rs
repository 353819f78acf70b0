//! What the crew's threads wait for.
//!
//! One set (epoll) has the pidfds of all processes, our ends of the pipes of
//! those whose output is captured, and a bell. Any number of threads wait in it,
//! and the kernel tells each thing to one of them (edge-triggered): whoever is
//! told acts on it.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::{EventfdFlags, Timespec, epoll, eventfd};

/// Events taken at once: the rest is for the other thread, if it is free.
const EVENTS: usize = 8;

/// The bell's number.
const BELL: u64 = u64::MAX;

/// What is in the set has a number by which it is told.
#[derive(Debug)]
pub(super) struct Watch {
    epoll: OwnedFd,
    bell: OwnedFd,
}

/// What one thread was told.
pub(super) struct Told(Vec<epoll::Event>);

impl Watch {
    pub(super) fn new() -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        // Told at every ring, so that nobody has to read it back to silence.
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let watch = Self { epoll, bell };
        watch.add(&watch.bell, BELL)?;
        Ok(watch)
    }

    /// From now on it is told when this can be read, once each time that there
    /// is something new.
    pub(super) fn add(&self, fd: impl AsFd, number: u64) -> io::Result<()> {
        let data = epoll::EventData::new_u64(number);
        Ok(epoll::add(&self.epoll, fd, data, epoll::EventFlags::IN | epoll::EventFlags::ET)?)
    }

    /// It is told once more if there is something left to read.
    pub(super) fn ask_again(&self, fd: impl AsFd, number: u64) {
        let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
        let data = epoll::EventData::new_u64(number);
        if let Err(why) = epoll::modify(&self.epoll, fd, data, flags) {
            tracing::error!(%why, "something that can be read may not be");
        }
    }

    /// Before it is closed: a process that is just being started has copies of
    /// all descriptors, and what somebody has open stays in the set.
    pub(super) fn remove(&self, fd: impl AsFd) {
        // It is not there if it could not be added.
        let _ = epoll::delete(&self.epoll, fd);
    }

    /// Wakes one of those who wait, or the next who will.
    pub(super) fn ring(&self) {
        // It can only fail by having been rung too often to be missed.
        let _ = rustix::io::write(&self.bell, &1_u64.to_ne_bytes());
    }

    /// Waits for something to be told, for this time at most.
    pub(super) fn wait(&self, most: Duration, told: &mut Told) {
        let most = Timespec { tv_sec: most.as_secs() as i64, tv_nsec: most.subsec_nanos().into() };
        told.0.clear();
        // Interrupted: nothing is told. There is no other error for a set of one's own.
        let _count = epoll::wait(&self.epoll, spare_capacity(&mut told.0), Some(&most));
    }
}

impl Told {
    pub(super) fn nothing() -> Self {
        Self(Vec::with_capacity(EVENTS))
    }

    /// Whether the time is up.
    pub(super) fn is_nothing(&self) -> bool {
        self.0.is_empty()
    }

    /// All but the bell.
    pub(super) fn numbers(&self) -> impl Iterator<Item = u64> {
        self.0.iter().map(|event| event.data.u64()).filter(|number| *number != BELL)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    use super::*;

    const SOON: Duration = Duration::from_millis(1);
    const LATE: Duration = Duration::from_secs(60);

    fn told(watch: &Watch, most: Duration) -> Option<Vec<u64>> {
        let mut told = Told::nothing();
        watch.wait(most, &mut told);
        (!told.is_nothing()).then(|| told.numbers().collect())
    }

    #[test]
    fn what_is_new_is_told_once_and_what_is_left_when_asked_for() {
        let watch = Watch::new().unwrap();
        let (near, mut far) = UnixStream::pair().unwrap();
        watch.add(&near, 7).unwrap();
        assert_eq!(told(&watch, SOON), None);
        far.write_all(b"x").unwrap();
        assert_eq!(told(&watch, LATE), Some(vec![7]));
        assert_eq!(told(&watch, SOON), None);
        watch.ask_again(&near, 7);
        assert_eq!(told(&watch, LATE), Some(vec![7]));
        watch.remove(&near);
        far.write_all(b"x").unwrap();
        assert_eq!(told(&watch, SOON), None);
    }

    #[test]
    fn a_ring_wakes_who_waits_or_will() {
        let watch = Watch::new().unwrap();
        watch.ring();
        assert_eq!(told(&watch, LATE), Some(vec![]));
        assert_eq!(told(&watch, SOON), None);
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| told(&watch, LATE));
            watch.ring();
            assert_eq!(waits.join().unwrap(), Some(vec![]));
        });
    }
}
