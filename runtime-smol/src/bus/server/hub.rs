//! The task that owns the broker.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::iter::from_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time;

use async_channel::{Receiver, Sender};
use async_tungstenite::tungstenite::protocol::Role as Side;
use async_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use async_tungstenite::tungstenite::{Bytes, Error as WsError, Utf8Bytes};
use futures_lite::FutureExt;
use futures_lite::future::pending;
use hyper::StatusCode;
use sched_core::bus::{Broker, BrokerEvent};
use sched_core::{ClientId, Instant};
use smol::Timer;

use super::super::outbox::{Backlog, NotTaken, Outbox};
use super::super::receiver::End;
use super::super::texts::Texts;
use super::super::wire;
use super::INBOX;
use super::admission::Refusal;
use super::disk::{Disk, Report, Verdict};
use super::fan_out::FanOut;
use super::fault_log::FaultLog;
use super::report::{BusEvent, BusStats};
use crate::clock::Clock;

/// What connections and handles tell the hub.
#[derive(Debug)]
pub(super) enum Input {
    Connected { id: ClientId, peer: SocketAddr, outbox: Arc<Outbox> },
    Text(ClientId, Utf8Bytes),
    Texts(ClientId, Texts),
    Binary(ClientId, usize),
    Disconnected(ClientId, Arc<End>),
    NotAdmitted(SocketAddr, NotAdmitted),
    TurnedAway(SocketAddr),
    AcceptFailed(io::Error),
    HttpAnswered,
    Watch(Watch),
    KeptEvents(Sender<Vec<Arc<str>>>),
    Shutdown,
}

/// Somebody who waits for the counts to be so.
pub(super) struct Watch {
    pub(super) so: Box<dyn Fn(&BusStats) -> bool + Send>,
    pub(super) reply: Sender<BusStats>,
}

/// Why a connection did not become a client.
#[derive(Debug)]
pub(super) enum NotAdmitted {
    Refused(Refusal),
    Garbage(WsError),
    NotServed(StatusCode),
    NotHttp(hyper::Error),
    Late,
    Stopping,
}

/// The owner of the broker. It never waits for a client, nor for the disk.
#[derive(Debug)]
pub(super) struct Hub {
    clock: Clock,
    broker: Broker,
    disk: Option<Disk>,
    input: Receiver<Input>,
    events: Sender<BusEvent>,
    clients: HashMap<ClientId, Client>,
    fan_out: FanOut,
    stats: BusStats,
    log: FaultLog,
    watches: Vec<Watch>,
    stopping: bool,
}

#[derive(Debug)]
struct Client {
    peer: SocketAddr,
    outbox: Arc<Outbox>,
}

/// What the hub does next.
enum Turn {
    Input(Input),
    Disk(Report),
    /// Something is due.
    Time,
}

impl Hub {
    pub(super) fn new(
        clock: Clock,
        (broker, disk): (Broker, Option<Disk>),
        input: Receiver<Input>,
        events: Sender<BusEvent>,
    ) -> Self {
        Self {
            clock,
            broker,
            disk,
            input,
            events,
            clients: HashMap::new(),
            fan_out: FanOut::default(),
            stats: BusStats::default(),
            log: FaultLog::new(),
            watches: Vec::new(),
            stopping: false,
        }
    }

    /// Runs until nobody can send input any more.
    pub(super) async fn run(mut self) -> BusStats {
        while let Some(turn) = self.next_turn().await {
            match turn {
                Turn::Input(input) => self.handle_all(input),
                Turn::Disk(report) => self.hear_disk(report),
                Turn::Time => self.let_time_act(),
            }
            self.fan_out();
            self.persist();
            self.transmit();
            self.close_replaced();
            self.pass_events_on();
            self.answer_watches();
        }
        self.log.end_period();
        if let Some(disk) = self.disk.take() {
            disk.finish().await;
        }
        self.stats()
    }

    fn next_turn(&self) -> impl Future<Output = Option<Turn>> + use<> {
        let reports = self.disk.as_ref().map(|disk| disk.reports().clone());
        next_turn(self.input.clone(), reports, self.due())
    }

    /// When something is to be done without being asked.
    fn due(&self) -> Option<time::Instant> {
        let broker = self.broker.poll_timeout().and_then(|at| self.clock.system_time_of(at));
        let disk = self.disk.as_ref().and_then(Disk::due);
        self.log.due().into_iter().chain(broker).chain(disk).min()
    }

    fn let_time_act(&mut self) {
        self.broker.handle_timeout(self.clock.now());
        if self.log.due().is_some_and(|due| due <= time::Instant::now()) {
            self.log.end_period();
        }
    }

    fn hear_disk(&mut self, report: Report) {
        if let Some(verdict) = self.disk.as_mut().map(|disk| disk.heard(report)) {
            self.take_verdict(&verdict);
        }
    }

    fn take_verdict(&mut self, verdict: &Verdict) {
        let now = self.clock.now();
        match verdict {
            Verdict::Persisted(seq) => self.broker.handle_persisted(now, *seq),
            Verdict::Failed(why) => self.broker.handle_persist_failed(now, why),
        }
    }

    /// Hands what must be on disk to the writer. Nothing that follows from it
    /// is sent before the writer has said that it is there.
    fn persist(&mut self) {
        let Some(mut disk) = self.disk.take() else { return };
        while let Some(verdict) = disk.take(from_fn(|| self.broker.poll_persist())) {
            self.take_verdict(&verdict);
        }
        disk.flush();
        self.disk = Some(disk);
    }

    /// A session has one connection; the one it had before is of no use.
    fn close_replaced(&mut self) {
        while let Some(client) = self.broker.poll_close() {
            if let Some(client) = self.clients.get(&client) {
                let goodbye = wire::close(Side::Server, CloseCode::Normal, "taken over");
                client.outbox.close(goodbye, Backlog::Drop);
            }
        }
    }

    /// Handles what has come in meanwhile, so that what follows from it is sent
    /// together.
    fn handle_all(&mut self, first: Input) {
        self.handle(first);
        for _ in 1..INBOX {
            if self.fan_out.is_full() {
                return;
            }
            let Ok(input) = self.input.try_recv() else { return };
            self.handle(input);
        }
    }

    fn handle(&mut self, input: Input) {
        let now = self.clock.now();
        match input {
            Input::Connected { id, peer, outbox } => self.connected(id, peer, outbox),
            Input::Text(id, text) => self.handle_text(now, id, &text),
            Input::Texts(id, texts) => {
                texts.iter().for_each(|text| self.handle_text(now, id, text));
            }
            Input::Binary(id, bytes) => self.broker.handle_binary(now, id, bytes),
            Input::Disconnected(id, end) => self.disconnected(id, &end),
            Input::NotAdmitted(peer, why) => self.not_admitted(peer, &why),
            Input::TurnedAway(peer) => {
                self.stats.turned_away += 1;
                self.log.tell(&peer, &"turned away: there are too many connections");
            }
            Input::AcceptFailed(error) => {
                self.stats.accept_errors += 1;
                self.log.tell(&"(unknown)", &format_args!("cannot accept a connection: {error}"));
            }
            Input::HttpAnswered => self.stats.http_requests += 1,
            Input::Watch(watch) => self.watches.push(watch),
            Input::KeptEvents(reply) => {
                let events = self.broker.exchange().events().collect();
                let _gone = reply.try_send(events);
            }
            Input::Shutdown => self.shut_down(),
        }
    }

    fn handle_text(&mut self, now: Instant, from: ClientId, text: &str) {
        self.broker.handle_message(now, from, text);
        while let Some(publication) = self.broker.poll_publication() {
            if !self.fan_out.goes_with(&publication) {
                self.fan_out();
            }
            let (broker, clients) = (&self.broker, &self.clients);
            self.fan_out.add(&publication, || {
                let outbox = |id| Some((id, clients.get(&id)?.outbox.clone()));
                broker.listeners().filter_map(outbox)
            });
        }
    }

    /// Sends what has been collected for the schedulers of version 0.
    fn fan_out(&mut self) {
        for client in self.fan_out.flush() {
            self.drop_slow(client);
        }
    }

    fn connected(&mut self, id: ClientId, peer: SocketAddr, outbox: Arc<Outbox>) {
        self.stats.connected += 1;
        self.broker.handle_connect(self.clock.now(), id, &peer.to_string());
        let client = Client { peer, outbox };
        if self.stopping {
            client.say_goodbye();
        }
        self.clients.insert(id, client);
    }

    fn disconnected(&mut self, id: ClientId, end: &End) {
        let in_order = end.is_in_order();
        self.broker.handle_disconnect(self.clock.now(), id, in_order);
        let Some(client) = self.clients.remove(&id) else { return };
        match end {
            End::Violation(..) => self.stats.violations += 1,
            End::Silent => self.stats.silent += 1,
            End::Closed(_) | End::Broken(_) | End::Closing => {
                tracing::debug!(peer = %client.peer, "{end}");
                return;
            }
        }
        self.log.tell(&client.peer, end);
    }

    fn not_admitted(&mut self, peer: SocketAddr, why: &NotAdmitted) {
        match why {
            NotAdmitted::Refused(_) => self.stats.refused += 1,
            NotAdmitted::Garbage(_)
            | NotAdmitted::NotServed(_)
            | NotAdmitted::NotHttp(_)
            | NotAdmitted::Late => self.stats.handshakes_failed += 1,
            NotAdmitted::Stopping => return,
        }
        self.log.tell(&peer, why);
    }

    /// Sends what the broker wants sent. A frame is encoded once: those who
    /// receive the same one come in a row.
    fn transmit(&mut self) {
        let mut encoded: Option<(Arc<str>, Bytes)> = None;
        while let Some(transmit) = self.broker.poll_transmit() {
            let wire = match encoded.take() {
                Some((frame, wire)) if Arc::ptr_eq(&frame, &transmit.frame) => wire,
                _ => wire::text(Side::Server, &transmit.frame),
            };
            self.push(transmit.to, wire.clone());
            encoded = Some((transmit.frame, wire));
        }
    }

    fn push(&mut self, to: ClientId, frame: Bytes) {
        let Some(client) = self.clients.get(&to) else { return };
        // A client that is closing already has had its reason told.
        if client.outbox.push(frame) == Err(NotTaken::Full) {
            self.drop_slow(to);
        }
    }

    fn drop_slow(&mut self, to: ClientId) {
        let Some(client) = self.clients.get(&to) else { return };
        let peer = client.peer;
        let goodbye = wire::close(Side::Server, CloseCode::Policy, "slow_consumer");
        client.outbox.close(goodbye, Backlog::Drop);
        self.stats.slow_consumers += 1;
        self.broker.end_roles(self.clock.now(), to);
        self.log.tell(&peer, &"closed: it does not read what it is sent (slow_consumer)");
        self.tell(BusEvent::SlowConsumer { client: to, peer });
    }

    fn pass_events_on(&mut self) {
        while let Some(event) = self.broker.poll_event() {
            match &event {
                BrokerEvent::Fault { peer, fault, .. } => self.log.tell(peer, fault),
                BrokerEvent::Dropped { peer, .. } => {
                    self.log.tell(peer, &"job dropped: no scheduler is there");
                }
                BrokerEvent::RolesChanged { .. } => {}
            }
            self.tell(BusEvent::Broker(event));
        }
    }

    /// Nobody has to read events: the newest push the oldest out.
    fn tell(&self, event: BusEvent) {
        let _oldest = self.events.force_send(event);
    }

    fn answer_watches(&mut self) {
        if self.watches.is_empty() {
            return;
        }
        let stats = self.stats();
        self.watches.retain(|watch| {
            let answered = (watch.so)(&stats) && watch.reply.try_send(stats).is_ok();
            !answered && !watch.reply.is_closed()
        });
    }

    fn shut_down(&mut self) {
        self.stopping = true;
        self.clients.values().for_each(Client::say_goodbye);
    }

    fn stats(&self) -> BusStats {
        let exchange = self.broker.exchange();
        BusStats {
            waits: *exchange.waits(),
            runs: *exchange.runs(),
            disk_fails: exchange.disk_fails(),
            draining: self.stopping || exchange.is_draining(),
            broker: self.broker.stats(),
            clients: self.broker.clients(),
            producers: self.broker.producers(),
            schedulers: self.broker.schedulers(),
            exchange: self.broker.counters(),
            backlog: self.clients.values().map(|client| client.outbox.backlog()).sum(),
            ..self.stats
        }
    }
}

impl Client {
    fn say_goodbye(&self) {
        let goodbye = wire::close(Side::Server, CloseCode::Away, "the bus is shutting down");
        self.outbox.close(goodbye, Backlog::Write);
    }
}

/// What is there already goes first, and no kind starves another: the disk
/// reports once a group, and what is due acts once.
async fn next_turn(
    input: Receiver<Input>,
    reports: Option<Receiver<Report>>,
    due: Option<time::Instant>,
) -> Option<Turn> {
    if let Some(report) = reports.as_ref().and_then(|reports| reports.try_recv().ok()) {
        return Some(Turn::Disk(report));
    }
    if due.is_some_and(|due| due <= time::Instant::now()) {
        return Some(Turn::Time);
    }
    if let Ok(input) = input.try_recv() {
        return Some(Turn::Input(input));
    }
    let input = async { input.recv().await.ok().map(Turn::Input) };
    let disk = async {
        match reports {
            Some(reports) => reports.recv().await.ok().map(Turn::Disk),
            None => pending().await,
        }
    };
    let time = async {
        match due {
            Some(due) => Timer::at(due).await,
            None => pending().await,
        };
        Some(Turn::Time)
    };
    input.or(disk).or(time).await
}

/// A bus that is dropped while it runs leaves no connection behind.
impl Drop for Hub {
    fn drop(&mut self) {
        self.input.close();
        while let Ok(input) = self.input.try_recv() {
            if let Input::Connected { outbox, .. } = input {
                outbox.abort();
            }
        }
        self.clients.values().for_each(|client| client.outbox.abort());
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}

impl fmt::Display for NotAdmitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(why) => write!(f, "handshake refused: {why}"),
            Self::Garbage(error) => write!(f, "not a handshake: {error}"),
            Self::NotServed(status) => write!(f, "not a handshake: answered with {status}"),
            Self::NotHttp(error) => write!(f, "not a handshake, nor HTTP: {error}"),
            Self::Late => f.write_str("handshake not finished in time"),
            Self::Stopping => f.write_str("the bus is shutting down"),
        }
    }
}
