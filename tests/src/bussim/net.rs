//! Connections that delay, and break at the worst moment.

use std::collections::{BTreeMap, VecDeque};

use fastrand::Rng;
use sched_core::{Duration, Instant};

/// All connections that one side at least takes for open.
#[derive(Debug)]
pub struct Net {
    connections: BTreeMap<u64, Connection>,
    last: u64,
    dice: Rng,
    slow_until: Instant,
}

#[derive(Debug)]
struct Connection {
    /// The party at its client's end.
    party: usize,
    up: Pipe,
    down: Pipe,
    client_open: bool,
    bus_open: bool,
    broken: bool,
    client_notices: Option<Instant>,
    bus_notices: Option<Instant>,
}

#[derive(Debug, Default)]
struct Pipe {
    queue: VecDeque<(Instant, Option<String>)>,
    last: Instant,
}

/// Something that reaches an end of a connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Arrival {
    /// The bus hears this.
    ToBus(u64, String),
    /// A party hears this.
    ToParty(usize, u64, String),
    /// The bus notices that a connection is over; in order, or not.
    BusLost(u64, bool),
    /// A party notices.
    PartyLost(usize, u64),
}

/// The fastest message.
const FASTEST: Duration = Duration::from_millis(1);

impl Net {
    /// A network without connections.
    #[must_use]
    pub const fn new(dice: Rng) -> Self {
        Self { connections: BTreeMap::new(), last: 0, dice, slow_until: Instant::ZERO }
    }

    /// Connects a party to the bus.
    pub fn connect(&mut self, party: usize) -> u64 {
        self.last += 1;
        let connection = Connection {
            party,
            up: Pipe::default(),
            down: Pipe::default(),
            client_open: true,
            bus_open: true,
            broken: false,
            client_notices: None,
            bus_notices: None,
        };
        self.connections.insert(self.last, connection);
        self.last
    }

    /// Makes it slow until then.
    pub fn slow(&mut self, until: Instant) {
        self.slow_until = self.slow_until.max(until);
    }

    /// A party says this; `None`: it closes in order.
    pub fn say(&mut self, now: Instant, id: u64, text: Option<String>) {
        let arrives = now + self.delay(now);
        let Some(it) = self.connections.get_mut(&id) else { return };
        it.client_open &= text.is_some();
        if it.bus_open && !it.broken {
            it.up.push(arrives, text);
        }
    }

    /// The bus says this.
    pub fn answer(&mut self, now: Instant, id: u64, text: String) {
        let arrives = now + self.delay(now);
        let Some(it) = self.connections.get_mut(&id) else { return };
        if it.client_open && !it.broken {
            it.down.push(arrives, Some(text));
        }
    }

    /// The connection of a party is lost, with a part of what is under way.
    /// Either end may take long to notice.
    pub fn cut(&mut self, now: Instant, party: usize) {
        let of_party = |it: &&mut Connection| it.party == party && it.client_open && !it.broken;
        for it in self.connections.values_mut().filter(of_party) {
            it.broken = true;
            it.up.lose(&mut self.dice);
            it.down.lose(&mut self.dice);
            it.client_notices = Some(now + notice(&mut self.dice));
            it.bus_notices = Some(now + notice(&mut self.dice));
        }
    }

    /// A party was killed: the bus may take long to notice.
    pub fn party_dies(&mut self, now: Instant, party: usize) {
        for it in self.connections.values_mut().filter(|it| it.party == party && it.client_open) {
            (it.client_open, it.broken) = (false, true);
            it.up.lose(&mut self.dice);
            it.bus_notices = Some(now + notice(&mut self.dice));
        }
    }

    /// The bus was killed: parties notice soon.
    pub fn bus_dies(&mut self, now: Instant) {
        let all: Vec<u64> = self.connections.keys().copied().collect();
        all.into_iter().for_each(|id| self.bus_closes(now, id));
    }

    /// The bus closes a connection.
    pub fn bus_closes(&mut self, now: Instant, id: u64) {
        let soon = now + Duration::from_millis(self.dice.u64(1..500));
        let Some(it) = self.connections.get_mut(&id) else { return };
        (it.bus_open, it.broken) = (false, true);
        it.client_notices = Some(it.client_notices.map_or(soon, |at| at.min(soon)));
    }

    /// The bus says nothing more to a connection, and closes it. What is on its
    /// way from the client is heard before the end is noticed.
    pub fn bus_gives_up(&mut self, now: Instant, id: u64) {
        let soon = now + Duration::from_millis(self.dice.u64(1..500));
        let Some(it) = self.connections.get_mut(&id) else { return };
        it.broken = true;
        it.client_notices = Some(it.client_notices.map_or(soon, |at| at.min(soon)));
        let last = soon.max(it.up.last);
        it.bus_notices = Some(it.bus_notices.map_or(last, |at| at.min(last)));
    }

    /// When something arrives next, and on which connection. `awake` says from
    /// when on a party can be reached.
    pub fn next(&self, awake: impl Fn(usize) -> Instant) -> Option<(Instant, u64)> {
        let next = |it: &Connection| it.next_up().into_iter().chain(it.next_down(&awake)).min();
        let all = self.connections.iter();
        all.filter_map(|(id, it)| Some((next(it)?, *id))).min()
    }

    /// Takes what arrives next on this connection.
    pub fn take(&mut self, id: u64, awake: impl Fn(usize) -> Instant) -> Option<Arrival> {
        let it = self.connections.get_mut(&id)?;
        let (up, down) = (it.next_up(), it.next_down(&awake));
        let arrival = if up.is_some() && (down.is_none() || up <= down) {
            it.take_up(id)
        } else {
            it.take_down(id)
        };
        if !it.client_open && !it.bus_open {
            self.connections.remove(&id);
        }
        arrival
    }

    fn delay(&mut self, now: Instant) -> Duration {
        let most = if now < self.slow_until { 4000 } else { 30 };
        FASTEST + Duration::from_micros(self.dice.u64(0..most * 1000))
    }
}

impl Connection {
    fn next_up(&self) -> Option<Instant> {
        let text = self.up.queue.front().map(|(at, _)| *at);
        text.into_iter().chain(self.bus_notices).min().filter(|_| self.bus_open)
    }

    fn next_down(&self, awake: impl Fn(usize) -> Instant) -> Option<Instant> {
        let text = self.down.queue.front().map(|(at, _)| *at);
        let at = text.into_iter().chain(self.client_notices).min().filter(|_| self.client_open)?;
        Some(at.max(awake(self.party)))
    }

    fn take_up(&mut self, id: u64) -> Option<Arrival> {
        let first = self.up.queue.front().map(|(at, _)| *at);
        if first.is_none() || self.bus_notices.is_some_and(|at| Some(at) < first) {
            self.bus_open = false;
            return Some(Arrival::BusLost(id, false));
        }
        match self.up.queue.pop_front()?.1 {
            Some(text) => Some(Arrival::ToBus(id, text)),
            None => {
                self.bus_open = false;
                Some(Arrival::BusLost(id, true))
            }
        }
    }

    fn take_down(&mut self, id: u64) -> Option<Arrival> {
        let first = self.down.queue.front().map(|(at, _)| *at);
        if first.is_none() || self.client_notices.is_some_and(|at| Some(at) < first) {
            self.client_open = false;
            return Some(Arrival::PartyLost(self.party, id));
        }
        let text = self.down.queue.pop_front()?.1?;
        Some(Arrival::ToParty(self.party, id, text))
    }
}

impl Pipe {
    /// Messages of one connection do not overtake each other.
    fn push(&mut self, arrives: Instant, text: Option<String>) {
        self.last = self.last.max(arrives);
        self.queue.push_back((self.last, text));
    }

    fn lose(&mut self, dice: &mut Rng) {
        let kept = dice.usize(0..=self.queue.len());
        self.queue.truncate(kept);
    }
}

fn notice(dice: &mut Rng) -> Duration {
    let most = if dice.u8(0..4) == 0 { 25_000 } else { 300 };
    Duration::from_millis(dice.u64(1..most))
}
