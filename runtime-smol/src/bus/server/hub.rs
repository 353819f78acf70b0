//! The owner of the broker and of all clients.

use std::fmt;
use std::io;
use std::iter::from_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time;

use async_channel::{Receiver, Sender};
use async_tungstenite::tungstenite::protocol::Role as Side;
use async_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use async_tungstenite::tungstenite::{Bytes, Error as WsError};
use futures_lite::Stream;
use hyper::StatusCode;
use sched_core::bus::{Broker, BrokerEvent};
use sched_core::{ClientId, Instant};

use super::super::outbox::{Backlog, NotTaken};
use super::super::receiver::{End, Incoming, Received};
use super::super::wire;
use super::INBOX;
use super::admission::Refusal;
use super::client::{Client, Clients, Newcomer};
use super::disk::{Disk, Verdict};
use super::fan_out::FanOut;
use super::fault_log::FaultLog;
use super::poller::{Found, Poller};
use super::report::{BusEvent, BusStats};
use crate::clock::Clock;

/// How many bytes of events a client that is behind is given in one turn, at
/// most, so that a turn ends.
const MOST_MISSED: usize = 64 * 1024;

/// What connections and handles tell the hub.
#[derive(Debug)]
pub(super) enum Input {
    Connected(Newcomer),
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

/// The owner of the broker and of all clients. It never waits for one of them,
/// nor for the disk.
#[derive(Debug)]
pub(super) struct Hub {
    clock: Clock,
    broker: Broker,
    disk: Option<Disk>,
    poller: Poller,
    input: Pin<Box<Receiver<Input>>>,
    events: Sender<BusEvent>,
    clients: Clients,
    fan_out: FanOut,
    /// Who has frames in their outbox that are to be flushed.
    queued: Vec<ClientId>,
    stats: BusStats,
    log: FaultLog,
    watches: Vec<Watch>,
    stopping: bool,
}

impl Hub {
    pub(super) fn new(
        clock: Clock,
        (broker, disk): (Broker, Option<Disk>),
        poller: Poller,
        input: Receiver<Input>,
        events: Sender<BusEvent>,
    ) -> Self {
        Self {
            clock,
            broker,
            disk,
            poller,
            input: Box::pin(input),
            events,
            clients: Clients::default(),
            fan_out: FanOut::default(),
            queued: Vec::new(),
            stats: BusStats::default(),
            log: FaultLog::new(),
            watches: Vec::new(),
            stopping: false,
        }
    }

    /// Runs until nobody can send input any more.
    pub(super) fn run(mut self) -> BusStats {
        let waker = self.poller.waker();
        let mut cx = Context::from_waker(&waker);
        let mut found = Found::nothing();
        while self.turn(&mut cx, &found) {
            self.poller.wait(self.due(), &mut found);
        }
        self.log.end_period();
        if let Some(disk) = self.disk.take() {
            smol::block_on(disk.finish());
        }
        self.stats()
    }

    /// Does what there is to do, so that what follows from it is sent together.
    /// `false`: nobody can send input any more.
    fn turn(&mut self, cx: &mut Context<'_>, found: &Found) -> bool {
        // Of all that is read in one turn it is said that it came now.
        let now = time::Instant::now();
        for (client, ends) in found.readable() {
            self.read(client, ends, now);
        }
        for client in self.poller.called() {
            self.look_after(client);
        }
        let goes_on = self.take_input(cx);
        self.hear_disk(cx);
        if self.due().is_some_and(|due| due <= time::Instant::now()) {
            self.let_time_act();
        }
        self.fan_out();
        self.persist();
        self.transmit();
        self.close_replaced();
        self.pass_events_on();
        self.answer_watches();
        goes_on
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

    /// The disk reports once a group.
    fn hear_disk(&mut self, cx: &mut Context<'_>) {
        while let Some(Poll::Ready(verdict)) = self.disk.as_mut().map(|disk| disk.poll_verdict(cx))
        {
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
                client.outbox().close(goodbye, Backlog::Drop);
            }
        }
    }

    /// Handles what has come in from tasks, and leaves some of it for the next
    /// turn if that is much.
    fn take_input(&mut self, cx: &mut Context<'_>) -> bool {
        for _ in 0..INBOX {
            match self.input.as_mut().poll_next(cx) {
                Poll::Ready(Some(input)) => self.handle(input),
                Poll::Ready(None) => return false,
                Poll::Pending => return true,
            }
        }
        cx.waker().wake_by_ref();
        true
    }

    fn handle(&mut self, input: Input) {
        match input {
            Input::Connected(newcomer) => self.connected(newcomer),
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

    /// Reads from a client whose socket can be read.
    fn read(&mut self, id: ClientId, ends: bool, now: time::Instant) {
        if let Some(client) = self.clients.get_mut(&id) {
            client.set_readable(now, ends);
            self.hear(id, self.clock.at(now));
        }
    }

    /// Takes what a client has said, as far as it has been read.
    fn hear(&mut self, id: ClientId, now: Instant) {
        while let Some(client) = self.clients.get_mut(&id) {
            match client.poll_incoming() {
                Poll::Pending => return client.leave_rest(id, &self.poller),
                Poll::Ready(Ok(incoming)) => self.handle_incoming(now, id, incoming),
                Poll::Ready(Err(end)) => self.disconnected(id, end),
            }
        }
    }

    fn handle_incoming(&mut self, now: Instant, from: ClientId, incoming: Incoming) {
        match incoming {
            Incoming::Texts(texts) => {
                texts.iter().for_each(|text| self.handle_text(now, from, text));
            }
            Incoming::One(Received::Text(text)) => self.handle_text(now, from, &text),
            Incoming::One(Received::Binary(bytes)) => self.broker.handle_binary(now, from, bytes),
        }
    }

    /// Ends a client that has been silent for too long, or is closing.
    fn look_after(&mut self, id: ClientId) {
        if let Some(Poll::Ready(end)) = self.clients.get_mut(&id).map(Client::poll_end) {
            self.disconnected(id, end);
        }
    }

    fn handle_text(&mut self, now: Instant, from: ClientId, text: &str) {
        self.broker.handle_message(now, from, text);
        let mut slow = Vec::new();
        while let Some(publication) = self.broker.poll_publication() {
            if !self.fan_out.goes_with(&publication) {
                slow.extend(self.fan_out.flush());
            }
            let outbox = |id| self.clients.get(&id).map(|client| client.outbox().clone());
            self.fan_out.add(&publication, outbox);
        }
        slow.into_iter().for_each(|client| self.drop_slow(client));
    }

    /// Sends what has been collected for the schedulers of version 0.
    fn fan_out(&mut self) {
        for client in self.fan_out.flush() {
            self.drop_slow(client);
        }
    }

    fn connected(&mut self, newcomer: Newcomer) {
        let (id, peer) = (newcomer.id, newcomer.peer);
        let client = match newcomer.into_client(&self.poller) {
            Ok(client) => client,
            Err(error) => {
                self.stats.accept_errors += 1;
                self.log.tell(&peer, &format_args!("cannot wait for what it says: {error}"));
                return;
            }
        };
        self.stats.connected += 1;
        let now = self.clock.now();
        self.broker.handle_connect(now, id, &peer.to_string());
        if self.stopping {
            client.say_goodbye();
        }
        self.clients.insert(id, client);
        // Something may have been read together with its handshake.
        self.hear(id, now);
        self.look_after(id);
    }

    fn disconnected(&mut self, id: ClientId, end: End) {
        self.broker.handle_disconnect(self.clock.now(), id, end.is_in_order());
        let Some(client) = self.clients.remove(&id) else { return };
        self.fan_out.forget(id);
        match end {
            End::Violation(..) => self.stats.violations += 1,
            End::Silent => self.stats.silent += 1,
            End::Closed(_) | End::Broken(_) | End::Closing => {}
        }
        match end {
            End::Violation(..) | End::Silent => self.log.tell(&client.peer(), &end),
            End::Closed(_) | End::Broken(_) | End::Closing => {
                tracing::debug!(peer = %client.peer(), "{end}");
            }
        }
        client.finish(&self.poller, end);
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

    /// Sends what the broker wants sent, and to those who are behind what they
    /// have room for.
    fn transmit(&mut self) {
        self.pass_messages_on();
        let waiting = self.tell_missed();
        while let Some(client) = self.broker.poll_slow() {
            self.drop_slow(client);
        }
        // Who has caught up may be sent a snapshot.
        self.pass_messages_on();
        for client in std::mem::take(&mut self.queued) {
            let Some(outbox) = self.clients.get(&client).map(Client::outbox) else { continue };
            outbox.flush();
            if !outbox.has_room() {
                self.broker.hold_back(client);
            }
        }
        for client in waiting {
            if let Some(client) = self.clients.get(&client) {
                client.call_when_room();
            }
        }
    }

    /// Gives those who are behind a piece of what they have missed. Returns who
    /// may be given more.
    fn tell_missed(&mut self) -> Vec<ClientId> {
        let mut waiting = Vec::new();
        for id in self.broker.behind().collect::<Vec<_>>() {
            let Some(outbox) = self.clients.get(&id).map(|it| it.outbox().clone()) else {
                continue;
            };
            let (mut told, mut is_done) = (0, outbox.is_closed());
            while !is_done && told < MOST_MISSED && outbox.has_room() {
                match self.broker.poll_missed(id) {
                    Some(frame) => {
                        told += frame.len();
                        self.queue(id, wire::text(Side::Server, &frame));
                    }
                    None => is_done = true,
                }
            }
            if !is_done {
                waiting.push(id);
            }
        }
        waiting
    }

    /// Passes on what the broker wants sent. A frame is encoded once: those who
    /// receive the same one come in a row.
    fn pass_messages_on(&mut self) {
        let mut encoded: Option<(Arc<str>, Bytes)> = None;
        while let Some(transmit) = self.broker.poll_transmit() {
            let wire = match encoded.take() {
                Some((frame, wire)) if Arc::ptr_eq(&frame, &transmit.frame) => wire,
                _ => wire::text(Side::Server, &transmit.frame),
            };
            self.queue(transmit.to, wire.clone());
            encoded = Some((transmit.frame, wire));
        }
    }

    /// What one client is sent in one turn goes out together.
    fn queue(&mut self, to: ClientId, frame: Bytes) {
        let Some(client) = self.clients.get(&to) else { return };
        match client.outbox().queue(frame) {
            // The frames of one client mostly come in a row.
            Ok(()) if self.queued.last() == Some(&to) => {}
            Ok(()) => self.queued.push(to),
            Err(NotTaken::Full) => self.drop_slow(to),
            // Its reason has been told already.
            Err(NotTaken::Closed) => {}
        }
    }

    fn drop_slow(&mut self, to: ClientId) {
        // Its reason has been told already if it is closed.
        let Some(client) = self.clients.get(&to).filter(|it| !it.outbox().is_closed()) else {
            return;
        };
        let peer = client.peer();
        let goodbye = wire::close(Side::Server, CloseCode::Policy, "slow_consumer");
        client.outbox().close(goodbye, Backlog::Drop);
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
            pending: *exchange.pending(),
            disk: self.disk.as_ref().map(Disk::stats),
            waits: *exchange.waits(),
            runs: *exchange.runs(),
            disk_fails: exchange.disk_fails(),
            draining: self.stopping || exchange.is_draining(),
            broker: self.broker.stats(),
            clients: self.broker.clients(),
            producers: self.broker.producers(),
            schedulers: self.broker.schedulers(),
            exchange: self.broker.counters(),
            waiting: exchange.waiting_bytes(),
            backlog: self.clients.values().map(|client| client.outbox().backlog()).sum(),
            ..self.stats
        }
    }
}

/// A bus that is dropped while it runs leaves no connection behind.
impl Drop for Hub {
    fn drop(&mut self) {
        self.input.close();
        self.clients.values().for_each(|client| client.outbox().abort());
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
