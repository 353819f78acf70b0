//! Jobs through the queue of a bus: submit, accepted, assign, finished, ok.

use std::time::{Duration, Instant};

use super::patience;
use crate::machine::processor_time;
use crate::net::websocket::{self, client_frame, find};
use crate::net::{Mux, Ready, Received};
use crate::trouble::{Doing, Result, Trouble};

/// How many jobs a second, and at which cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Throughput {
    pub(crate) jobs_a_second: f64,
    /// Of the server's processor, from 0 to 1.
    pub(crate) busy: f64,
}

/// How long a queue is kept busy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) time: Duration,
    /// Whether the load waits for nothing, so that no write of the server pays
    /// for waking it. Where a disk is waited for, it would keep the machine
    /// awake that would sleep otherwise.
    pub(crate) spinning: bool,
}

/// Jobs that are submitted and not finished, at most.
pub(crate) const UNDER_WAY: u64 = 1024;

/// A job of the load.
pub(crate) const PAYLOAD: &str = r#"{"priority":3,"runtime":7}"#;

/// What the scheduler says that it has room for.
const SLOTS: usize = 256;

/// A number of producers, each of which submits when its last job was accepted,
/// and a scheduler that finishes what it is given at once.
pub(crate) struct Jobs {
    mux: Mux,
    buffer: Vec<u8>,
    /// By connection; the first is the scheduler's.
    open: Vec<bool>,
    port: u16,
    submitted: u64,
    accepted: u64,
    finished: u64,
    /// Producers that wait until less is under way.
    waiting: Vec<usize>,
    spinning: bool,
}

impl Jobs {
    pub(crate) fn gather(port: u16, producers: usize) -> Result<Self> {
        let mut jobs = Self::empty(port)?;
        let slots = format!(r#""type":"scheduler","name":"load","slots":{SLOTS}"#);
        jobs.register(&slots)?;
        for _ in 0..producers {
            jobs.register(r#""type":"producer""#)?;
        }
        jobs.waiting = (1..=producers).collect();
        Ok(jobs)
    }

    /// One producer, and no scheduler.
    pub(crate) fn without_scheduler(port: u16) -> Result<Self> {
        let mut jobs = Self::empty(port)?;
        jobs.register(r#""type":"producer""#)?;
        Ok(jobs)
    }

    /// Submits so many jobs that stay, since there is no scheduler, and waits
    /// until they are accepted.
    pub(crate) fn pile_up(&mut self, count: u64) -> Result<()> {
        let (goal, began) = (self.submitted + count, Instant::now());
        while self.accepted < goal {
            while self.submitted < goal && self.submitted - self.accepted < UNDER_WAY {
                self.submit(0);
            }
            self.mux.flush(0).doing("submit a job")?;
            self.turn()?;
            patience(began, "jobs are not accepted")?;
        }
        Ok(())
    }

    fn empty(port: u16) -> Result<Self> {
        Ok(Self {
            mux: Mux::new().doing("make an epoll set")?,
            buffer: Vec::new(),
            open: Vec::new(),
            port,
            submitted: 0,
            accepted: 0,
            finished: 0,
            waiting: Vec::new(),
            spinning: false,
        })
    }

    /// Has the queue busy for so long, after a fifth of that to warm up. The
    /// server is the process `pid`.
    pub(crate) fn run(&mut self, pid: u32, pace: Pace) -> Result<Throughput> {
        let Pace { time, spinning } = pace;
        self.spinning = spinning;
        self.keep_busy(time / 5)?;
        let (before, finished, began) = (processor_time(pid), self.finished, Instant::now());
        self.keep_busy(time)?;
        let took = began.elapsed().as_secs_f64();
        let jobs_a_second = (self.finished - finished) as f64 / took;
        let busy = (processor_time(pid) - before) / took;
        self.settle()?;
        Ok(Throughput { jobs_a_second, busy })
    }

    /// Jobs that were finished so far.
    pub(crate) const fn finished(&self) -> u64 {
        self.finished
    }

    fn keep_busy(&mut self, time: Duration) -> Result<()> {
        let began = Instant::now();
        while began.elapsed() < time {
            self.submit_more()?;
            self.turn()?;
        }
        Ok(())
    }

    fn submit_more(&mut self) -> Result<()> {
        while self.submitted - self.finished < UNDER_WAY {
            let Some(id) = self.waiting.pop() else {
                return Ok(());
            };
            self.submit(id);
            self.mux.flush(id).doing("submit a job")?;
        }
        Ok(())
    }

    fn submit(&mut self, id: usize) {
        let number = self.submitted;
        self.submitted += 1;
        let text = format!(r#"{{"cmd":"submit","id":{number},"payload":{PAYLOAD}}}"#);
        self.mux.queue(id, |out| client_frame(websocket::TEXT, text.as_bytes(), out));
    }

    /// Every job that was submitted was accepted and finished, once.
    fn settle(&mut self) -> Result<()> {
        self.spinning = false;
        let began = Instant::now();
        while self.finished < self.submitted || self.accepted < self.submitted {
            self.turn()?;
            patience(began, "some jobs were not finished")?;
        }
        if self.finished > self.submitted || self.accepted > self.submitted {
            return Err(Trouble::wrong("some jobs were finished twice"));
        }
        Ok(())
    }

    fn register(&mut self, fields: &str) -> Result<()> {
        let id = self.mux.connect(self.port).doing("connect to a bus")?;
        self.open.push(false);
        let hello = websocket::handshake(self.port);
        self.mux.send(id, hello.as_bytes()).doing("greet a bus")?;
        let began = Instant::now();
        while !self.open[id] {
            self.turn()?;
            patience(began, "the bus does not answer")?;
        }
        let text = format!(r#"{{"cmd":"register","v":1,{fields}}}"#);
        self.say(id, &text)
    }

    fn say(&mut self, id: usize, text: &str) -> Result<()> {
        self.mux.queue(id, |out| client_frame(websocket::TEXT, text.as_bytes(), out));
        self.mux.flush(id).doing("write to a bus")
    }

    fn turn(&mut self) -> Result<()> {
        let most = if self.spinning { Duration::ZERO } else { Duration::from_millis(10) };
        for event in 0..self.mux.wait(Some(most)).doing("wait for a bus")? {
            if let Ready::Readable(id) = self.mux.event(event).doing("write to a bus")? {
                self.read(id)?;
            }
        }
        Ok(())
    }

    fn read(&mut self, id: usize) -> Result<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        match self.mux.receive(id, &mut buffer).doing("read from a bus")? {
            Received::Bytes(count) => {
                let used = self.take(id, &buffer[..count])?;
                self.mux.keep(id, &buffer[used..count]);
                self.mux.flush(id).doing("write to a bus")?;
            }
            Received::Nothing => {}
            Received::Ended => return Err(Trouble::wrong("the bus has closed a connection")),
        }
        self.buffer = buffer;
        Ok(())
    }

    fn take(&mut self, id: usize, bytes: &[u8]) -> Result<usize> {
        let mut used = 0;
        if !self.open[id] {
            let Some(end) = websocket::head_end(bytes) else {
                return Ok(0);
            };
            self.open[id] = true;
            used = end;
        }
        while let Some(header) = websocket::header(&bytes[used..]) {
            let Some(payload) = bytes.get(used + header.start..used + header.end) else {
                break;
            };
            used += header.end;
            match header.operation {
                websocket::TEXT => self.hear(id, payload)?,
                websocket::PING => {
                    self.mux.queue(id, |out| client_frame(websocket::PONG, payload, out));
                }
                websocket::CLOSE => return Err(Trouble::wrong("the bus closes a connection")),
                _ => {}
            }
        }
        Ok(used)
    }

    fn hear(&mut self, id: usize, text: &[u8]) -> Result<()> {
        let kind = text.strip_prefix(br#"{"ev":""#).unwrap_or_default();
        if kind.starts_with(b"accepted\"") {
            self.accepted += 1;
            self.waiting.push(id);
        } else if kind.starts_with(b"assign\"") {
            self.finish(id, text)?;
        } else if kind.starts_with(b"ok\"") {
            self.finished += 1;
        } else if kind.starts_with(b"error\"") {
            return Err(Trouble::wrong(String::from_utf8_lossy(text)));
        }
        Ok(())
    }

    fn finish(&mut self, id: usize, assignment: &[u8]) -> Result<()> {
        let job = after(assignment, br#""job":""#, b'"');
        let lease = after(assignment, br#""lease":"#, b',');
        let (Some(job), Some(lease)) = (job, lease) else {
            return Err(Trouble::wrong("an assignment without a job or a lease"));
        };
        let text = format!(
            r#"{{"cmd":"report","id":1,"job":"{job}","lease":{lease},"state":"finished","code":0,"ran_ms":1}}"#
        );
        self.mux.queue(id, |out| client_frame(websocket::TEXT, text.as_bytes(), out));
        Ok(())
    }
}

/// What stands between these bytes and that one.
fn after<'a>(text: &'a [u8], key: &[u8], end: u8) -> Option<&'a str> {
    let rest = &text[find(text, key)? + key.len()..];
    let length = rest.iter().position(|byte| *byte == end)?;
    std::str::from_utf8(&rest[..length]).ok()
}
