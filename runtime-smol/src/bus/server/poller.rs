//! What the hub's thread waits for, and how it is woken.
//!
//! The hub waits in one `epoll_wait` for all its connections, and does itself
//! what their readiness asks for. A task for each of them on the runtime's
//! reactor is the usual way, and costs more than the message is worth:
//!
//! - The reactor forgets who waits for a socket when it has told them once, so
//!   every message needs a system call that asks again, and every turn four
//!   more for the reactor's own timer and bell. Here a socket is registered
//!   once, and a turn is one system call, or some more if many speak. The system
//!   says once that something has come in, and need not look in the next turn
//!   whether it is still there.
//! - A task that is woken is queued, polled, and then queues what it has read
//!   for the hub, which is woken in turn, perhaps on another thread. Here who
//!   can be read is a list, and who reads is already awake.
//!
//! Before it sleeps the hub may look on for a [moment](MOMENT).
//!
//! Everything that is not a socket (other tasks, timers, the disk) calls by a
//! [`Waker`], as it would call any task. It rings a bell, which is part of the
//! same set, and is rung only when the hub sleeps.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

use sched_core::ClientId;

use super::tries::Tries;
use crate::epoll::{self, Epoll, Told};

/// Events taken at once, at most; the others come next, before those that have
/// had theirs. A turn that has had so many does not [go on](Poller::finds_more),
/// so that it ends: what follows from it is sent at its end.
const EVENTS: usize = 256;

/// So many at once are some of those who speak one after another.
const SEVERAL: usize = 2;

/// How long to look on before a sleep.
///
/// To put a thread to sleep and wake it takes some microseconds of the
/// processor, and longer by the clock if the processor has gone to sleep as
/// well. A client that answers at once what it was sent answers sooner than
/// that: whoever still looks hears it earlier, and for less. With a longer moment one
/// in vain could cost more than twice what it would have saved. They are rare where
/// nobody answers at once, because the disk is at work, or because the bus has
/// the only processor.
const MOMENT: Duration = Duration::from_micros(10);

/// The sockets of all clients, and the bell.
#[derive(Debug)]
pub(super) struct Poller {
    epoll: Arc<Epoll>,
    bell: Arc<Bell>,
    callers: Arc<Callers>,
    moments: Tries,
}

/// What a [wait](Poller::wait) has found, and all of its turn.
pub(super) struct Found {
    events: epoll::Found,
    in_this_turn: usize,
}

/// Wakes the hub's thread.
#[derive(Debug)]
struct Bell {
    state: AtomicU8,
    epoll: Arc<Epoll>,
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
        let epoll = Arc::new(Epoll::new()?);
        let bell = Arc::new(Bell { state: AtomicU8::new(AWAKE), epoll: epoll.clone() });
        let callers = Arc::new(Callers { clients: Mutex::default(), bell: bell.clone() });
        Ok(Self { epoll, bell, callers, moments: Tries::default() })
    }

    /// What is waited in. It can be read when there is something to do.
    pub(super) fn set(&self) -> Arc<Epoll> {
        self.epoll.clone()
    }

    /// Wakes the hub.
    pub(super) fn waker(&self) -> Waker {
        self.bell.clone().into()
    }

    /// Wakes the hub for the sake of this client; see [`called`](Self::called).
    pub(super) fn waker_of(&self, client: ClientId) -> Waker {
        Arc::new(Caller { client, callers: self.callers.clone() }).into()
    }

    /// From now on the client is among the readable ones once whenever something
    /// has come in for it, until the socket is closed.
    pub(super) fn add(&self, socket: impl AsFd, client: ClientId) -> io::Result<()> {
        self.epoll.add(socket, client.number(), Told::Once)
    }

    /// It is among them once more if there is something left to read.
    pub(super) fn tell_again(&self, socket: impl AsFd, client: ClientId) {
        // It fails only for a socket that was never added.
        let _ = self.epoll.ask_again(socket, client.number());
    }

    /// No longer.
    pub(super) fn remove(&self, socket: impl AsFd) {
        self.epoll.remove(socket);
    }

    /// Waits until somebody can be read, somebody calls, or it is `until`.
    /// Calls since the last time count.
    pub(super) fn wait(&mut self, until: Option<Instant>, found: &mut Found) {
        if !self.something_comes_at_once(found) {
            let most = match self.bell.fall_asleep() {
                true => until.map(|until| until.saturating_duration_since(Instant::now())),
                false => Some(Duration::ZERO),
            };
            self.epoll.wait(most, &mut found.events);
        }
        self.bell.wake_up();
        found.in_this_turn = found.events.count();
    }

    /// Finds what there is, without waiting. `false`: nothing, nor was there a
    /// call.
    pub(super) fn look_around(&self, found: &mut Found) -> bool {
        self.epoll.wait(Some(Duration::ZERO), &mut found.events);
        let was_called = self.bell.wake_up();
        found.in_this_turn = found.events.count();
        was_called || !found.events.is_nothing()
    }

    /// Whoever calls or speaks from now on makes the [set](Self::set) readable, until
    /// somebody waits or looks around.
    pub(super) fn leave(&self) {
        if !self.bell.fall_asleep() {
            self.epoll.ring();
        }
    }

    /// Looks whether others can be read by now, after all who were found have
    /// been. If many speak, the first are found when they have spoken and the
    /// last have not; what is sent to all of them together, or for all of them
    /// to another, costs less than for each. Who comes alone waits for nobody.
    pub(super) fn finds_more(&self, found: &mut Found) -> bool {
        if found.events.count() < SEVERAL || found.in_this_turn >= EVENTS {
            return false;
        }
        self.epoll.wait(Some(Duration::ZERO), &mut found.events);
        found.in_this_turn += found.events.count();
        !found.events.is_nothing()
    }

    /// Looks on for a moment, if it is a good one.
    fn something_comes_at_once(&mut self, found: &mut Found) -> bool {
        if !self.moments.is_time() {
            return false;
        }
        // What is there already is nothing to learn from.
        if self.look(found) {
            return true;
        }
        let end = Instant::now() + MOMENT;
        let mut comes = false;
        while !comes && Instant::now() < end {
            comes = self.look(found);
        }
        self.moments.ended(comes);
        comes
    }

    fn look(&self, found: &mut Found) -> bool {
        self.epoll.wait(Some(Duration::ZERO), &mut found.events);
        !found.events.is_nothing() || self.bell.is_rung()
    }

    /// Those whose wakers were called, since the last time.
    pub(super) fn called(&self) -> BTreeSet<ClientId> {
        std::mem::take(&mut *self.callers.lock())
    }
}

impl Found {
    pub(super) fn nothing() -> Self {
        Self { events: epoll::Found::at_most(EVENTS), in_this_turn: 0 }
    }

    /// Those who can be read, and whether nothing will come after that.
    pub(super) fn readable(&self) -> impl Iterator<Item = (ClientId, bool)> {
        self.events.events().map(|(number, ends)| (ClientId::new(number), ends))
    }
}

impl Bell {
    /// `false`: it was rung, and this is no time for sleep.
    fn fall_asleep(&self) -> bool {
        let (success, failure) = (Ordering::AcqRel, Ordering::Acquire);
        self.state.compare_exchange(AWAKE, ASLEEP, success, failure).is_ok()
    }

    /// Whether the hub is to turn to something at once.
    fn is_rung(&self) -> bool {
        self.state.load(Ordering::Acquire) == RUNG
    }

    /// Whoever rang before this is heard in the turn that follows. Whether
    /// somebody did.
    fn wake_up(&self) -> bool {
        self.state.swap(AWAKE, Ordering::AcqRel) == RUNG
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.state.swap(RUNG, Ordering::AcqRel) == ASLEEP {
            self.epoll.ring();
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
    use std::io::Write;
    use std::os::unix::net::UnixStream;
    use std::thread;

    use super::*;

    const ONE: ClientId = ClientId::new(1);
    const TWO: ClientId = ClientId::new(2);

    fn soon() -> Option<Instant> {
        Some(Instant::now() + Duration::from_millis(1))
    }

    fn wait(poller: &mut Poller, until: Option<Instant>) -> Vec<ClientId> {
        let mut found = Found::nothing();
        poller.wait(until, &mut found);
        named(&found)
    }

    /// Clients 1, 2 and so on: the near ends, which are waited for, and the far ones.
    fn clients(poller: &Poller, count: u64) -> Vec<(UnixStream, UnixStream)> {
        let connect = |number| {
            let pair = UnixStream::pair().unwrap();
            poller.add(&pair.0, ClientId::new(number)).unwrap();
            pair
        };
        (1..=count).map(connect).collect()
    }

    fn speak((_near, far): &(UnixStream, UnixStream)) {
        (&*far).write_all(b"x").unwrap();
    }

    fn named(found: &Found) -> Vec<ClientId> {
        found.readable().map(|(client, _)| client).collect()
    }

    #[test]
    fn who_can_be_read_is_named() {
        let mut poller = Poller::new().unwrap();
        let (near, mut far) = UnixStream::pair().unwrap();
        poller.add(&near, ONE).unwrap();
        assert_eq!(wait(&mut poller, soon()), []);
        far.write_all(b"x").unwrap();
        assert_eq!(wait(&mut poller, None), [ONE]);
        poller.remove(&near);
        assert_eq!(wait(&mut poller, soon()), []);
    }

    #[test]
    fn who_speaks_meanwhile_is_found_in_the_same_turn_if_there_are_several() {
        let mut poller = Poller::new().unwrap();
        let clients = clients(&poller, 3);
        let mut found = Found::nothing();
        speak(&clients[0]);
        poller.wait(None, &mut found);
        speak(&clients[1]);
        assert!(!poller.finds_more(&mut found), "one alone is served at once");
        speak(&clients[2]);
        poller.wait(None, &mut found);
        assert_eq!(named(&found), [TWO, ClientId::new(3)]);
        speak(&clients[0]);
        assert!(poller.finds_more(&mut found));
        assert_eq!(named(&found), [ONE]);
        assert!(!poller.finds_more(&mut found));
    }

    #[test]
    fn a_turn_ends_though_everybody_goes_on_to_speak() {
        let mut poller = Poller::new().unwrap();
        let clients = clients(&poller, 2);
        let all_speak = || clients.iter().for_each(speak);
        let mut found = Found::nothing();
        all_speak();
        poller.wait(None, &mut found);
        let mut looks = 0;
        loop {
            all_speak();
            if !poller.finds_more(&mut found) {
                break;
            }
            looks += 1;
        }
        assert_eq!(looks, EVENTS / clients.len() - 1);
    }

    #[test]
    fn a_call_is_heard_whether_it_comes_before_the_wait_or_in_it() {
        let mut poller = Poller::new().unwrap();
        let (one, two) = (poller.waker_of(ONE), poller.waker_of(TWO));
        (0..3).for_each(|_| two.wake_by_ref());
        one.wake_by_ref();
        assert_eq!(wait(&mut poller, None), []);
        assert!(poller.called().into_iter().eq([ONE, TWO]));
        assert!(poller.called().is_empty());
        for _ in 0..100 {
            let two = two.clone();
            let calling = thread::spawn(move || two.wake());
            let mut called = BTreeSet::new();
            while called.is_empty() {
                wait(&mut poller, None);
                called = poller.called();
            }
            calling.join().unwrap();
        }
        let bell = poller.waker();
        let ringing = thread::spawn(move || bell.wake());
        wait(&mut poller, None);
        ringing.join().unwrap();
        assert!(poller.called().is_empty());
    }
}
