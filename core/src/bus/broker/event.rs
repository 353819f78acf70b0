//! What a broker tells about itself.

use alloc::sync::Arc;
use core::fmt;

use crate::bus::message::CommandError;
use crate::bus::payload::PayloadError;
use crate::bus::v1::RequestError;
use crate::id::ClientId;

/// Something that the bus learnt or decided.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum BrokerEvent {
    /// The number of producers or schedulers has changed.
    RolesChanged {
        /// How many clients are producers now.
        producers: usize,
        /// How many clients are schedulers now.
        schedulers: usize,
    },
    /// A client sent something that is of no use. It stays connected.
    Fault {
        /// Who.
        client: ClientId,
        /// Its address, as it was given when it connected.
        peer: Arc<str>,
        /// What was wrong.
        fault: Fault,
    },
    /// A job was dropped, because no other client was a scheduler.
    Dropped {
        /// Whose job.
        client: ClientId,
        /// Its address, as it was given when it connected.
        peer: Arc<str>,
    },
}

/// What was wrong with a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fault {
    /// It is not a command. It was ignored.
    Command(CommandError),
    /// It is a binary message, and the protocol is text. It was ignored.
    Binary {
        /// Its length.
        bytes: usize,
    },
    /// It is a request of version 1 that was refused; the client was told.
    Request(RequestError),
    /// It submits a job that no scheduler can use. It was passed on all the
    /// same, because what a job looks like is between its producer and its
    /// schedulers.
    Payload(PayloadError),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command(error) => write!(f, "message ignored: {error}"),
            Self::Request(error) => write!(f, "request refused: {error}"),
            Self::Binary { bytes } => write!(f, "binary message of {bytes} bytes ignored"),
            Self::Payload(error) => write!(f, "job passed on, but not usable: {error}"),
        }
    }
}

/// Counts since the broker was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct BrokerStats {
    /// Messages that came in, good or bad.
    pub messages: u64,
    /// Their bytes, without what WebSocket puts around them.
    pub received_bytes: u64,
    /// Jobs among them.
    pub jobs: u64,
    /// Copies of jobs that were given out to be sent.
    pub transmitted: u64,
    /// The bytes of all messages that were given out to be sent, for each
    /// receiver, without what WebSocket puts around them.
    pub sent_bytes: u64,
    /// Jobs that were dropped because nobody listened.
    pub dropped: u64,
    /// Commands and roles that were not known, and ignored.
    pub ignored: u64,
    /// Messages with a [`Fault`].
    pub faults: u64,
    /// Events that were given up because nobody polled them.
    pub events_lost: u64,
}

impl BrokerStats {
    pub(super) const ZERO: Self = Self {
        messages: 0,
        received_bytes: 0,
        jobs: 0,
        transmitted: 0,
        sent_bytes: 0,
        dropped: 0,
        ignored: 0,
        faults: 0,
        events_lost: 0,
    };
}
