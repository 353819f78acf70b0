//! What the hub's thread waits for, and how it is woken.
//!
//! The hub waits in one `epoll_wait` for all its connections, and does itself
//! what their readiness asks for. A task for each of them on the runtime's
//! reactor is the usual way, and costs more than the message is worth:
//!
//! - The reactor forgets who waits for a socket when it has told them once, so
//!   every message needs a system call that asks again, and every turn four
//!   more for the reactor's own timer and bell. Here a socket is registered
//!   once, and a turn is one system call.
//! - A task that is woken is queued, polled, and then queues what it has read
//!   for the hub, which is woken in turn, perhaps on another thread. Here who
//!   can be read is a list, and who reads is already awake.
//!
//! Everything that is not a socket (other tasks, timers, the disk) calls by a
//! [`Waker`], as it would call any task. It rings a bell, which is part of the
//! same set, and is rung only when the hub sleeps.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::{EventfdFlags, Timespec, epoll, eventfd};
use sched_core::ClientId;

/// Events taken in one turn, at most, so that a turn ends: what follows from it
/// is sent at its end. The others come next, before those that have had theirs.
const EVENTS: usize = 256;

/// The bell among the clients.
const BELL: u64 = u64::MAX;

/// The longest wait: what the system takes is bounded.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// The sockets of all clients, and the bell.
#[derive(Debug)]
pub(super) struct Poller {
    epoll: OwnedFd,
    bell: Arc<Bell>,
    callers: Arc<Callers>,
}

/// What a [wait](Poller::wait) has found.
pub(super) struct Found(Vec<epoll::Event>);

/// Wakes the hub's thread.
#[derive(Debug)]
struct Bell {
    state: AtomicU8,
    fd: OwnedFd,
}

/// The hub is awake, and has heard of everything up to its last turn.
const AWAKE: u8 = 0;
/// The hub sleeps, or is about to.
const ASLEEP: u8 = 1;
/// There is something new since the hub fell asleep, or last looked.
const RUNG: u8 = 2;

/// Who has called, until the hub looks. One entry a client.
#[derive(Debug)]
struct Callers {
    clients: Mutex<BTreeSet<ClientId>>,
    bell: Arc<Bell>,
}

/// Calls for a client.
struct Caller {
    client: ClientId,
    callers: Arc<Callers>,
}

impl Poller {
    /// A set with nothing in it but the bell.
    pub(super) fn new() -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let fd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        // Told of every ring, so that nobody needs to read it back to silence.
        let each_time = epoll::EventFlags::IN | epoll::EventFlags::ET;
        epoll::add(&epoll, &fd, epoll::EventData::new_u64(BELL), each_time)?;
        let bell = Arc::new(Bell { state: AtomicU8::new(AWAKE), fd });
        let callers = Arc::new(Callers { clients: Mutex::default(), bell: bell.clone() });
        Ok(Self { epoll, bell, callers })
    }

    /// Wakes the hub.
    pub(super) fn waker(&self) -> Waker {
        self.bell.clone().into()
    }

    /// Wakes the hub for the sake of this client; see [`called`](Self::called).
    pub(super) fn waker_of(&self, client: ClientId) -> Waker {
        Arc::new(Caller { client, callers: self.callers.clone() }).into()
    }

    /// From now on the client is among the readable ones whenever its socket
    /// is, until the socket is closed.
    pub(super) fn add(&self, socket: impl AsFd, client: ClientId) -> io::Result<()> {
        let data = epoll::EventData::new_u64(client.number());
        Ok(epoll::add(&self.epoll, socket, data, epoll::EventFlags::IN)?)
    }

    /// No longer.
    pub(super) fn remove(&self, socket: impl AsFd) {
        let _closed_already = epoll::delete(&self.epoll, socket);
    }

    /// Waits until somebody can be read, somebody calls, or it is `until`.
    /// Calls since the last time count.
    pub(super) fn wait(&self, until: Option<Instant>, found: &mut Found) {
        let most = match self.bell.fall_asleep() {
            true => until.map(timespec),
            false => Some(Timespec::default()),
        };
        found.0.clear();
        // Interrupted: nothing has happened. There is no other error for a set
        // of one's own.
        let _count = epoll::wait(&self.epoll, spare_capacity(&mut found.0), most.as_ref());
        self.bell.wake_up();
    }

    /// Those whose wakers were called, since the last time.
    pub(super) fn called(&self) -> BTreeSet<ClientId> {
        std::mem::take(&mut *self.callers.lock())
    }
}

impl Found {
    pub(super) fn nothing() -> Self {
        Self(Vec::with_capacity(EVENTS))
    }

    /// Those who can be read.
    pub(super) fn readable(&self) -> impl Iterator<Item = ClientId> {
        let numbers = self.0.iter().map(|event| event.data.u64());
        numbers.filter(|number| *number != BELL).map(ClientId::new)
    }
}

/// From now on, rounded up where the system counts in milliseconds.
fn timespec(until: Instant) -> Timespec {
    let most = until.saturating_duration_since(Instant::now()).min(LONGEST_WAIT);
    Timespec { tv_sec: most.as_secs() as i64, tv_nsec: i64::from(most.subsec_nanos()) }
}

impl Bell {
    /// `false`: it was rung, and this is no time for sleep.
    fn fall_asleep(&self) -> bool {
        let (success, failure) = (Ordering::AcqRel, Ordering::Acquire);
        self.state.compare_exchange(AWAKE, ASLEEP, success, failure).is_ok()
    }

    /// Whoever rang before this is heard in the turn that follows.
    fn wake_up(&self) {
        self.state.swap(AWAKE, Ordering::AcqRel);
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.state.swap(RUNG, Ordering::AcqRel) == ASLEEP {
            // It can only fail by having been rung too often to be missed.
            let _rung = rustix::io::write(&self.fd, &1_u64.to_ne_bytes());
        }
    }
}

impl Callers {
    fn lock(&self) -> MutexGuard<'_, BTreeSet<ClientId>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Caller {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.callers.lock().insert(self.client);
        self.callers.bell.wake_by_ref();
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;
    use std::thread;

    use super::*;

    const ONE: ClientId = ClientId::new(1);
    const TWO: ClientId = ClientId::new(2);

    fn soon() -> Option<Instant> {
        Some(Instant::now() + Duration::from_millis(1))
    }

    fn wait(poller: &Poller, until: Option<Instant>) -> Vec<ClientId> {
        let mut found = Found::nothing();
        poller.wait(until, &mut found);
        found.readable().collect()
    }

    #[test]
    fn who_can_be_read_is_named_for_as_long_as_that_is_so() {
        let poller = Poller::new().unwrap();
        let (mut near, mut far) = UnixStream::pair().unwrap();
        poller.add(&near, ONE).unwrap();
        assert_eq!(wait(&poller, soon()), []);
        far.write_all(b"x").unwrap();
        assert_eq!(wait(&poller, None), [ONE]);
        assert_eq!(wait(&poller, None), [ONE]);
        near.read_exact(&mut [0]).unwrap();
        assert_eq!(wait(&poller, soon()), []);
        drop(far);
        assert_eq!(wait(&poller, None), [ONE], "an end can be read too");
        poller.remove(&near);
        assert_eq!(wait(&poller, soon()), []);
    }

    #[test]
    fn a_call_is_heard_whether_it_comes_before_the_wait_or_in_it() {
        let poller = Poller::new().unwrap();
        let (one, two) = (poller.waker_of(ONE), poller.waker_of(TWO));
        (0..3).for_each(|_| two.wake_by_ref());
        one.wake_by_ref();
        assert_eq!(wait(&poller, None), []);
        assert!(poller.called().into_iter().eq([ONE, TWO]));
        assert!(poller.called().is_empty());
        for _ in 0..100 {
            let two = two.clone();
            let calling = thread::spawn(move || two.wake());
            let mut called = BTreeSet::new();
            while called.is_empty() {
                wait(&poller, None);
                called = poller.called();
            }
            calling.join().unwrap();
        }
        let bell = poller.waker();
        let ringing = thread::spawn(move || bell.wake());
        wait(&poller, None);
        ringing.join().unwrap();
        assert!(poller.called().is_empty());
    }
}
