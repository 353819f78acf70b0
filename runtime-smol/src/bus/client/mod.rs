//! Clients of the bus that come back by themselves: [`BusClient`] speaks
//! version 0, [`SessionClient`] whatever the bus speaks.

mod link;
mod plain;
mod session;

use std::convert::Infallible;
use std::fmt;
use std::ops::Deref;
use std::time::Duration;

use async_channel::{Receiver, Sender};
use async_tungstenite::tungstenite::Utf8Bytes;
use sched_core::bus::{Role, TestJob};
use smol::Task;
use thiserror::Error;

use super::{BusUrl, CLIENT_MAX_FRAME};
use link::Supervisor;
use plain::Plain;
pub use session::SessionClient;

/// Payloads that nobody has taken, at most; beyond it the bus is not read.
const PAYLOADS: usize = 64;

/// Events that nobody has read, at most; beyond it the oldest are forgotten.
const EVENTS: usize = 64;

/// The terms of a client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClientConfig {
    /// Where the bus is.
    pub url: BusUrl,
    /// The role that is taken, again at every connection. A
    /// [`SessionClient`] takes that of its identity instead.
    pub role: Role,
    /// The greatest message that is taken, in bytes. At a greater one the
    /// connection is closed with code 1009, and made anew.
    pub max_frame: usize,
    /// How much may wait to be written to the bus, in bytes; beyond it
    /// [`BusClient::send_job`] waits.
    pub outbox_bytes: usize,
    /// The longest wait between two tries to connect.
    pub longest_wait: Duration,
    /// A bus that has been silent for so long is sent a ping, and given up
    /// when it has been silent for as long again.
    pub ping_after: Duration,
}

impl ClientConfig {
    /// The usual terms.
    #[must_use]
    pub const fn new(url: BusUrl, role: Role) -> Self {
        Self {
            url,
            role,
            max_frame: CLIENT_MAX_FRAME,
            outbox_bytes: 256 * 1024,
            longest_wait: Duration::from_secs(5),
            ping_after: Duration::from_secs(20),
        }
    }
}

/// A producer or a scheduler on a bus.
///
/// It connects in the background, waits for a bus that is not there, comes
/// back when the connection is lost, and takes its role again every time. It
/// logs what happens, and tells it as [`ClientEvent`]s. It always reads, also
/// as a producer, so that the pings of the bus are answered.
///
/// # What becomes of messages
///
/// - Nothing is stored while there is no connection: [`send_job`] waits until
///   there is one with room.
/// - A job for which `send_job` returned may still be lost with its
///   connection. Those that had not been written are counted and told, in
///   [`ClientEvent::Lost`]; what was written and not read by the bus, nobody
///   can know. Version 0 of the protocol has no receipts.
/// - A scheduler that does not take its payloads is not read after 64 of them;
///   the bus will then close it as a slow consumer, and it comes back.
///
/// Dropping a client cuts its connection; [`close`](Self::close) ends it in
/// order, and with nothing left unwritten.
///
/// [`send_job`]: Self::send_job
#[derive(Debug)]
pub struct BusClient {
    requests: Sender<Request>,
    payloads: Receiver<Payload>,
    events: Receiver<ClientEvent>,
    stop: Sender<Infallible>,
    task: Task<ClientStats>,
}

/// A message on its way to a connection.
#[derive(Debug)]
struct Request {
    text: String,
    /// Told when a connection has taken it; closed if nobody waits any more.
    taken: Sender<()>,
}

/// A payload as the bus sent it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Payload(Utf8Bytes);

/// What happens to the connection of a client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ClientEvent {
    /// A connection is being made.
    Connecting,
    /// There is no bus, or it does not want this client.
    Waiting {
        /// Why the last try failed.
        why: String,
        /// When the next one is.
        retry_in: Duration,
    },
    /// The client is connected, and has taken its role.
    Connected,
    /// The connection has ended; a new one will be made.
    Lost {
        /// How it ended.
        why: String,
        /// Messages that were accepted for sending, and were not sent.
        unsent: u64,
    },
}

/// What a client has done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ClientStats {
    /// Connections that were made.
    pub connections: u64,
    /// Messages that were accepted for sending.
    pub accepted: u64,
    /// Of them: lost with their connection before they were sent.
    pub unsent: u64,
    /// Payloads that came in.
    pub received: u64,
    /// Messages that came in and are no payload for this role: they were
    /// thrown away.
    pub discarded: u64,
}

/// The client is closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("the client of the bus is closed")]
pub struct SendError;

impl BusClient {
    /// Makes a client. It connects in the background.
    #[must_use]
    pub fn open(config: ClientConfig) -> Self {
        let (requests, request_receiver) = async_channel::bounded(1);
        let (payload_sender, payloads) = async_channel::bounded(PAYLOADS);
        let (event_sender, events) = async_channel::bounded(EVENTS);
        let (stop, stopped) = async_channel::bounded(1);
        let conversation = Plain {
            role: config.role,
            requests: request_receiver,
            payloads: payload_sender,
            stop: stopped.clone(),
            held: None,
        };
        let supervisor = Supervisor::new(config, conversation, event_sender, stopped);
        Self { requests, payloads, events, stop, task: smol::spawn(supervisor.run()) }
    }

    /// Submits a job: waits for a connection with room, and returns when that
    /// has taken the job. Dropped before, the job is not sent.
    ///
    /// # Errors
    ///
    /// The client is closed.
    pub async fn send_job(&self, job: &TestJob) -> Result<(), SendError> {
        self.send_text(job.to_request()).await
    }

    /// Sends a command as it is written, like [`send_job`](Self::send_job).
    ///
    /// # Errors
    ///
    /// The client is closed.
    pub async fn send_text(&self, text: String) -> Result<(), SendError> {
        let (taken, when_taken) = async_channel::bounded(1);
        self.requests.send(Request { text, taken }).await.map_err(|_| SendError)?;
        when_taken.recv().await.map_err(|_| SendError)
    }

    /// The next payload; `None` when the client is closed.
    pub async fn next_payload(&self) -> Option<Payload> {
        self.payloads.recv().await.ok()
    }

    /// What happens to the connection. Every event goes to one reader; while
    /// there is none the newest are kept.
    #[must_use]
    pub fn events(&self) -> Receiver<ClientEvent> {
        self.events.clone()
    }

    /// Ends the connection in order, after everything that was accepted is
    /// written; within [`LINGER`](super::LINGER), twice.
    pub async fn close(self) -> ClientStats {
        self.stop.close();
        self.task.await
    }
}

impl Payload {
    /// The text, as its producer wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl Deref for Payload {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
