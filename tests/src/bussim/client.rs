//! Producers and observers.

use std::collections::{BTreeMap, VecDeque};

use fastrand::Rng;
use sched_core::bus::SessionEvent;
use sched_core::bus::v1::{ErrorCode, Notice};
use sched_core::{Duration, Instant, JobId};
use serde_json::Value;

use super::line::Line;
use super::net::Net;
use super::plan::{Order, SHARED};
use super::{Verdict, ensure};

/// A producer that watches its own jobs, or an observer that watches all.
#[derive(Debug)]
pub struct Client {
    /// Its session.
    pub line: Line,
    all: bool,
    orders: VecDeque<Order>,
    /// Orders that were asked for and not answered.
    asked: BTreeMap<u64, Order>,
    /// All orders with a key that have no outcome that is known: they survive
    /// the producer.
    accepted: BTreeMap<JobId, Order>,
    subscription: Option<u64>,
    last_seq: Option<u64>,
    /// The outcomes it has heard of, by name.
    pub heard: BTreeMap<JobId, String>,
    /// Jobs that were accepted for it and that it must hear about.
    pub owns: Vec<JobId>,
    /// Whether it was killed: what it submitted before is another session's,
    /// which it does not hear about.
    killed: bool,
    /// Until when it is away.
    pub away: Option<Instant>,
}

impl Client {
    /// A producer of these.
    #[must_use]
    pub fn producer(party: usize, now: Instant, orders: Vec<Order>) -> Self {
        let line = Line::new(party, "producer", format!("p{party}"), 0, now);
        Self::new(line, false, orders.into())
    }

    /// A client that watches everything.
    #[must_use]
    pub fn observer(party: usize, now: Instant) -> Self {
        let line = Line::new(party, "observer", format!("o{party}"), 0, now);
        Self::new(line, true, VecDeque::new())
    }

    const fn new(line: Line, all: bool, orders: VecDeque<Order>) -> Self {
        Self {
            line,
            all,
            orders,
            asked: BTreeMap::new(),
            accepted: BTreeMap::new(),
            subscription: None,
            last_seq: None,
            heard: BTreeMap::new(),
            owns: Vec::new(),
            killed: false,
            away: None,
        }
    }

    /// Whether it watches everything.
    #[must_use]
    pub const fn sees_all(&self) -> bool {
        self.all
    }

    /// Whether there is nothing that it still wants to submit.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.orders.is_empty() && self.asked.is_empty()
    }

    /// When it has something to do.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        if self.away.is_some() {
            return self.away;
        }
        let order = self.orders.front().map(|order| order.at);
        order.into_iter().chain(self.line.next()).min()
    }

    /// It was killed, and is started again later. It knows what it wants done,
    /// and submits under its keys what it does not know to be done.
    pub fn die(&mut self, until: Instant) {
        let again = core::mem::take(&mut self.accepted).into_values();
        let again = again.chain(core::mem::take(&mut self.asked).into_values());
        let mut orders: Vec<Order> = again.filter(|order| order.opts.key.is_some()).collect();
        orders.extend(self.orders.drain(..));
        let orders = orders.into_iter().map(|it| Order { at: it.at.max(until), ..it }).collect();
        let Line { party, .. } = self.line;
        *self = Self::producer(party, until, orders);
        (self.killed, self.away) = (true, Some(until));
    }

    /// Cancels one of its jobs.
    pub fn cancel_one(&mut self, now: Instant, net: &mut Net, dice: &mut Rng) {
        if let Some(job) = dice.choice(&self.owns) {
            self.line.session.cancel(*job);
            self.line.pump(now, net);
        }
    }

    /// Steers the bus or a scheduler.
    pub fn steer(&mut self, now: Instant, net: &mut Net, verb: &'static str, name: Option<&str>) {
        self.line.session.admin(verb, name);
        self.line.pump(now, net);
    }

    /// Lets time pass.
    ///
    /// # Errors
    ///
    /// It heard something that makes no sense.
    pub fn wake(&mut self, now: Instant, net: &mut Net, up: bool, dice: &mut Rng) -> Verdict {
        self.away = None;
        self.line.wake(now, net, up, dice);
        while self.orders.front().is_some_and(|order| order.at <= now) {
            let Some(order) = self.orders.pop_front() else { break };
            let request = self.line.session.submit(&order.payload, &order.opts);
            self.asked.insert(request, order);
        }
        self.settle(now, net)
    }

    /// It hears something.
    ///
    /// # Errors
    ///
    /// That makes no sense.
    pub fn hear(&mut self, now: Instant, net: &mut Net, text: &str) -> Verdict {
        self.line.session.handle_message(now, text);
        self.settle(now, net)
    }

    fn settle(&mut self, now: Instant, net: &mut Net) -> Verdict {
        while let Some(event) = self.line.session.poll_event() {
            self.heard(now, event)?;
        }
        self.line.pump(now, net);
        Ok(())
    }

    fn heard(&mut self, now: Instant, event: SessionEvent) -> Verdict {
        match event {
            SessionEvent::Welcomed { .. } => self.subscribe(),
            SessionEvent::Accepted { request, job, dup } => {
                let order = self.asked.remove(&request);
                let key = order.as_ref().and_then(|order| order.opts.key.as_deref());
                let shared = key.is_some_and(|key| key.starts_with(SHARED));
                let of_another = dup && (self.killed || shared);
                if !of_another && !self.owns.contains(&job) {
                    self.owns.push(job);
                }
                self.accepted.extend(order.map(|order| (job, order)));
            }
            SessionEvent::Refused { request, code, message } => {
                self.refused(now, request, code, &message)?;
            }
            SessionEvent::Unknown { request } => drop(self.asked.remove(&request)),
            SessionEvent::Job(text) => self.job_changed(&text)?,
            SessionEvent::Snapshot(text) => self.read_snapshot(&text)?,
            SessionEvent::Done { .. } | SessionEvent::OldBus => {}
            other => return Err(format!("{now} a client heard {other:?}")),
        }
        Ok(())
    }

    fn subscribe(&mut self) {
        self.subscription = Some(self.line.session.subscribe(self.last_seq, self.all));
    }

    fn refused(&mut self, now: Instant, request: Option<u64>, code: i32, message: &str) -> Verdict {
        if let Some(order) = request.and_then(|request| self.asked.remove(&request)) {
            let may = [ErrorCode::Full, ErrorCode::Draining, ErrorCode::Storage];
            let known = may.iter().any(|it| it.number() == code);
            ensure(known, || format!("{now} a submission was refused: {message}"))?;
            let at = now + Duration::from_millis(1500);
            let place = self.orders.partition_point(|order| order.at <= at);
            self.orders.insert(place, Order { at, ..order });
        } else if code == ErrorCode::Resync.number() {
            ensure(request == self.subscription, || format!("{now} resync of {request:?}"))?;
            self.last_seq = None;
            self.subscribe();
        } else {
            let may = [ErrorCode::NoJob, ErrorCode::BadParams];
            let known = may.iter().any(|it| it.number() == code);
            ensure(known, || format!("{now} refused: {message}"))?;
        }
        Ok(())
    }

    fn job_changed(&mut self, text: &str) -> Verdict {
        let Ok(Notice::Job(change)) = Notice::parse(text) else { return Err(text.to_owned()) };
        let last = self.last_seq.unwrap_or_default();
        ensure(change.seq > last, || format!("event {} after {last}", change.seq))?;
        self.last_seq = Some(change.seq);
        if change.last {
            self.outcome(&change.job, &change.state)?;
        }
        Ok(())
    }

    fn read_snapshot(&mut self, text: &str) -> Verdict {
        let read: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        self.last_seq = read["seq"].as_u64();
        for change in read["ended"].as_array().into_iter().flatten() {
            let word = |field: &str| change[field].as_str().unwrap_or_default();
            self.outcome(word("job"), word("state"))?;
        }
        Ok(())
    }

    fn outcome(&mut self, job: &str, state: &str) -> Verdict {
        let job = JobId::parse(job).ok_or_else(|| format!("{job} is no job"))?;
        self.accepted.remove(&job);
        let before = self.heard.insert(job, state.to_owned());
        let same = before.as_ref().is_none_or(|before| before == state);
        ensure(same, || format!("{job} was {before:?}, and is {state}"))
    }
}
