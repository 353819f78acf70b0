//! The bus as a state machine, and its wire types.
//!
//! - [`Broker`]: who is connected, in which roles, and who receives what. It
//!   is driven like the other machines of this crate: `handle_*` puts events
//!   of the world in, `poll_*` takes out what is to be done, and time is an
//!   argument.
//! - [`Command`]: what a client may say. [`Role::to_register`] and
//!   [`TestJob::to_request`] are how a client of ours says it.
//! - [`TestJob`]: the payload of a job that only takes time, as the sample
//!   producer makes it and the sample scheduler reads it.
//! - [`Exchange`]: what version 1 adds: one queue, leases, outcomes, and what
//!   must be on disk. [`v1`] has its messages, [`Session`] is its client.
//!
//! Version 0 broadcasts and forgets. What clients say is kept as the text that
//! came in, so that a payload leaves the bus byte for byte as its producer
//! wrote it.

mod broker;
mod exchange;
mod histogram;
mod label;
mod message;
mod payload;
mod session;
mod skim;
mod text;
pub mod v1;

pub use broker::{Broker, BrokerEvent, BrokerStats, Fault, Publication, Transmit};
pub use exchange::{Exchange, ExchangeConfig, Persist, PersistOp, RestoreError};
pub use histogram::Histogram;
pub use message::{Command, CommandError, Role};
pub use payload::{MAX_RUNTIME, PayloadError, TestJob};
pub use session::{Identity, JobReport, Session, SessionEvent};
