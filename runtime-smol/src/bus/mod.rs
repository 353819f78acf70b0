//! The bus on real sockets: [`BusServer`], and its clients [`BusClient`] and
//! [`SessionClient`].
//!
//! # How a connection is built, and why
//!
//! Both ends use the same pieces. A connection is a receiver, a writer and a
//! mailbox:
//!
//! ```text
//!              ┌─ receiver: WebSocket ─ reads ── TCP
//!   whoever ◀──┘      │ pongs, close replies      │  the same socket,
//!      │              ▼                           │  two handles
//!      └───────▶   Outbox   ──▶  writer ─ writes ─┘
//! ```
//!
//! - *A single task that reads and writes deadlocks* against a client that
//!   only sends: it waits for room to answer, and so never reads again. Here
//!   the receiver never waits for a write. What the WebSocket layer wants to
//!   answer while it reads goes to the outbox, which always takes it.
//! - *`WebSocketStream::split` shares one lock*, and every wake-up of the
//!   socket fires both halves. Here each side has its own handle of the
//!   socket, with its own wake-up: readable wakes the receiver, writable the
//!   writer.
//! - The writer is a task. So is a client's receiver; those of the bus are all
//!   polled by the one thread that owns its state, which waits for their
//!   sockets itself. That is most of what makes the bus quick: nothing that
//!   comes in is handed from one task to another.
//! - *Nobody waits for a subscriber.* To publish is to push shared bytes into
//!   outboxes. An outbox is bounded in bytes; a push that finds it full fails,
//!   and that one subscriber is closed.
//! - *A flood of pings costs nothing.* The outbox keeps one pong, the newest;
//!   the protocol asks for no more.
//! - A frame is encoded once, whoever receives it, and written from where it
//!   lies. The bus writes to the socket at once, as long as nothing waits there;
//!   the writer is for what is left over.
//! - What a bus hears mostly, whole text frames, goes past the WebSocket layer,
//!   many at a time; the layer has everything else, and the last word.
//!
//! - The bus serves plain HTTP on the same port, one request a connection. What
//!   asks for an upgrade goes to the WebSocket layer as it came.
//!
//! Once an end has begun to close, everything that is left to do on that
//! connection is done within [`LINGER`].
//!
//! # Costs that are easy to miss
//!
//! Tasks are spawned on smol's global executor, which has one thread of its
//! own by default (`SMOL_THREADS`). A bus has another thread for as long as it
//! lives. Host names are resolved on the thread pool of the `blocking` crate.

mod agent;
mod backoff;
mod client;
mod http;
mod outbox;
mod receiver;
mod server;
mod short_cut;
mod socket;
mod tcp;
mod texts;
mod url;
mod wire;
mod writer;

use std::time::Duration;

pub use agent::{Agent, AgentConfig, AgentCounts, AgentError, Translate, Wanted};
pub use client::{
    BusClient, ClientConfig, ClientEvent, ClientStats, Payload, SendError, SessionClient,
};
pub use server::{
    BindError, BusConfig, BusEvent, BusFailed, BusHandle, BusServer, BusStats, DiskStats,
};
pub use url::{BusUrl, UrlError};

/// How long a connection that is closing may still take, on either end.
pub const LINGER: Duration = Duration::from_secs(5);

/// How long connecting and shaking hands may take, on either end.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);

/// The greatest message that a bus takes, unless it is told otherwise.
const DEFAULT_MAX_FRAME: usize = 1024 * 1024;

/// The greatest message that a bus may be told to take, in bytes: what it makes
/// of it is taken by every client of ours.
pub const LARGEST_FRAME: usize = 64 * 1024 * 1024;

/// What a client of ours takes: a payload that its bus took, and what the bus
/// puts around it; or a snapshot, which names some thousand jobs.
const CLIENT_MAX_FRAME: usize = LARGEST_FRAME + 64 * 1024;
