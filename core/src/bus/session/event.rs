//! What a client hears.

use alloc::string::String;

use crate::bus::v1::{HeardOptions, Welcome};
use crate::id::{JobId, LeaseId};

/// What a client hears.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SessionEvent {
    /// The bus speaks version 1. `resumed`: it knows this session.
    Welcomed {
        /// Its terms.
        welcome: Welcome,
        /// Whether this session goes on; otherwise it begins.
        resumed: bool,
    },
    /// The bus speaks version 0.
    OldBus,
    /// A payload of a version 0 bus, as it came.
    Payload(String),
    /// A job is to be run.
    Assigned {
        /// The job.
        job: JobId,
        /// The lease under which it is to be reported.
        lease: LeaseId,
        /// Which attempt, from 1.
        attempt: u32,
        /// As it was submitted.
        payload: String,
        /// Its terms.
        opts: HeardOptions,
    },
    /// A lease has ended; its job must be ended, if it runs.
    Revoked {
        /// The job.
        job: JobId,
        /// The lease.
        lease: LeaseId,
    },
    /// A submission was accepted.
    Accepted {
        /// The request.
        request: u64,
        /// The job.
        job: JobId,
        /// Whether it had been accepted before, under the same key.
        dup: bool,
    },
    /// A request was carried out.
    Done {
        /// The request.
        request: u64,
    },
    /// A request was refused.
    Refused {
        /// The request; `None`: something that was no request of ours.
        request: Option<u64>,
        /// The kind of error, as a number.
        code: i32,
        /// What was wrong, and what to do.
        message: String,
    },
    /// Whether a request was carried out cannot be known: the connection was
    /// lost before the answer, and it may not be sent twice.
    Unknown {
        /// The request.
        request: u64,
    },
    /// Something happened to a job, as the bus wrote it.
    Job(String),
    /// What there is, as the bus wrote it.
    Snapshot(String),
    /// The bus said what cannot be understood.
    Nonsense(String),
}
