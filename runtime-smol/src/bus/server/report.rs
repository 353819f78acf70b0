//! What a bus tells about itself.

use std::net::SocketAddr;

use sched_core::ClientId;
use sched_core::bus::v1::Counters;
use sched_core::bus::{BrokerEvent, BrokerStats, ByPriority, Histogram};

/// Something that happened on the bus.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum BusEvent {
    /// What the broker tells.
    Broker(BrokerEvent),
    /// A client did not read what it was sent, and is closed.
    SlowConsumer {
        /// Who.
        client: ClientId,
        /// Its address.
        peer: SocketAddr,
    },
}

/// What the disk of a bus has done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DiskStats {
    /// How long it took to commit a group of changes.
    pub commits: Histogram,
    /// Groups that it did not take, and that were tried again.
    pub failures: u64,
}

/// What a bus has done and is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct BusStats {
    /// The broker's counts.
    pub broker: BrokerStats,
    /// The queue's counts.
    pub exchange: Counters,
    /// The jobs that wait, by priority.
    pub pending: ByPriority,
    /// How long jobs waited for their first start.
    pub waits: Histogram,
    /// How long processes ran, by what schedulers reported.
    pub runs: Histogram,
    /// What the disk has done, where jobs are kept on it.
    pub disk: Option<DiskStats>,
    /// Whether the disk fails; submissions are refused then.
    pub disk_fails: bool,
    /// Whether the bus takes no more jobs: it was told to drain, or is shutting
    /// down.
    pub draining: bool,
    /// Clients that are connected.
    pub clients: usize,
    /// Of them: producers.
    pub producers: usize,
    /// Of them: schedulers.
    pub schedulers: usize,
    /// Bytes that wait to be written, over all clients. Those who wait for the
    /// same message share its bytes, and are each counted here.
    pub backlog: usize,
    /// Bytes of messages that wait for the disk, over all clients, counted alike.
    pub waiting: usize,
    /// Clients since the bus was started.
    pub connected: u64,
    /// Requests of plain HTTP that were answered.
    pub http_requests: u64,
    /// Handshakes and requests refused for their `Origin` or `Host`.
    pub refused: u64,
    /// Handshakes that were none, nor a request that is served; or not finished
    /// in time.
    pub handshakes_failed: u64,
    /// Connections turned away because there were too many.
    pub turned_away: u64,
    /// Clients closed because they did not read.
    pub slow_consumers: u64,
    /// Clients closed because they broke the rules of WebSocket.
    pub violations: u64,
    /// Clients closed because they did not answer a ping.
    pub silent: u64,
    /// Connections that could not be accepted.
    pub accept_errors: u64,
}

/// A bus has ended because of a fault of its own, or of what it was given to
/// [wait for](super::BusHandle::until): its thread panicked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the bus has failed, which is a fault of its own; what went wrong is on stderr")]
pub struct BusFailed;
