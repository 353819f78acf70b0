//! The terms of an exchange.

use crate::bus::v1::Durability;
use crate::policy::Policy;
use crate::time::Duration;

/// The terms of an exchange.
#[derive(Clone, Debug)]
pub struct ExchangeConfig {
    /// Who starts, who is evicted, what comes back. The grace period and what
    /// happens when a machine is exhausted are the schedulers' own affair.
    pub policy: Policy,
    /// How long a lease lasts after the last beat that named it.
    pub lease: Duration,
    /// How often a scheduler is asked to send a beat.
    pub beat: Duration,
    /// How many leases a job may lose that does not say itself.
    pub max_lost: u32,
    /// How long a key stands for its first submission.
    pub key_window: Duration,
    /// How many keys may stand at a time. With more, what has another key is
    /// refused until the oldest ends, and not made another job of in silence.
    /// Each costs some 200 bytes and its own length in memory; with `Fsync` also
    /// the record of its job on disk, some 400 bytes, once that has ended.
    pub max_keys: usize,
    /// What becomes of accepted jobs when the bus is killed. With `Fsync`
    /// nothing is acknowledged before
    /// [`Exchange::handle_persisted`](super::Exchange::handle_persisted) says so.
    pub durability: Durability,
    /// The largest message that the bus takes, to be told to clients.
    pub max_frame: usize,
    /// How many bytes of payload the jobs may have together that have no
    /// outcome yet; whoever submits more is refused.
    pub max_bytes: usize,
    /// How many bytes of messages may wait for the disk for one client, beside a
    /// snapshot. A client for which more would wait is to be closed.
    pub max_waiting: usize,
    /// How many events are kept for who was away.
    pub events_kept: usize,
    /// How many outcomes are kept, at least.
    pub outcomes_kept: usize,
    /// The number after which leases and sessions are counted. It must be
    /// greater than any that another bus at the same address has given, unless
    /// that one's records are restored: then they say where to go on.
    pub first_id: u64,
}

impl ExchangeConfig {
    /// The usual terms, in memory.
    #[must_use]
    pub const fn new(first_id: u64) -> Self {
        Self {
            policy: Policy::durable(),
            lease: Duration::from_secs(15),
            beat: Duration::from_secs(5),
            max_lost: 5,
            key_window: Duration::from_secs(600),
            max_keys: 1_000_000,
            durability: Durability::Memory,
            max_frame: 1024 * 1024,
            max_bytes: 1 << 30,
            max_waiting: 16 * 1024 * 1024,
            events_kept: 16_384,
            outcomes_kept: 1024,
            first_id,
        }
    }
}
