//! Why a verb could not do what it was asked.

use sched_runtime_smol::bus::SendError;
use thiserror::Error;

/// Why a verb could not do what it was asked.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum Failure {
    /// Nobody answers.
    #[error(
        "no bus at {url}: {why}; start one with `bus`, or say where it is with --bus or SCHED_BUS"
    )]
    NoBus {
        /// Where one was looked for.
        url: String,
        /// What the last try came to.
        why: String,
    },
    /// The bus was there, and is no more.
    #[error("the bus at {url} is gone ({why}); whether it has done what it was asked is not known")]
    Gone {
        /// Where it was.
        url: String,
        /// How it went.
        why: String,
    },
    /// The bus is an old one.
    #[error(
        "this bus speaks version 0, which only passes jobs on: it has no queue to ask; use a `bus` of version 1"
    )]
    OldBus,
    /// The bus said no.
    #[error("the bus refuses: {0}")]
    Refused(String),
    /// The answer was lost, and it must not be asked again.
    #[error("the connection broke before the answer came; whether it was done is not known")]
    NotKnown,
    /// The bus was started anew and has kept nothing.
    #[error("the bus was started anew and has kept no jobs (`bus --data DIR` keeps them)")]
    Forgotten,
    /// The bus knows of no such job.
    #[error("the bus knows no job {0}: there was none, or it has ended too long ago")]
    NoJob(String),
    /// Something that cannot be understood.
    #[error("the bus said what cannot be understood: {0}")]
    Nonsense(String),
    /// This process cannot do its part.
    #[error("{0}")]
    Here(String),
    /// The client has ended.
    #[error("the connection was closed")]
    Closed,
}

impl From<SendError> for Failure {
    fn from(_: SendError) -> Self {
        Self::Closed
    }
}
