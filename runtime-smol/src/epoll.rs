//! A set of descriptors that threads wait for, with a bell.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};

/// The longest wait: what the system takes is bounded.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// The bell's number.
const BELL: u64 = u64::MAX;

/// What is in the set has a number by which it is told. Any number of threads may
/// wait in it.
#[derive(Debug)]
pub(crate) struct Epoll {
    set: OwnedFd,
    bell: OwnedFd,
}

/// When something is told that can be read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Told {
    /// In every wait for as long as it can.
    Always,
    /// To one of those who wait, once each time that there is something new, or
    /// that nothing will follow any more.
    Once,
}

/// What one wait has found.
pub(crate) struct Found(Vec<epoll::Event>);

impl Epoll {
    /// A set with nothing in it but the bell.
    pub(crate) fn new() -> io::Result<Self> {
        let set = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let epoll = Self { set, bell };
        // Told of every ring, so that nobody needs to read it back to silence.
        epoll.add(&epoll.bell, BELL, Told::Once)?;
        Ok(epoll)
    }

    /// From now on it is told when this can be read, until it is closed by all
    /// who have it.
    pub(crate) fn add(&self, fd: impl AsFd, number: u64, told: Told) -> io::Result<()> {
        Ok(epoll::add(&self.set, fd, EventData::new_u64(number), told.flags())?)
    }

    /// What is told once is told once more, if there is something left to read.
    pub(crate) fn ask_again(&self, fd: impl AsFd, number: u64) -> io::Result<()> {
        let data = EventData::new_u64(number);
        Ok(epoll::modify(&self.set, fd, data, Told::Once.flags())?)
    }

    /// It is told no more until it is [asked for](Self::ask_again).
    pub(crate) fn hush(&self, fd: impl AsFd, number: u64) {
        // It fails only for what was never added.
        let _ = epoll::modify(&self.set, fd, EventData::new_u64(number), EventFlags::empty());
    }

    /// It is told no more.
    pub(crate) fn remove(&self, fd: impl AsFd) {
        // It is not there if it could not be added, or is closed already.
        let _ = epoll::delete(&self.set, fd);
    }

    /// Wakes one of those who wait, or the next who will.
    pub(crate) fn ring(&self) {
        // It can only fail by having been rung too often to be missed.
        let _ = rustix::io::write(&self.bell, &1_u64.to_ne_bytes());
    }

    /// Waits until something is told, or for this time at most.
    pub(crate) fn wait(&self, most: Option<Duration>, found: &mut Found) {
        let most = most.map(|most| most.min(LONGEST_WAIT)).map(|most| Timespec {
            tv_sec: most.as_secs() as i64,
            tv_nsec: most.subsec_nanos().into(),
        });
        found.0.clear();
        // Interrupted: nothing is told. There is no other error for a set of one's own.
        let _count = epoll::wait(&self.set, spare_capacity(&mut found.0), most.as_ref());
    }
}

/// It can be read when something is told in it.
impl AsFd for Epoll {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.set.as_fd()
    }
}

impl Told {
    const fn flags(self) -> EventFlags {
        match self {
            Self::Always => EventFlags::IN,
            Self::Once => EventFlags::IN.union(EventFlags::RDHUP).union(EventFlags::ET),
        }
    }
}

impl Found {
    /// Nothing yet, and so much in one wait at most.
    pub(crate) fn at_most(events: usize) -> Self {
        Self(Vec::with_capacity(events))
    }

    /// How many, and the bell if it was rung.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// Whether the time is up: not even the bell was rung.
    pub(crate) fn is_nothing(&self) -> bool {
        self.0.is_empty()
    }

    /// All but the bell.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = u64> {
        self.events().map(|(number, _)| number)
    }

    /// The same, and whether nothing follows what can be read now: who is told
    /// once is not told of the end if it has come together with the rest.
    pub(crate) fn events(&self) -> impl Iterator<Item = (u64, bool)> {
        let end = EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR;
        let event = move |event: &epoll::Event| {
            // Copied: the system packs them.
            let (data, flags) = (event.data, event.flags);
            (data.u64(), flags.intersects(end))
        };
        self.0.iter().map(event).filter(|(number, _)| *number != BELL)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    use super::*;

    const SOON: Duration = Duration::from_millis(1);

    fn told(epoll: &Epoll, most: Option<Duration>) -> Option<Vec<u64>> {
        let mut found = Found::at_most(8);
        epoll.wait(most, &mut found);
        (!found.is_nothing()).then(|| found.numbers().collect())
    }

    #[test]
    fn what_is_new_is_told_once_and_what_is_left_when_asked_for() {
        let epoll = Epoll::new().unwrap();
        let (near, mut far) = UnixStream::pair().unwrap();
        epoll.add(&near, 7, Told::Once).unwrap();
        assert_eq!(told(&epoll, Some(SOON)), None);
        far.write_all(b"x").unwrap();
        assert_eq!(told(&epoll, None), Some(vec![7]));
        assert_eq!(told(&epoll, Some(SOON)), None);
        epoll.ask_again(&near, 7).unwrap();
        assert_eq!(told(&epoll, None), Some(vec![7]));
        epoll.remove(&near);
        far.write_all(b"x").unwrap();
        assert_eq!(told(&epoll, Some(SOON)), None);
    }

    #[test]
    fn what_can_be_read_is_told_for_as_long_as_that_is_so() {
        let epoll = Epoll::new().unwrap();
        let (mut near, mut far) = UnixStream::pair().unwrap();
        epoll.add(&near, 7, Told::Always).unwrap();
        assert_eq!(told(&epoll, Some(SOON)), None);
        far.write_all(b"x").unwrap();
        assert_eq!(told(&epoll, None), Some(vec![7]));
        assert_eq!(told(&epoll, None), Some(vec![7]));
        near.read_exact(&mut [0]).unwrap();
        assert_eq!(told(&epoll, Some(SOON)), None);
        drop(far);
        assert_eq!(told(&epoll, None), Some(vec![7]), "an end can be read too");
        epoll.remove(&near);
        assert_eq!(told(&epoll, Some(SOON)), None);
    }

    #[test]
    fn a_ring_wakes_who_waits_or_will() {
        let epoll = Epoll::new().unwrap();
        epoll.ring();
        assert_eq!(told(&epoll, None), Some(vec![]));
        assert_eq!(told(&epoll, Some(SOON)), None);
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| told(&epoll, None));
            epoll.ring();
            assert_eq!(waits.join().unwrap(), Some(vec![]));
        });
    }
}
