//! The owner of the broker and of all clients.

mod input;
mod sending;
mod threads;

use std::iter::from_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time;

use async_channel::{Receiver, Sender};
use async_tungstenite::tungstenite::protocol::Role as Side;
use async_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use futures_lite::Stream;
use sched_core::bus::{Broker, BrokerEvent};
use sched_core::{ClientId, Instant};

pub(super) use self::input::{Input, NotAdmitted, Watch};
use super::super::outbox::Backlog;
use super::super::receiver::{End, Incoming, Received};
use super::super::wire;
use super::INBOX;
use super::client::{Client, Clients, Newcomer};
use super::disk::{Disk, Verdict};
use super::fan_out::FanOut;
use super::fault_log::FaultLog;
use super::hand::Hand;
use super::poller::{Found, Poller};
use super::relief::Relief;
use super::report::{BusEvent, BusStats};
use crate::clock::Clock;

/// The owner of the broker and of all clients. It never waits for one of them,
/// nor for the disk.
#[derive(Debug)]
pub(super) struct Hub {
    clock: Clock,
    broker: Broker,
    disk: Option<Disk>,
    /// Whether its thread writes what waits for the disk.
    hand: Hand,
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
            hand: Hand::default(),
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

    /// Does what there is to do, so that what follows from it is sent together.
    /// `false`: nobody can send input any more.
    pub(super) fn turn(
        &mut self,
        cx: &mut Context<'_>,
        found: &mut Found,
        relief: &Relief<Self>,
    ) -> bool {
        self.read_from(found);
        while self.poller.finds_more(found) {
            self.read_from(found);
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
        self.persist(relief);
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
    fn hear_disk(&mut self, cx: &Context<'_>) {
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

    /// Leaves what must be on disk for whoever writes. Nothing that follows from
    /// it is sent before it is known to be there.
    fn persist(&mut self, relief: &Relief<Self>) {
        let Some(mut disk) = self.disk.take() else { return };
        while let Some(verdict) = disk.take(from_fn(|| self.broker.poll_persist())) {
            self.take_verdict(&verdict);
        }
        disk.flush();
        let waiting = disk.waits();
        self.hand.choose(waiting);
        if waiting > 0 && !self.hand.is_own() {
            disk.take_up().into_iter().for_each(|pen| relief.hand(pen));
        }
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

    fn read_from(&mut self, found: &Found) {
        // Of all that was found together it is said that it came now.
        let now = time::Instant::now();
        for (client, ends) in found.readable() {
            self.read(client, ends, now);
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
