//! The bus without sockets.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use core::fmt;
use core::ops::Bound::{Excluded, Unbounded};
use core::ops::Range;

use super::exchange::{Exchange, ExchangeConfig, Persist};
use super::message::{Command, CommandError, Role};
use super::payload::{PayloadError, TestJob};
use super::skim;
use super::v1::{Counters, Envelope, Registration, Reply, Request, RequestError, Submission};
use crate::id::ClientId;
use crate::time::Instant;

/// Events that nobody has polled, at most. Beyond it the oldest are given up,
/// and counted: a driver that does not care for events must not pay in memory.
const EVENTS_KEPT: usize = 1024;

/// Of the memory for the texts of publications, as much is kept when nothing
/// waits, in bytes.
const KEPT_FOR_TEXTS: usize = 64 * 1024;

/// The bus: who is connected, in which roles, and who receives what.
///
/// A driver owns one, feeds it what happens on its connections, and after
/// every call drains [`poll_transmit`](Self::poll_transmit) (before it, if it
/// likes, [`poll_publication`](Self::poll_publication)) and
/// [`poll_event`](Self::poll_event).
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
}

/// A text frame that is to be sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Transmit {
    /// To whom.
    pub to: ClientId,
    /// What; shared with the others who receive it.
    pub frame: Arc<str>,
}

/// A text frame that is to be sent to every scheduler of version 0, but to the
/// client it came from.
#[derive(Clone, Debug)]
pub struct Publication<'a> {
    /// What.
    pub frame: &'a str,
    /// Who does not receive it, being a scheduler; `None`: all do.
    pub except: Option<ClientId>,
    /// Which schedulers these are: as long as this number is the same, so are
    /// they.
    pub audience: u64,
    schedulers: &'a BTreeSet<ClientId>,
}

impl Publication<'_> {
    /// The schedulers of version 0 now. When it is polled as it should be, at
    /// once, these are those whom it is for.
    pub fn listeners(&self) -> impl Iterator<Item = ClientId> + '_ {
        self.schedulers.iter().copied()
    }
}

/// The publications that nobody has polled yet. The memory for their texts is
/// used again and again: one message after another is passed on without an
/// allocation.
#[derive(Debug, Default)]
struct Publications {
    texts: String,
    waiting: VecDeque<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    /// Where its text is.
    frame: Range<usize>,
    except: Option<ClientId>,
    audience: u64,
}

impl Publications {
    fn push(&mut self, frame: &str, except: Option<ClientId>, audience: u64) {
        if self.waiting.is_empty() {
            self.texts.clear();
            self.texts.shrink_to(KEPT_FOR_TEXTS);
        }
        let start = self.texts.len();
        self.texts.push_str(frame);
        self.waiting.push_back(Waiting { frame: start..self.texts.len(), except, audience });
    }

    fn text(&self, of: &Waiting) -> &str {
        self.texts.get(of.frame.clone()).unwrap_or_default()
    }
}

/// Something that the bus learnt or decided.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum BrokerEvent {
    /// The number of producers or schedulers has changed.
    RolesChanged {
        /// How many clients are producers now.
        producers: usize,
        /// How many clients are schedulers now.
        schedulers: usize,
    },
    /// A client sent something that is of no use. It stays connected.
    Fault {
        /// Who.
        client: ClientId,
        /// Its address, as it was given when it connected.
        peer: Arc<str>,
        /// What was wrong.
        fault: Fault,
    },
    /// A job was dropped, because no other client was a scheduler.
    Dropped {
        /// Whose job.
        client: ClientId,
        /// Its address, as it was given when it connected.
        peer: Arc<str>,
    },
}

/// What was wrong with a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fault {
    /// It is not a command. It was ignored.
    Command(CommandError),
    /// It is a binary message, and the protocol is text. It was ignored.
    Binary {
        /// Its length.
        bytes: usize,
    },
    /// It is a request of version 1 that was refused; the client was told.
    Request(RequestError),
    /// It submits a job that no scheduler can use. It was passed on all the
    /// same, because what a job looks like is between its producer and its
    /// schedulers.
    Payload(PayloadError),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command(error) => write!(f, "message ignored: {error}"),
            Self::Request(error) => write!(f, "request refused: {error}"),
            Self::Binary { bytes } => write!(f, "binary message of {bytes} bytes ignored"),
            Self::Payload(error) => write!(f, "job passed on, but not usable: {error}"),
        }
    }
}

/// Counts since the broker was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct BrokerStats {
    /// Messages that came in, good or bad.
    pub messages: u64,
    /// Their bytes, without what WebSocket puts around them.
    pub received_bytes: u64,
    /// Jobs among them.
    pub jobs: u64,
    /// Copies of jobs that were given out to be sent.
    pub transmitted: u64,
    /// The bytes of all messages that were given out to be sent, for each
    /// receiver, without what WebSocket puts around them.
    pub sent_bytes: u64,
    /// Jobs that were dropped because nobody listened.
    pub dropped: u64,
    /// Commands and roles that were not known, and ignored.
    pub ignored: u64,
    /// Messages with a [`Fault`].
    pub faults: u64,
    /// Events that were given up because nobody polled them.
    pub events_lost: u64,
}

impl Default for Broker {
    fn default() -> Self {
        Self::new()
    }
}

impl BrokerStats {
    const ZERO: Self = Self {
        messages: 0,
        received_bytes: 0,
        jobs: 0,
        transmitted: 0,
        sent_bytes: 0,
        dropped: 0,
        ignored: 0,
        faults: 0,
        events_lost: 0,
    };
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
            publications: Publications { texts: String::new(), waiting: VecDeque::new() },
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
        let new = || Client { peer: peer.into(), producer: false, modern: false };
        self.clients.entry(client).or_insert_with(new);
    }

    /// A client's connection has ended, and its roles with it. `in_order`: it
    /// has closed, and was not merely lost; a scheduler gives its jobs back
    /// then.
    pub fn handle_disconnect(&mut self, now: Instant, client: ClientId, in_order: bool) {
        self.leave(now, client, in_order);
        self.clients.remove(&client);
    }

    /// Takes a client's roles away: it is sent nothing any more. What it said
    /// before is still heard. For a connection that is being closed.
    pub fn end_roles(&mut self, now: Instant, client: ClientId) {
        self.leave(now, client, false);
    }

    fn leave(&mut self, now: Instant, client: ClientId, in_order: bool) {
        let schedulers = self.schedulers();
        self.exchange.disconnect(now, client, in_order);
        self.modern_schedulers = self.exchange.schedulers();
        self.audience += u64::from(self.schedulers.remove(&client));
        let was_producer =
            self.clients.get_mut(&client).is_some_and(|c| core::mem::take(&mut c.producer));
        self.producers -= usize::from(was_producer);
        if was_producer || schedulers != self.schedulers() {
            self.roles_changed();
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

    /// The next frame to send to all schedulers of version 0 at once. What is
    /// polled here is given out as one, and not again copy by copy by
    /// [`poll_transmit`](Self::poll_transmit): for a driver that does once what
    /// is the same for all.
    pub fn poll_publication(&mut self) -> Option<Publication<'_>> {
        if self.given.is_some() {
            // Some have it already.
            return None;
        }
        let Waiting { frame, except, audience } = self.publications.waiting.pop_front()?;
        let frame = self.publications.texts.get(frame).unwrap_or_default();
        Some(Publication { frame, except, audience, schedulers: &self.schedulers })
    }

    /// The next copy of a publication.
    fn poll_copy(&mut self) -> Option<Transmit> {
        while let Some(waiting) = self.publications.waiting.front() {
            let (frame, last) = match self.given.take() {
                Some((frame, last)) => (frame, Excluded(last)),
                None => (self.publications.text(waiting).into(), Unbounded),
            };
            let mut rest = self.schedulers.range((last, Unbounded)).copied();
            if let Some(to) = rest.find(|to| Some(*to) != waiting.except) {
                self.given = Some((Arc::clone(&frame), to));
                return Some(Transmit { to, frame });
            }
            self.publications.waiting.pop_front();
        }
        None
    }

    /// The next thing that happened, for whoever wants to know.
    pub fn poll_event(&mut self) -> Option<BrokerEvent> {
        self.events.pop_front()
    }

    fn register(&mut self, client: ClientId, role: Role) {
        let new = match role {
            Role::Scheduler => {
                let new = self.schedulers.insert(client);
                self.audience += u64::from(new);
                new
            }
            Role::Producer => {
                let new = self
                    .clients
                    .get_mut(&client)
                    .is_some_and(|c| !core::mem::replace(&mut c.producer, true));
                self.producers += usize::from(new);
                new
            }
        };
        if new {
            self.roles_changed();
        }
    }

    /// Whether this is a registration with version 1, which is carried out.
    fn turns_modern(&mut self, now: Instant, client: ClientId, text: &str) -> bool {
        let Ok(Request::Register(registration)) = Envelope::parse(text).request else {
            return false;
        };
        if registration.version == 0 {
            return false;
        }
        if let Some(it) = self.clients.get_mut(&client) {
            it.modern = true;
        }
        self.register_modern(now, client, &registration);
        true
    }

    fn register_modern(&mut self, now: Instant, client: ClientId, as_what: &Registration<'_>) {
        let before = (self.producers, self.schedulers());
        if as_what.role == "producer" {
            if let Some(it) = self.clients.get_mut(&client) {
                let new = !core::mem::replace(&mut it.producer, true);
                self.producers += usize::from(new);
            }
        }
        self.exchange.register(now, client, as_what);
        self.modern_schedulers = self.exchange.schedulers();
        if before != (self.producers, self.schedulers()) {
            self.roles_changed();
        }
    }

    fn handle_request(&mut self, now: Instant, client: ClientId, text: &str) {
        let Envelope { id, request } = Envelope::parse(text);
        let re = id.as_deref();
        let exchange = &mut self.exchange;
        match request {
            Ok(Request::Register(registration)) => self.register_modern(now, client, &registration),
            Ok(Request::Submit(job)) => {
                self.stats.jobs += 1;
                exchange.submit(now, client, id, &job);
            }
            Ok(Request::JobRequest { payload }) => {
                self.publish(now, client, payload, TestJob::from_payload(payload));
            }
            Ok(Request::Cancel(job)) => exchange.cancel(now, client, re, job),
            Ok(Request::Report(report)) => exchange.report(now, client, re, &report),
            Ok(Request::Beat { leases, floor, .. }) => exchange.beat(now, client, &leases, floor),
            Ok(Request::Stopping(stopping)) => exchange.stopping(now, client, &stopping),
            Ok(Request::Subscribe(wanted)) => exchange.subscribe(now, client, re, wanted),
            Ok(Request::Admin { verb, target }) => {
                exchange.admin(now, client, re, verb, target.as_deref());
            }
            Err(error) => {
                let RequestError { code, message } = &error;
                let (code, name) = (code.number(), code.name());
                let reply = serde_json::to_string(&Reply::Error { re, code, name, message });
                let frame = reply.ok().map(Arc::from);
                self.transmits.extend(frame.map(|frame| Transmit { to: client, frame }));
                self.fault(client, Fault::Request(error));
            }
        }
    }

    fn publish(
        &mut self,
        now: Instant,
        from: ClientId,
        payload: &str,
        job: Result<TestJob, PayloadError>,
    ) {
        self.stats.jobs += 1;
        if let Err(error) = job {
            self.fault(from, Fault::Payload(error));
        }
        let queued = self.enqueue(now, from, payload);
        let except = self.schedulers.contains(&from).then_some(from);
        let receivers = self.schedulers.len() - usize::from(except.is_some());
        let receivers = if self.queue_job_requests { 0 } else { receivers };
        if receivers == 0 {
            if !queued {
                self.stats.dropped += 1;
                self.tell(from, |client, peer| BrokerEvent::Dropped { client, peer });
            }
            return;
        }
        self.stats.transmitted += receivers as u64;
        self.stats.sent_bytes += (receivers * payload.len()) as u64;
        self.publications.push(payload, except, self.audience);
    }

    /// Puts a job of a producer of version 0 into the queue, if that is wanted
    /// or there are schedulers of version 1. Returns whether it did.
    fn enqueue(&mut self, now: Instant, from: ClientId, payload: &str) -> bool {
        if !self.queue_job_requests && self.modern_schedulers == 0 {
            return false;
        }
        let Ok(job) = Submission::plain(payload) else { return false };
        let before = self.exchange.counters().refused;
        self.exchange.submit(now, from, None, &job);
        self.exchange.counters().refused == before
    }

    fn fault(&mut self, client: ClientId, fault: Fault) {
        self.stats.faults += 1;
        self.tell(client, |client, peer| BrokerEvent::Fault { client, peer, fault });
    }

    fn roles_changed(&mut self) {
        let (producers, schedulers) = (self.producers, self.schedulers());
        self.push(BrokerEvent::RolesChanged { producers, schedulers });
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

#[cfg(test)]
mod tests;
