//! The same through RabbitMQ: publish, confirm, deliver, acknowledge.
//!
//! Its AMQP is written by hand. A client library brings threads or a runtime of
//! its own; these would be the limit, and not the server.

use std::time::{Duration, Instant};

use super::jobs::{PAYLOAD, Pace, Throughput, UNDER_WAY};
use super::patience;
use crate::machine::processor_time;
use crate::net::amqp::{self, Fields, Frame, Method};
use crate::net::{Mux, Ready, Received};
use crate::trouble::{Doing, Result, Trouble};

/// The connection of the consumer; those that follow are the producers'.
const CONSUMER: usize = 0;
const FIRST_PRODUCER: usize = 1;

/// Each connection has one channel.
const CHANNEL: u16 = 1;

/// Arguments of methods, as they are sent. Nothing known of the client; the
/// user that a new node has, and a language.
const LOGIN: &[u8] = b"\0\0\0\0\x05PLAIN\0\0\0\x0c\0guest\0guest\x05en_US";
/// The virtual host.
const HOST: &[u8] = b"\x01/\0\0";
/// The queue's name; neither durable nor exclusive nor deleted by itself.
const QUEUE: &[u8] = b"\0\0\x04jobs\0\0\0\0\0";
/// The queue's name; whoever else uses it, and whatever is in it.
const QUEUE_TO_DELETE: &[u8] = b"\0\0\x04jobs\0";
/// The queue's name, and a consumer without one, that acknowledges.
const CONSUMPTION: &[u8] = b"\0\0\x04jobs\0\0\0\0\0\0";
/// The default exchange, and the queue's name.
const ADDRESS: &[u8] = b"\0\0\0\x04jobs\0";
/// No reason.
const GOODBYE: &[u8] = b"\0\xc8\0\0\0\0\0";
/// Nothing asked for.
const NOTHING: &[u8] = b"\0";

/// Producers, each of which publishes when its last message was confirmed, and
/// a consumer that acknowledges each by itself what it is given at once. How
/// much it is given is bounded by what is under way.
pub(crate) struct Queue {
    mux: Mux,
    buffer: Vec<u8>,
    port: u16,
    /// A job as it is published.
    job: Vec<u8>,
    /// By connection.
    open: Vec<bool>,
    confirms: Vec<Confirms>,
    published: u64,
    confirmed: u64,
    delivered: u64,
    /// Nobody answers this, so that a job counts as finished as soon as it is
    /// said; whether it was heard is known in the end.
    acknowledged: u64,
    /// Messages that were in the queue when it was deleted.
    left: Option<u32>,
    /// Producers that wait until less is under way.
    waiting: Vec<usize>,
    spinning: bool,
}

impl Queue {
    pub(crate) fn gather(port: u16, producers: usize) -> Result<Self> {
        let mut queue = Self::empty(port)?;
        for _ in 0..FIRST_PRODUCER + producers {
            queue.register()?;
        }
        queue.waiting = (FIRST_PRODUCER..FIRST_PRODUCER + producers).collect();
        Ok(queue)
    }

    fn empty(port: u16) -> Result<Self> {
        let mut job = Vec::new();
        amqp::push_method(CHANNEL, amqp::BASIC_PUBLISH, ADDRESS, &mut job);
        amqp::push_transient(CHANNEL, PAYLOAD.as_bytes(), &mut job);
        Ok(Self {
            mux: Mux::new().doing("make an epoll set")?,
            buffer: Vec::new(),
            port,
            job,
            open: Vec::new(),
            confirms: Vec::new(),
            published: 0,
            confirmed: 0,
            delivered: 0,
            acknowledged: 0,
            left: None,
            waiting: Vec::new(),
            spinning: false,
        })
    }

    /// As [`Jobs::run`](super::jobs::Jobs::run). The queue is gone afterwards.
    pub(crate) fn run(mut self, pid: u32, pace: Pace) -> Result<Throughput> {
        let Pace { time, spinning } = pace;
        self.spinning = spinning;
        self.keep_busy(time / 5)?;
        let (before, finished, began) = (processor_time(pid), self.acknowledged, Instant::now());
        self.keep_busy(time)?;
        let took = began.elapsed().as_secs_f64();
        let jobs_a_second = (self.acknowledged - finished) as f64 / took;
        let busy = (processor_time(pid) - before) / took;
        self.settle()?;
        Ok(Throughput { jobs_a_second, busy })
    }

    fn keep_busy(&mut self, time: Duration) -> Result<()> {
        let began = Instant::now();
        while began.elapsed() < time {
            while self.published - self.acknowledged < UNDER_WAY {
                let Some(id) = self.waiting.pop() else {
                    break;
                };
                self.published += 1;
                self.confirms[id].published += 1;
                self.mux.send(id, &self.job).doing("publish a job")?;
            }
            self.turn()?;
        }
        Ok(())
    }

    /// Every job was confirmed and delivered once, and RabbitMQ has heard of
    /// every acknowledgement: what it has not, it has in its queue again when
    /// the consumer goes.
    fn settle(&mut self) -> Result<()> {
        self.spinning = false;
        let began = Instant::now();
        while self.acknowledged < self.published || self.confirmed < self.published {
            self.turn()?;
            patience(began, "some jobs were not delivered and confirmed")?;
        }
        self.say(CONSUMER, CHANNEL, amqp::CHANNEL_CLOSE, GOODBYE);
        self.mux.flush(CONSUMER).doing("write to RabbitMQ")?;
        loop {
            match self.left {
                Some(0) => return Ok(()),
                Some(left) => {
                    let text = format!("acknowledgements that RabbitMQ has not heard: {left}");
                    return Err(Trouble::wrong(text));
                }
                None => self.turn()?,
            }
            patience(began, "RabbitMQ does not delete its queue")?;
        }
    }

    fn register(&mut self) -> Result<()> {
        let id = self.connect()?;
        self.mux.send(id, amqp::GREETING).doing("greet RabbitMQ")?;
        let began = Instant::now();
        while !self.open[id] {
            self.turn()?;
            patience(began, "RabbitMQ does not answer")?;
        }
        Ok(())
    }

    fn connect(&mut self) -> Result<usize> {
        self.open.push(false);
        self.confirms.push(Confirms::default());
        self.mux.connect(self.port).doing("connect to RabbitMQ")
    }

    fn say(&mut self, id: usize, channel: u16, method: Method, fields: &[u8]) {
        self.mux.queue(id, |out| amqp::push_method(channel, method, fields, out));
    }

    fn turn(&mut self) -> Result<()> {
        let most = if self.spinning { Duration::ZERO } else { Duration::from_millis(10) };
        for event in 0..self.mux.wait(Some(most)).doing("wait for RabbitMQ")? {
            if let Ready::Readable(id) = self.mux.event(event).doing("write to RabbitMQ")? {
                self.read(id)?;
            }
        }
        Ok(())
    }

    fn read(&mut self, id: usize) -> Result<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        match self.mux.receive(id, &mut buffer).doing("read from RabbitMQ")? {
            Received::Bytes(count) => {
                let used = self.take(id, &buffer[..count])?;
                self.mux.keep(id, &buffer[used..count]);
                self.mux.flush(id).doing("write to RabbitMQ")?;
            }
            Received::Nothing => {}
            Received::Ended => return Err(Trouble::wrong("RabbitMQ has closed a connection")),
        }
        self.buffer = buffer;
        Ok(())
    }

    /// Takes all frames that are there; returns how long they were.
    fn take(&mut self, id: usize, bytes: &[u8]) -> Result<usize> {
        let mut used = 0;
        while let Some(Frame { kind, payload, length }) = amqp::frame(&bytes[used..])? {
            used += length;
            match kind {
                amqp::METHOD => self.hear(id, payload)?,
                amqp::BODY => self.acknowledge(id, payload)?,
                // What a message's header says is known.
                _ => {}
            }
        }
        Ok(used)
    }

    fn hear(&mut self, id: usize, payload: &[u8]) -> Result<()> {
        let (method, mut fields) = amqp::method(payload)?;
        match method {
            amqp::BASIC_ACK => self.confirm(id, &mut fields),
            amqp::BASIC_DELIVER => self.deliver(&mut fields),
            amqp::CONNECTION_CLOSE | amqp::CHANNEL_CLOSE => {
                let (code, text) = (fields.u16()?, fields.string()?);
                let text = String::from_utf8_lossy(text);
                Err(Trouble::wrong(format_args!("RabbitMQ says {code}: {text}")))
            }
            _ => self.converse(id, method, &mut fields),
        }
    }

    /// What is said before and after the jobs.
    fn converse(&mut self, id: usize, method: Method, fields: &mut Fields<'_>) -> Result<()> {
        match method {
            amqp::CONNECTION_START => self.say(id, 0, amqp::CONNECTION_START_OK, LOGIN),
            amqp::CONNECTION_TUNE => {
                let (channels, frame) = (fields.u16()?.to_be_bytes(), fields.u32()?.to_be_bytes());
                // As RabbitMQ wants it, but without heartbeats.
                let limits = [&channels[..], &frame, &[0, 0]].concat();
                self.say(id, 0, amqp::CONNECTION_TUNE_OK, &limits);
                self.say(id, 0, amqp::CONNECTION_OPEN, HOST);
            }
            amqp::CONNECTION_OPEN_OK => self.say(id, CHANNEL, amqp::CHANNEL_OPEN, NOTHING),
            amqp::CHANNEL_OPEN_OK if id == CONSUMER => {
                self.say(id, CHANNEL, amqp::QUEUE_DECLARE, QUEUE);
            }
            amqp::QUEUE_DECLARE_OK => self.say(id, CHANNEL, amqp::BASIC_CONSUME, CONSUMPTION),
            amqp::CHANNEL_OPEN_OK => self.say(id, CHANNEL, amqp::CONFIRM_SELECT, NOTHING),
            amqp::BASIC_CONSUME_OK | amqp::CONFIRM_SELECT_OK => self.open[id] = true,
            amqp::CHANNEL_CLOSE_OK => {
                self.say(FIRST_PRODUCER, CHANNEL, amqp::QUEUE_DELETE, QUEUE_TO_DELETE);
                self.mux.flush(FIRST_PRODUCER).doing("write to RabbitMQ")?;
            }
            amqp::QUEUE_DELETE_OK => self.left = Some(fields.u32()?),
            other => {
                return Err(Trouble::wrong(format_args!("RabbitMQ answers with method {other:?}")));
            }
        }
        Ok(())
    }

    fn confirm(&mut self, id: usize, fields: &mut Fields<'_>) -> Result<()> {
        let (tag, multiple) = (fields.u64()?, fields.u8()? & 1 == 1);
        self.confirmed += self.confirms[id].take(tag, multiple)?;
        if self.confirms[id].are_complete() {
            self.waiting.push(id);
        }
        Ok(())
    }

    /// A message is announced.
    fn deliver(&mut self, fields: &mut Fields<'_>) -> Result<()> {
        let (_consumer, tag, again) = (fields.string()?, fields.u64()?, fields.u8()? & 1 == 1);
        self.delivered += 1;
        if again || tag != self.delivered || tag > self.published {
            return Err(Trouble::wrong("RabbitMQ delivers a job twice, or leaves one out"));
        }
        Ok(())
    }

    /// The message is there.
    fn acknowledge(&mut self, id: usize, body: &[u8]) -> Result<()> {
        self.acknowledged += 1;
        if body != PAYLOAD.as_bytes() || self.acknowledged != self.delivered {
            return Err(Trouble::wrong("RabbitMQ delivers what was not published"));
        }
        let [a, b, c, d, e, f, g, h] = self.delivered.to_be_bytes();
        self.say(id, CHANNEL, amqp::BASIC_ACK, &[a, b, c, d, e, f, g, h, 0]);
        Ok(())
    }
}

/// How many messages a producer has published, and how many of these are
/// confirmed.
#[derive(Default)]
struct Confirms {
    published: u64,
    confirmed: u64,
}

impl Confirms {
    /// Takes the confirm of a message, or of all up to that one; returns of how
    /// many. Each is expected in its order: there is just one under way.
    fn take(&mut self, tag: u64, multiple: bool) -> Result<u64> {
        let last = if multiple { self.published } else { self.published.min(self.confirmed + 1) };
        if tag <= self.confirmed || tag > last {
            return Err(Trouble::wrong("RabbitMQ confirms twice, or what was not published"));
        }
        let count = tag - self.confirmed;
        self.confirmed = tag;
        Ok(count)
    }

    const fn are_complete(&self) -> bool {
        self.confirmed == self.published
    }
}

#[cfg(test)]
mod tests;
