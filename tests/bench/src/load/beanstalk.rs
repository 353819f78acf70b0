//! The same through beanstalkd: put, reserve, delete.

use std::time::{Duration, Instant};

use super::jobs::{PAYLOAD, Pace, Throughput, UNDER_WAY};
use super::patience;
use crate::machine::processor_time;
use crate::net::websocket::find;
use crate::net::{Mux, Ready, Received};
use crate::trouble::{Doing, Result, Trouble};

/// Connections of workers: each has one job at a time.
const WORKERS: usize = 16;

/// Producers, each of which puts when its last put was answered, and workers,
/// each of which deletes what it has reserved and reserves again.
pub(crate) struct Tube {
    mux: Mux,
    buffer: Vec<u8>,
    put: u64,
    inserted: u64,
    deleted: u64,
    /// Producers that wait until less is under way.
    waiting: Vec<usize>,
    spinning: bool,
}

impl Tube {
    pub(crate) fn gather(port: u16, producers: usize) -> Result<Self> {
        let mut mux = Mux::new().doing("make an epoll set")?;
        for id in 0..WORKERS + producers {
            mux.connect(port).doing("connect to beanstalkd")?;
            if id < WORKERS {
                mux.send(id, b"reserve\r\n").doing("write to beanstalkd")?;
            }
        }
        let waiting = (WORKERS..WORKERS + producers).collect();
        let (put, inserted, deleted) = (0, 0, 0);
        Ok(Self { mux, buffer: Vec::new(), put, inserted, deleted, waiting, spinning: false })
    }

    /// As [`Jobs::run`](super::jobs::Jobs::run).
    pub(crate) fn run(&mut self, pid: u32, pace: Pace) -> Result<Throughput> {
        let Pace { time, spinning } = pace;
        self.spinning = spinning;
        self.keep_busy(time / 5)?;
        let (before, deleted, began) = (processor_time(pid), self.deleted, Instant::now());
        self.keep_busy(time)?;
        let took = began.elapsed().as_secs_f64();
        let jobs_a_second = (self.deleted - deleted) as f64 / took;
        let busy = (processor_time(pid) - before) / took;
        self.spinning = false;
        let began = Instant::now();
        while self.deleted < self.put {
            self.turn()?;
            patience(began, "some jobs were not deleted")?;
        }
        if self.deleted > self.put || self.inserted != self.put {
            return Err(Trouble::wrong("some jobs were put or deleted twice"));
        }
        Ok(Throughput { jobs_a_second, busy })
    }

    fn keep_busy(&mut self, time: Duration) -> Result<()> {
        let command = format!("put 3 0 60 {}\r\n{PAYLOAD}\r\n", PAYLOAD.len());
        let began = Instant::now();
        while began.elapsed() < time {
            while self.put - self.deleted < UNDER_WAY {
                let Some(id) = self.waiting.pop() else {
                    break;
                };
                self.put += 1;
                self.mux.send(id, command.as_bytes()).doing("put a job")?;
            }
            self.turn()?;
        }
        Ok(())
    }

    fn turn(&mut self) -> Result<()> {
        let most = if self.spinning { Duration::ZERO } else { Duration::from_millis(10) };
        for event in 0..self.mux.wait(Some(most)).doing("wait for beanstalkd")? {
            if let Ready::Readable(id) = self.mux.event(event).doing("write to beanstalkd")? {
                self.read(id)?;
            }
        }
        Ok(())
    }

    fn read(&mut self, id: usize) -> Result<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        match self.mux.receive(id, &mut buffer).doing("read from beanstalkd")? {
            Received::Bytes(count) => {
                let mut used = 0;
                while let Some(length) = self.take(id, &buffer[used..count])? {
                    used += length;
                }
                self.mux.keep(id, &buffer[used..count]);
                self.mux.flush(id).doing("write to beanstalkd")?;
            }
            Received::Nothing => {}
            Received::Ended => return Err(Trouble::wrong("beanstalkd has closed a connection")),
        }
        self.buffer = buffer;
        Ok(())
    }

    /// Takes one answer, if it is all there; returns how long it was.
    fn take(&mut self, id: usize, bytes: &[u8]) -> Result<Option<usize>> {
        let Some(end) = find(bytes, b"\r\n") else {
            return Ok(None);
        };
        let line = String::from_utf8_lossy(&bytes[..end]);
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["RESERVED", job, length] => {
                let length: usize = length.parse().map_err(Trouble::wrong)?;
                if bytes.len() < end + 4 + length {
                    return Ok(None);
                }
                let next = format!("delete {job}\r\nreserve\r\n");
                self.mux.queue(id, |out| out.extend_from_slice(next.as_bytes()));
                return Ok(Some(end + 4 + length));
            }
            ["INSERTED", _] => {
                self.inserted += 1;
                self.waiting.push(id);
            }
            ["DELETED"] => self.deleted += 1,
            _ => return Err(Trouble::wrong(format_args!("beanstalkd says {line:?}"))),
        }
        Ok(Some(end + 2))
    }
}
