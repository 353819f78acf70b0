//! What a client of version 1 hears.

use alloc::borrow::Cow;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::request::SubmitOptions;
use crate::bus::date;
use crate::id::{JobId, LeaseId, SessionId};
use crate::time::{Duration, Instant};

/// A message of the bus, borrowed from its text.
#[derive(Debug)]
pub enum Notice<'a> {
    /// The bus speaks version 1.
    Welcome(Welcome),
    /// A job was accepted.
    Accepted {
        /// The request.
        re: Option<u64>,
        /// The job.
        job: JobId,
        /// Whether it had been accepted before, under the same key.
        dup: bool,
    },
    /// A scheduler is to run a job.
    Assign(Assignment<'a>),
    /// A scheduler is to end a job.
    Revoke {
        /// The job.
        job: JobId,
        /// The lease.
        lease: LeaseId,
    },
    /// The answer to a beat: the leases that have ended.
    Beat(Vec<LeaseId>),
    /// Something happened to a job.
    Job(HeardChange<'a>),
    /// What there is, as it was written.
    Snapshot {
        /// The request.
        re: Option<u64>,
        /// The last event that is contained in it.
        seq: u64,
    },
    /// It was done.
    Ok {
        /// The request.
        re: Option<u64>,
    },
    /// It was not done.
    Error {
        /// The request.
        re: Option<u64>,
        /// See [`ErrorCode`](super::ErrorCode).
        code: i32,
        /// The same, as a word.
        name: Cow<'a, str>,
        /// What was wrong, and what to do.
        message: Cow<'a, str>,
    },
    /// Something of a later version; it is ignored.
    Unknown,
}

/// What a bus of version 1 says first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Welcome {
    /// The session, to come back with.
    pub session: SessionId,
    /// Whether accepted jobs survive the bus.
    pub durable: bool,
    /// How often a scheduler must send a beat.
    pub beat: Duration,
    /// How long a lease lasts without one.
    pub lease: Duration,
    /// The greatest message that the bus takes, in bytes.
    pub max_frame: usize,
    /// The last event so far.
    pub seq: u64,
}

/// A job that a scheduler is to run.
#[derive(Debug)]
pub struct Assignment<'a> {
    /// The job.
    pub job: JobId,
    /// The lease under which it has it.
    pub lease: LeaseId,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// As it was submitted.
    pub payload: &'a str,
    /// Its terms.
    pub opts: HeardOptions,
}

/// The terms of an assigned job.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(default)]
pub struct HeardOptions {
    /// As submitted.
    #[serde(flatten)]
    pub submitted: SubmitOptions,
    /// How urgent it is while it runs; `None`: its priority.
    pub level: Option<i64>,
    /// Whether it is spared from eviction.
    pub shielded: bool,
}

/// Something that happened to a job.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(default)]
pub struct HeardChange<'a> {
    /// The number of the event.
    pub seq: u64,
    /// The job.
    #[serde(borrow)]
    pub job: Cow<'a, str>,
    /// Where it is now.
    #[serde(borrow)]
    pub state: Cow<'a, str>,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// Its priority as submitted.
    pub priority: i32,
    /// The job that evicted it.
    #[serde(borrow)]
    pub by: Option<Cow<'a, str>>,
    /// The scheduler that has or had it.
    #[serde(borrow)]
    pub on: Option<Cow<'a, str>>,
    /// How long its process ran, in this run.
    pub ran_ms: Option<u64>,
    /// The exit code.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// In words.
    #[serde(borrow)]
    pub reason: Option<Cow<'a, str>>,
    /// The end of what it wrote.
    #[serde(borrow)]
    pub output: Option<Cow<'a, str>>,
    /// When it is tried again, in milliseconds from then.
    pub retry_ms: Option<u64>,
    /// The slot of the scheduler that it has.
    pub slot: Option<u32>,
    /// The job for which it is to make room.
    #[serde(borrow)]
    pub room_for: Option<Cow<'a, str>>,
    /// Whether this is its outcome.
    #[serde(rename = "final")]
    pub last: bool,
    /// When.
    #[serde(borrow)]
    pub at: Cow<'a, str>,
}

impl HeardChange<'_> {
    /// When it happened, since the beginning of 1970; `None`: what it says is no
    /// time.
    #[must_use]
    pub fn time(&self) -> Option<Instant> {
        date::since_1970(&self.at)
    }
}

/// Why a message of the bus is of no use.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NoticeError(String);

impl core::fmt::Display for NoticeError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "the bus said what cannot be understood: {}", self.0)
    }
}

impl core::error::Error for NoticeError {}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    ev: Cow<'a, str>,
    #[serde(default)]
    re: Option<&'a RawValue>,
}

impl Head<'_> {
    /// Our own requests have numbers for ids.
    fn re(&self) -> Option<u64> {
        serde_json::from_str(self.re?.get()).ok()
    }
}

#[derive(Deserialize)]
struct RawWelcome<'a> {
    #[serde(borrow)]
    session: Cow<'a, str>,
    #[serde(borrow, default)]
    durability: Cow<'a, str>,
    beat_ms: u64,
    lease_ms: u64,
    /// A bus of another make may not say.
    #[serde(default)]
    max_frame: Option<usize>,
    #[serde(default)]
    seq: u64,
}

#[derive(Deserialize)]
struct RawJob<'a> {
    #[serde(borrow)]
    job: Cow<'a, str>,
    #[serde(default)]
    lease: u64,
    #[serde(default)]
    attempt: u32,
    #[serde(borrow, default)]
    payload: Option<&'a RawValue>,
    #[serde(default)]
    opts: HeardOptions,
    #[serde(default)]
    dup: bool,
}

#[derive(Deserialize)]
struct RawRest<'a> {
    #[serde(default)]
    revoked: Vec<u64>,
    #[serde(default)]
    seq: u64,
    #[serde(default)]
    code: i32,
    #[serde(borrow, default)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    message: Cow<'a, str>,
}

impl<'a> Notice<'a> {
    /// Reads a message of the bus.
    ///
    /// # Errors
    ///
    /// It is not a message of version 1, or one of its fields makes no sense.
    pub fn parse(text: &'a str) -> Result<Self, NoticeError> {
        let head: Head<'_> = read(text)?;
        let re = head.re();
        Ok(match &*head.ev {
            "welcome" => Self::Welcome(welcome(read(text)?)?),
            "accepted" => {
                let raw: RawJob<'_> = read(text)?;
                Self::Accepted { re, job: job_id(&raw.job)?, dup: raw.dup }
            }
            "assign" => Self::Assign(assignment(read(text)?)?),
            "revoke" => {
                let raw: RawJob<'_> = read(text)?;
                Self::Revoke { job: job_id(&raw.job)?, lease: LeaseId::new(raw.lease) }
            }
            "beat" => {
                let raw: RawRest<'_> = read(text)?;
                Self::Beat(raw.revoked.into_iter().map(LeaseId::new).collect())
            }
            "job" => Self::Job(read(text)?),
            "snapshot" => Self::Snapshot { re, seq: read::<RawRest<'_>>(text)?.seq },
            "ok" => Self::Ok { re },
            "error" => {
                let RawRest { code, name, message, .. } = read(text)?;
                Self::Error { re, code, name, message }
            }
            _ => Self::Unknown,
        })
    }
}

fn welcome(raw: RawWelcome<'_>) -> Result<Welcome, NoticeError> {
    let session = SessionId::parse(&raw.session);
    Ok(Welcome {
        session: session.ok_or_else(|| NoticeError(raw.session.to_string()))?,
        durable: raw.durability == "fsync",
        // A bus that asks for beats without a pause would get a flood.
        beat: Duration::from_millis(raw.beat_ms.max(10)),
        lease: Duration::from_millis(raw.lease_ms.max(10)),
        max_frame: raw.max_frame.unwrap_or(usize::MAX),
        seq: raw.seq,
    })
}

fn assignment(raw: RawJob<'_>) -> Result<Assignment<'_>, NoticeError> {
    Ok(Assignment {
        job: job_id(&raw.job)?,
        lease: LeaseId::new(raw.lease),
        attempt: raw.attempt,
        payload: raw.payload.map_or("null", RawValue::get),
        opts: raw.opts,
    })
}

fn job_id(text: &str) -> Result<JobId, NoticeError> {
    JobId::parse(text).ok_or_else(|| NoticeError(alloc::format!("{text:?} is no job's id")))
}

fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, NoticeError> {
    serde_json::from_str(text).map_err(|error| NoticeError(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assignment_keeps_its_payload_as_it_was_written() {
        let text = r#"{"ev":"assign","job":"j1","lease":17,"attempt":2,"payload":{"priority": 3},"opts":{"timeout_ms":5,"level":-2,"shielded":true}}"#;
        let Ok(Notice::Assign(it)) = Notice::parse(text) else { panic!() };
        assert_eq!((it.lease, it.attempt, it.payload), (LeaseId::new(17), 2, r#"{"priority": 3}"#));
        assert_eq!((it.opts.level, it.opts.shielded), (Some(-2), true));
        assert_eq!(it.opts.submitted.timeout_ms, Some(5));
    }

    #[test]
    fn what_a_version_0_bus_sends_is_no_notice() {
        assert!(Notice::parse(r#"{"priority": 3, "runtime": 7}"#).is_err());
        assert!(matches!(Notice::parse(r#"{"ev":"later"}"#), Ok(Notice::Unknown)));
    }
}
