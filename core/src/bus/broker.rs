//! The bus without sockets.

mod event;
mod publication;
mod request;
mod role;
#[cfg(test)]
mod tests;

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::ToString;
use alloc::sync::Arc;

pub use self::event::{BrokerEvent, BrokerStats, Fault};
pub use self::publication::{Publication, Transmit};

use self::publication::Publications;
use super::exchange::{Exchange, ExchangeConfig, Persist};
use super::message::Command;
use super::payload::TestJob;
use super::skim;
use super::v1::Counters;
use crate::id::ClientId;
use crate::time::Instant;

/// Events that nobody has polled, at most. Beyond it the oldest are given up,
/// and counted: a driver that does not care for events must not pay in memory.
const EVENTS_KEPT: usize = 1024;

/// The bus: who is connected, in which roles, and who receives what.
///
/// A driver owns one, feeds it what happens on its connections, and after
/// every call drains [`poll_transmit`](Self::poll_transmit) (before it, if it
/// likes, [`poll_publication`](Self::poll_publication)) and
/// [`poll_event`](Self::poll_event), and takes from
/// [`poll_missed`](Self::poll_missed) what it has room for.
///
/// - It never sends anything to a client that is no scheduler, and never a
///   payload back to the client it came from.
/// - A frame is shared by all who receive it; sending it is up to the driver,
///   which must not let one client wait for another.
/// - Roles end with the connection.
/// - Nothing that a client says ends anything.
///
/// ```
/// use sched_core::bus::Broker;
/// use sched_core::{ClientId, Instant};
/// let (mut broker, now) = (Broker::new(), Instant::ZERO);
/// let (producer, scheduler) = (ClientId::new(1), ClientId::new(2));
/// broker.handle_connect(now, producer, "127.0.0.1:40001");
/// broker.handle_connect(now, scheduler, "127.0.0.1:40002");
/// broker.handle_message(now, scheduler, r#"{"cmd":"register","type":"scheduler"}"#);
/// let request = r#"{"cmd":"job_request","payload":{"priority":3, "runtime":7}}"#;
/// broker.handle_message(now, producer, request);
/// let transmit = broker.poll_transmit().expect("one scheduler listens");
/// assert_eq!(transmit.to, scheduler);
/// assert_eq!(&*transmit.frame, r#"{"priority":3, "runtime":7}"#);
/// assert!(broker.poll_transmit().is_none());
/// ```
///
/// # Version 1
///
/// A client that registers with `"v": 1` speaks version 1 from then on. Its
/// jobs and leases are the [`Exchange`]'s affair. To producers of version 0
/// all schedulers of version 1 together are one more scheduler: each of their
/// jobs goes to one of these, through the queue.
#[derive(Debug)]
pub struct Broker {
    exchange: Exchange,
    queue_job_requests: bool,
    clients: BTreeMap<ClientId, Client>,
    schedulers: BTreeSet<ClientId>,
    producers: usize,
    /// How many schedulers speak version 1. It is asked for with every job of
    /// version 0, and to count them takes a look at every client of version 1.
    modern_schedulers: usize,
    /// Counts the changes of `schedulers`.
    audience: u64,
    publications: Publications,
    /// The first publication while it is given out copy by copy, and the last
    /// of `schedulers` that was given it.
    given: Option<(Arc<str>, ClientId)>,
    transmits: VecDeque<Transmit>,
    events: VecDeque<BrokerEvent>,
    stats: BrokerStats,
}

#[derive(Debug)]
struct Client {
    peer: Arc<str>,
    producer: bool,
    /// Whether it speaks version 1.
    modern: bool,
    /// Whether its roles were ended: it takes none any more.
    leaving: bool,
}

impl Default for Broker {
    fn default() -> Self {
        Self::new()
    }
}

impl Broker {
    /// A bus without clients, that keeps its jobs in memory.
    #[must_use]
    pub fn new() -> Self {
        Self::with_exchange(Exchange::new(ExchangeConfig::new(0)))
    }

    /// A bus without clients, with this queue.
    #[must_use]
    pub const fn with_exchange(exchange: Exchange) -> Self {
        Self {
            exchange,
            queue_job_requests: false,
            clients: BTreeMap::new(),
            schedulers: BTreeSet::new(),
            producers: 0,
            modern_schedulers: 0,
            audience: 0,
            publications: Publications::new(),
            given: None,
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            stats: BrokerStats::ZERO,
        }
    }

    /// From now on every job of a producer of version 0 is queued, and none is
    /// passed on to schedulers of version 0.
    pub const fn queue_job_requests(&mut self) {
        self.queue_job_requests = true;
    }

    /// The queue, to look at.
    #[must_use]
    pub const fn exchange(&self) -> &Exchange {
        &self.exchange
    }

    /// What the queue has counted.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.exchange.counters()
    }

    /// How many clients are connected.
    #[must_use]
    pub fn clients(&self) -> usize {
        self.clients.len()
    }

    /// How many clients are producers.
    #[must_use]
    pub const fn producers(&self) -> usize {
        self.producers
    }

    /// How many clients are schedulers.
    #[must_use]
    pub fn schedulers(&self) -> usize {
        self.schedulers.len() + self.modern_schedulers
    }

    /// Counts since the broker was made.
    #[must_use]
    pub const fn stats(&self) -> BrokerStats {
        self.stats
    }

    /// A client has connected. `peer` names it to people: its address.
    pub fn handle_connect(&mut self, _now: Instant, client: ClientId, peer: &str) {
        let new = || Client { peer: peer.into(), producer: false, modern: false, leaving: false };
        self.clients.entry(client).or_insert_with(new);
    }

    /// A client's connection has ended, and its roles with it. `in_order`: it
    /// has closed, and was not merely lost; a scheduler gives its jobs back
    /// then.
    pub fn handle_disconnect(&mut self, now: Instant, client: ClientId, in_order: bool) {
        self.leave(client, |exchange| exchange.disconnect(now, client, in_order));
        self.clients.remove(&client);
    }

    /// Takes a client's roles away, for good: it is sent nothing any more. What
    /// it said before is still heard. For a connection that is being closed.
    pub fn end_roles(&mut self, now: Instant, client: ClientId) {
        self.leave(client, |exchange| exchange.end_roles(now, client));
        if let Some(it) = self.clients.get_mut(&client) {
            it.leaving = true;
        }
    }

    /// A client has sent a text message. One from a client that is not
    /// connected is ignored.
    pub fn handle_message(&mut self, now: Instant, client: ClientId, text: &str) {
        let Some(modern) = self.clients.get(&client).map(|it| it.modern) else {
            return;
        };
        self.stats.messages += 1;
        self.stats.received_bytes += text.len() as u64;
        if modern {
            return self.handle_request(now, client, text);
        }
        if let Some((payload, job)) = skim::job_request(text) {
            return self.publish(now, client, payload, job);
        }
        match Command::parse(text) {
            Ok(Command::Register(role)) if !self.turns_modern(now, client, text) => {
                self.register(client, role);
            }
            Ok(Command::Register(_)) => {}
            Ok(Command::JobRequest { payload }) => {
                self.publish(now, client, payload, TestJob::from_payload(payload));
            }
            Ok(Command::Unknown) if self.turns_modern(now, client, text) => {}
            Ok(Command::Unknown) => self.stats.ignored += 1,
            Err(error) => self.fault(client, Fault::Command(error)),
        }
    }

    /// A client has sent a binary message of so many bytes.
    pub fn handle_binary(&mut self, _now: Instant, client: ClientId, bytes: usize) {
        if self.clients.contains_key(&client) {
            self.stats.messages += 1;
            self.stats.received_bytes += bytes as u64;
            self.fault(client, Fault::Binary { bytes });
        }
    }

    /// Lets time act.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.exchange.handle_timeout(now);
    }

    /// Everything up to this number is on disk.
    pub fn handle_persisted(&mut self, now: Instant, seq: u64) {
        self.exchange.handle_persisted(now, seq);
    }

    /// See [`Exchange::handle_persist_failed`].
    pub fn handle_persist_failed(&mut self, now: Instant, why: &str) {
        self.exchange.handle_persist_failed(now, why);
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due; `None`: never.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.exchange.poll_timeout()
    }

    /// What must be on disk next; see [`Exchange::poll_persist`].
    pub fn poll_persist(&mut self) -> Option<Persist> {
        self.exchange.poll_persist()
    }

    /// The next client whose connection is to be closed, because it has come
    /// back on another.
    pub fn poll_close(&mut self) -> Option<ClientId> {
        self.exchange.poll_close()
    }

    /// The next frame to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        // Copies were counted when they were published.
        self.poll_copy().or_else(|| {
            let transmit = self.transmits.pop_front().or_else(|| {
                let (to, frame) = self.exchange.poll_transmit()?;
                Some(Transmit { to, frame })
            })?;
            self.stats.sent_bytes += transmit.frame.len() as u64;
            Some(transmit)
        })
    }

    /// The clients that are behind: they are told of events by
    /// [`poll_missed`](Self::poll_missed).
    pub fn behind(&self) -> impl Iterator<Item = ClientId> {
        self.exchange.behind()
    }

    /// The next event for a client that is behind; see
    /// [`Exchange::poll_missed`].
    pub fn poll_missed(&mut self, client: ClientId) -> Option<Arc<str>> {
        if !self.transmits.is_empty() {
            return None;
        }
        let frame = self.exchange.poll_missed(client)?;
        self.stats.sent_bytes += frame.len() as u64;
        Some(frame)
    }

    /// A client does not keep up; see [`Exchange::hold_back`].
    pub fn hold_back(&mut self, client: ClientId) {
        self.exchange.hold_back(client);
    }

    /// The next client whose connection is to be closed, because it is too slow;
    /// see [`Exchange::poll_slow`].
    pub fn poll_slow(&mut self) -> Option<ClientId> {
        self.exchange.poll_slow()
    }

    /// The next thing that happened, for whoever wants to know.
    pub fn poll_event(&mut self) -> Option<BrokerEvent> {
        self.events.pop_front()
    }

    fn fault(&mut self, client: ClientId, fault: Fault) {
        self.stats.faults += 1;
        self.tell(client, |client, peer| BrokerEvent::Fault { client, peer, fault });
    }

    fn tell(&mut self, client: ClientId, event: impl FnOnce(ClientId, Arc<str>) -> BrokerEvent) {
        let peer = self.clients.get(&client).map(|c| c.peer.clone());
        self.push(event(client, peer.unwrap_or_else(|| client.to_string().into())));
    }

    fn push(&mut self, event: BrokerEvent) {
        if self.events.len() == EVENTS_KEPT {
            self.events.pop_front();
            self.stats.events_lost += 1;
        }
        self.events.push_back(event);
    }
}
