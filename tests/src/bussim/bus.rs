//! The bus: an exchange behind a server.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fastrand::Rng;
use sched_core::bus::v1::{Counters, Envelope, Notice, Request};
use sched_core::bus::{Exchange, ExchangeConfig};
use sched_core::{ClientId, Instant, JobId, LeaseId, SessionId};

use super::disk::{Commit, Disk};
use super::ledger::Ledger;
use super::net::Net;
use super::{Verdict, ensure};

/// A bus that may be killed and started again.
#[derive(Debug)]
pub struct Bus {
    /// What it decides with; `None`: it is down.
    pub exchange: Option<Exchange>,
    /// Its disk.
    pub disk: Disk,
    /// When it comes back, if it is down.
    pub comes_back: Instant,
    config: ExchangeConfig,
    connections: BTreeSet<u64>,
    /// Connections that are told nothing any more, and still heard.
    leaving: BTreeSet<u64>,
    /// The slots that schedulers have offered, by session.
    slots: BTreeMap<SessionId, u32>,
    offers: BTreeMap<u64, u32>,
}

impl Bus {
    /// A new one, without jobs.
    #[must_use]
    pub fn new(config: ExchangeConfig, slow_disk: bool, dice: Rng) -> Self {
        Self {
            exchange: Some(Exchange::new(config.clone())),
            disk: Disk::new(slow_disk, dice),
            comes_back: Instant::ZERO,
            config,
            connections: BTreeSet::new(),
            leaving: BTreeSet::new(),
            slots: BTreeMap::new(),
            offers: BTreeMap::new(),
        }
    }

    /// When it has something to do.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        match &self.exchange {
            None => Some(self.comes_back),
            Some(exchange) => exchange.poll_timeout().into_iter().chain(self.disk.next()).min(),
        }
    }

    /// It is killed.
    pub fn die(&mut self, now: Instant, net: &mut Net, comes_back: Instant) {
        self.exchange = None;
        self.comes_back = comes_back;
        self.disk.crash();
        self.connections.clear();
        self.leaving.clear();
        self.offers.clear();
        net.bus_dies(now);
    }

    /// Time has passed.
    ///
    /// # Errors
    ///
    /// A promise is broken.
    pub fn wake(&mut self, now: Instant, net: &mut Net, ledger: &mut Ledger) -> Verdict {
        let Some(exchange) = &mut self.exchange else { return self.restore(now, net, ledger) };
        if self.disk.next().is_some_and(|at| at <= now) {
            match self.disk.finish(now) {
                Some(Commit::Done(seq)) => exchange.handle_persisted(now, seq),
                Some(Commit::Failed) => exchange.handle_persist_failed(now, "no space"),
                None => {}
            }
        } else {
            exchange.handle_timeout(now);
        }
        self.pump(now, net, ledger)
    }

    /// A client says something.
    ///
    /// # Errors
    ///
    /// A promise is broken.
    pub fn hear(
        &mut self,
        now: Instant,
        from: u64,
        text: &str,
        net: &mut Net,
        ledger: &mut Ledger,
    ) -> Verdict {
        let Some(it) = &mut self.exchange else { return Ok(()) };
        let Envelope { id, request } = Envelope::parse(text);
        let request = request.map_err(|error| format!("{text}: {error}"))?;
        match &request {
            _ if self.leaving.contains(&from) => {}
            Request::Register(role) => {
                self.connections.insert(from);
                self.offers.insert(from, role.slots);
            }
            _ if self.connections.contains(&from) => {}
            _ => return Ok(()),
        }
        let re = id.as_deref();
        ledger.asked(from, re.and_then(|re| re.get().parse().ok()), &request);
        let client = ClientId::new(from);
        it.handle_timeout(now);
        match request {
            Request::Register(role) => it.register(now, client, &role),
            Request::Submit(job) => it.submit(now, client, id, &job),
            Request::Cancel(job) => it.cancel(now, client, re, job),
            Request::Report(report) => {
                let before = sight(it);
                it.report(now, client, re, &report);
                let after = sight(it);
                let refused = after.stale > before.stale;
                let same = after.ended == before.ended && before.leases.is_subset(&after.leases);
                ensure(!refused || same, || format!("a stale report changed something: {text}"))?;
            }
            Request::Beat { leases, floor, .. } => it.beat(now, client, &leases, floor),
            Request::Stopping(stopping) => it.stopping(now, client, &stopping),
            Request::Subscribe(wanted) => it.subscribe(now, client, re, wanted),
            Request::Admin { verb, target } => it.admin(now, client, re, verb, target.as_deref()),
            Request::JobRequest { .. } => return Err(format!("version 0: {text}")),
        }
        self.pump(now, net, ledger)
    }

    /// A connection is over.
    ///
    /// # Errors
    ///
    /// A promise is broken.
    pub fn lost(
        &mut self,
        now: Instant,
        connection: u64,
        in_order: bool,
        net: &mut Net,
        ledger: &mut Ledger,
    ) -> Verdict {
        self.offers.remove(&connection);
        let known = self.connections.remove(&connection) || self.leaving.remove(&connection);
        if let (true, Some(it)) = (known, &mut self.exchange) {
            it.disconnect(now, ClientId::new(connection), in_order);
        }
        self.pump(now, net, ledger)
    }

    fn restore(&mut self, now: Instant, net: &mut Net, ledger: &mut Ledger) -> Verdict {
        let records = self.disk.jobs.iter().map(|(id, record)| (*id, &**record));
        let config = self.config.clone();
        let restored = Exchange::restore(now, config, self.disk.ids.as_deref(), records);
        let mut exchange = restored.map_err(|error| error.to_string())?;
        ledger.check_kept(&exchange)?;
        exchange.handle_timeout(now);
        self.exchange = Some(exchange);
        self.pump(now, net, ledger)
    }

    /// Sends what there is to send, writes what there is to write, and checks.
    fn pump(&mut self, now: Instant, net: &mut Net, ledger: &mut Ledger) -> Verdict {
        let Some(exchange) = &mut self.exchange else { return Ok(()) };
        while let Some(write) = exchange.poll_persist() {
            self.disk.write(now, write);
        }
        while let Some((to, frame)) = next(exchange) {
            let to = to.number();
            if self.connections.contains(&to) {
                ledger.said(to, &frame).map_err(|why| format!("{why}: {frame}"))?;
                let welcome = session_of(&frame).zip(self.offers.get(&to).copied());
                self.slots.extend(welcome);
                net.answer(now, to, frame.to_string());
            }
        }
        let Some(exchange) = &mut self.exchange else { return Ok(()) };
        while let Some(client) = exchange.poll_close() {
            self.connections.remove(&client.number());
            net.bus_closes(now, client.number());
        }
        // As a client that does not read: it may come back.
        if let Some(client) = exchange.poll_slow() {
            exchange.end_roles(now, client);
            self.connections.remove(&client.number());
            self.offers.remove(&client.number());
            self.leaving.insert(client.number());
            net.bus_gives_up(now, client.number());
            return self.pump(now, net, ledger);
        }
        exchange.check()?;
        ledger.check_leases(exchange)?;
        self.check_slots()
    }

    /// A scheduler has one job more than slots at most: for which it evicts.
    fn check_slots(&self) -> Verdict {
        let mut held: BTreeMap<SessionId, u32> = BTreeMap::new();
        for (.., session) in self.exchange.iter().flat_map(Exchange::leases) {
            *held.entry(session).or_default() += 1;
        }
        for (session, held) in held {
            // One that was never welcomed did not live to hear of its jobs.
            let Some(slots) = self.slots.get(&session).copied() else { continue };
            ensure(held <= slots + 1, || format!("{session} has {held} jobs, {slots} slots"))?;
        }
        Ok(())
    }
}

/// The next message, as a server sends it that has room for everything.
fn next(exchange: &mut Exchange) -> Option<(ClientId, Arc<str>)> {
    exchange.poll_transmit().or_else(|| {
        let behind: Vec<ClientId> = exchange.behind().collect();
        let mut missed = |client| Some((client, exchange.poll_missed(client)?));
        behind.into_iter().find_map(&mut missed).or_else(|| exchange.poll_transmit())
    })
}

/// The session of a welcome.
fn session_of(frame: &str) -> Option<SessionId> {
    let notice = frame.starts_with(r#"{"ev":"welcome""#).then(|| Notice::parse(frame));
    match notice {
        Some(Ok(Notice::Welcome(it))) => Some(it.session),
        _ => None,
    }
}

/// What a report under a lease that has ended must not change: it may make its
/// scheduler heard of again, and so get it jobs.
struct Sight {
    stale: u64,
    ended: Counters,
    leases: BTreeSet<(LeaseId, JobId, SessionId)>,
}

fn sight(exchange: &Exchange) -> Sight {
    let counters = exchange.counters();
    let stale = counters.stale_reports;
    let (pending, running, assigned, stale_reports) = (0, 0, 0, 0);
    let ended = Counters { pending, running, assigned, stale_reports, ..counters };
    Sight { stale, ended, leases: exchange.leases().collect() }
}
