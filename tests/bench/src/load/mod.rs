//! A crowd of publishers and subscribers in one thread, for a server on
//! loopback.
//!
//! Every message carries its number and the time at which it was due, so that
//! nothing can be lost or disordered without being noticed, and so that waiting
//! for a slow server counts as latency.

pub(crate) mod beanstalk;
mod dialect;
mod fan;
pub(crate) mod idle;
pub(crate) mod jobs;
pub(crate) mod rabbitmq;
mod rate;

use std::fmt::Write;
use std::io;
use std::time::{Duration, Instant};

use self::dialect::Said;
pub(crate) use self::dialect::{Dialect, Part};
pub(crate) use self::fan::Burst;
pub(crate) use self::rate::Rate;
use crate::net::websocket::find;
use crate::net::{Histogram, Mux, Ready, Received};
use crate::trouble::{Doing, Result, Trouble};

/// How long a server may take to do what comes at once.
const PATIENCE: Duration = Duration::from_secs(30);

/// Numbers and times begin here, so that all messages have one length.
const FIRST_NUMBER: u64 = 1_000_000_000;
const FIRST_TIME: u64 = 1_000_000_000_000_000;

pub(crate) struct Crowd {
    dialect: Dialect,
    port: u16,
    began: Instant,
    mux: Mux,
    buffer: Vec<u8>,
    members: Vec<Member>,
    subscribers: u64,
    publishers: Vec<usize>,
    next_publisher: usize,
    message: String,
    heard: Heard,
    sent: u64,
    /// Whether it waits for nothing while it measures, so that no write of the
    /// server pays for waking it.
    spinning: bool,
}

struct Member {
    part: Part,
    open: bool,
    got: u64,
    /// The number that comes next, if it is known.
    next: Option<u64>,
}

/// What the subscribers have heard.
struct Heard {
    deliveries: u64,
    /// Messages that came out of their order, or with some missing before them.
    gaps: u64,
    number: Field,
    due: Field,
    /// With several publishers there is no one order.
    ordered: bool,
    /// When latencies are noted.
    latencies: Option<Histogram>,
}

impl Crowd {
    /// Connects everybody, and waits until every subscriber hears.
    pub(crate) fn gather(
        dialect: Dialect,
        port: u16,
        publishers: usize,
        subscribers: usize,
    ) -> Result<Self> {
        let mut crowd = Self::empty(dialect, port)?;
        crowd.join(Part::Subscriber, subscribers)?;
        crowd.join(Part::Publisher, publishers)?;
        crowd.until_all_hear()?;
        crowd.heard.ordered = publishers == 1;
        Ok(crowd)
    }

    pub(crate) fn empty(dialect: Dialect, port: u16) -> Result<Self> {
        Ok(Self {
            dialect,
            port,
            began: Instant::now(),
            mux: Mux::new().doing("make an epoll set")?,
            buffer: Vec::new(),
            members: Vec::new(),
            subscribers: 0,
            publishers: Vec::new(),
            next_publisher: 0,
            message: String::new(),
            heard: Heard::default(),
            sent: 0,
            spinning: false,
        })
    }

    /// Connects so many more, and waits until they are served.
    pub(crate) fn join(&mut self, part: Part, count: usize) -> Result<()> {
        for _ in 0..count {
            let id = self.mux.connect(self.port).doing("connect to a server")?;
            if part == Part::Publisher {
                self.publishers.push(id);
            } else {
                self.subscribers += 1;
            }
            self.members.push(Member { part, open: false, got: 0, next: None });
            let hello = self.dialect.hello(part, self.port);
            self.mux.send(id, &hello).doing("greet a server")?;
            if self.dialect.welcome_end(b"") == Some(0) {
                self.welcome(id).doing("greet a server")?;
            }
            // The queue of a listener is short.
            while self.members.iter().filter(|member| !member.open).count() >= 64 {
                self.turn(Duration::from_millis(20))?;
            }
        }
        let began = Instant::now();
        while self.members.iter().any(|member| !member.open) {
            self.turn(Duration::from_millis(20))?;
            patience(began, "connections are not answered")?;
        }
        Ok(())
    }

    fn until_all_hear(&mut self) -> Result<()> {
        let began = Instant::now();
        let deaf = |member: &Member| member.part == Part::Subscriber && member.got == 0;
        while self.members.iter().any(deaf) {
            self.publish(self.now());
            self.flush()?;
            self.run_for(Duration::from_millis(100))?;
            patience(began, "subscribers hear nothing")?;
        }
        let mut deliveries = u64::MAX;
        while deliveries != self.heard.deliveries {
            deliveries = self.heard.deliveries;
            self.run_for(Duration::from_millis(100))?;
        }
        self.sent = 0;
        self.heard.deliveries = 0;
        self.heard.gaps = 0;
        self.members.iter_mut().for_each(|member| member.next = None);
        Ok(())
    }

    /// Nanoseconds since it began.
    fn now(&self) -> u64 {
        self.began.elapsed().as_nanos() as u64
    }

    /// Has the next publisher say the next message with the next `flush`.
    fn publish(&mut self, due: u64) {
        let id = self.publishers[self.next_publisher];
        self.next_publisher = (self.next_publisher + 1) % self.publishers.len();
        let (number, time) = (FIRST_NUMBER + self.sent, FIRST_TIME + due);
        self.message.clear();
        // Writing to a string does not fail.
        let _ = write!(self.message, r#"{{"priority":3,"runtime":7,"n":{number},"t":{time}}}"#);
        self.mux.queue(id, |out| self.dialect.publish(&self.message, out));
        self.sent += 1;
    }

    fn flush(&mut self) -> Result<()> {
        for id in &self.publishers {
            if !self.mux.is_blocked(*id) {
                self.mux.flush(*id).doing("write to a server")?;
            }
        }
        Ok(())
    }

    pub(crate) fn run_for(&mut self, time: Duration) -> Result<()> {
        let began = Instant::now();
        while began.elapsed() < time {
            self.turn(Duration::from_millis(5))?;
        }
        Ok(())
    }

    /// Waits so long at most, and takes what has come.
    fn turn(&mut self, most: Duration) -> Result<()> {
        let most = if self.spinning { Duration::ZERO } else { most };
        for event in 0..self.mux.wait(Some(most)).doing("wait for a server")? {
            if let Ready::Readable(id) = self.mux.event(event).doing("write to a server")? {
                self.read(id)?;
            }
        }
        Ok(())
    }

    fn read(&mut self, id: usize) -> Result<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        match self.mux.receive(id, &mut buffer).doing("read from a server")? {
            Received::Bytes(count) => {
                let used = self.take(id, &buffer[..count])?;
                self.mux.keep(id, &buffer[used..count]);
            }
            Received::Nothing => {}
            Received::Ended => return Err(Trouble::wrong("the server has closed a connection")),
        }
        self.buffer = buffer;
        Ok(())
    }

    fn take(&mut self, id: usize, bytes: &[u8]) -> Result<usize> {
        let mut used = 0;
        if !self.members[id].open {
            let Some(end) = self.dialect.welcome_end(bytes) else {
                return Ok(0);
            };
            if !bytes.starts_with(b"HTTP/1.1 101") {
                return Err(Trouble::wrong("the server has refused a connection"));
            }
            self.welcome(id).doing("register with a server")?;
            used = end;
        }
        let now = self.now();
        let (member, heard) = (&mut self.members[id], &mut self.heard);
        let mut answers = Vec::new();
        used += self.dialect.take(&bytes[used..], |said| match said {
            Said::Payload(payload) => heard.hear(member, payload, now),
            Said::Answer(answer) => answers.extend(answer),
        });
        self.mux.send(id, &answers).doing("answer a server")?;
        Ok(used)
    }

    fn welcome(&mut self, id: usize) -> io::Result<()> {
        let member = &mut self.members[id];
        member.open = true;
        self.mux.queue(id, |out| self.dialect.register(member.part, out));
        self.mux.flush(id)
    }

    /// What was sent and has not come.
    fn missing(&self) -> u64 {
        (self.sent * self.subscribers).saturating_sub(self.heard.deliveries)
    }

    /// Waits for what is still on its way; an error if some of it does not come.
    fn drain(&mut self) -> Result<()> {
        self.spinning = false;
        let (mut last, mut changed) = (self.heard.deliveries, Instant::now());
        while self.missing() > 0 && changed.elapsed() < Duration::from_secs(2) {
            self.turn(Duration::from_millis(10))?;
            if self.heard.deliveries != last {
                (last, changed) = (self.heard.deliveries, Instant::now());
            }
        }
        let (missing, gaps) = (self.missing(), self.heard.gaps);
        let twice = self.heard.deliveries.saturating_sub(self.sent * self.subscribers);
        if missing + gaps + twice > 0 {
            return Err(Trouble::wrong(format_args!(
                "{missing} deliveries lost, {gaps} out of order, {twice} too many"
            )));
        }
        Ok(())
    }
}

impl Default for Heard {
    fn default() -> Self {
        let (number, due) = (Field::new(b"\"n\":"), Field::new(b"\"t\":"));
        Self { deliveries: 0, gaps: 0, number, due, ordered: false, latencies: None }
    }
}

impl Heard {
    fn hear(&mut self, member: &mut Member, payload: &[u8], now: u64) {
        let Some(number) = self.number.read(payload) else {
            return;
        };
        member.got += 1;
        self.deliveries += 1;
        if self.ordered {
            self.gaps += u64::from(member.next.is_some_and(|next| next != number));
            member.next = Some(number + 1);
        }
        if let Some(latencies) = &mut self.latencies {
            let due = self.due.read(payload).unwrap_or_default().saturating_sub(FIRST_TIME);
            latencies.add(now.saturating_sub(due));
        }
    }
}

/// A number in every message, and where it stood the last time.
struct Field {
    key: &'static [u8],
    at: usize,
}

impl Field {
    const fn new(key: &'static [u8]) -> Self {
        Self { key, at: 0 }
    }

    fn read(&mut self, payload: &[u8]) -> Option<u64> {
        if !payload.get(self.at..).is_some_and(|rest| rest.starts_with(self.key)) {
            self.at = find(payload, self.key)?;
        }
        let digits = payload[self.at + self.key.len()..].iter();
        let digits = digits.take_while(|byte| byte.is_ascii_digit());
        Some(digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
    }
}

fn patience(began: Instant, what: &str) -> Result<()> {
    if began.elapsed() > PATIENCE {
        return Err(Trouble::wrong(what));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What one subscriber makes of these numbers: deliveries and gaps.
    fn heard(numbers: &[u64]) -> (u64, u64) {
        let mut heard = Heard { ordered: true, ..Heard::default() };
        let mut member = Member { part: Part::Subscriber, open: true, got: 0, next: None };
        for number in numbers {
            let text = format!(r#"{{"priority":3,"n":{},"t":1}}"#, FIRST_NUMBER + number);
            heard.hear(&mut member, text.as_bytes(), 0);
        }
        heard.hear(&mut member, b"{}", 0);
        (heard.deliveries, heard.gaps)
    }

    #[test]
    fn a_message_that_is_missing_or_comes_twice_is_a_gap() {
        assert_eq!(heard(&[0, 1, 2, 3]), (4, 0));
        assert_eq!(heard(&[0, 1, 3, 4]), (4, 1));
        assert_eq!(heard(&[0, 1, 1, 2]), (4, 1));
        assert_eq!(heard(&[1, 0]), (2, 1));
    }
}
