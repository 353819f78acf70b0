//! What is on disk about a job, and how it comes back.

use alloc::borrow::{Cow, ToOwned};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};

use core::fmt;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::job::{Ending, Job, Phase};
use super::remote::Remote;
use crate::bus::v1::SubmitOptions;
use crate::id::JobId;

/// Something that must be on disk before what follows from it is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Persist {
    /// Its number. They are given out in order; some may be left out.
    pub seq: u64,
    /// What to do.
    pub op: PersistOp,
}

/// What to do on disk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PersistOp {
    /// Put this record under this job, in place of what was there.
    Put(JobId, String),
    /// Forget the record of this job.
    Forget(JobId),
    /// Put this record under the one name that is no job's.
    Ids(String),
}

/// The numbers from which ids go on after a restart.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct StoredIds {
    pub(super) job: u64,
    pub(super) lease: u64,
    pub(super) session: u64,
    pub(super) seq: u64,
}

/// What is as with most jobs is left out: every byte goes to the disk twice. So
/// is, once there is an outcome, all that is not told of it: the job is never run
/// again.
#[derive(Serialize, Deserialize)]
pub(super) struct StoredJob<'a> {
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(super) payload: Option<Cow<'a, RawValue>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) priority: Option<i32>,
    #[serde(default, skip_serializing_if = "is_usual")]
    pub(super) opts: SubmitOptions,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) owner: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) submitted: Option<u64>,
    #[serde(default = "first", skip_serializing_if = "is_first")]
    pub(super) attempt: u32,
    #[serde(default, skip_serializing_if = "is_none")]
    pub(super) starts: u32,
    #[serde(default, skip_serializing_if = "is_none")]
    pub(super) evictions: u32,
    #[serde(default, skip_serializing_if = "is_none")]
    pub(super) lost: u32,
    pub(super) phase: StoredPhase,
}

fn is_usual(opts: &SubmitOptions) -> bool {
    *opts == SubmitOptions::default()
}

const fn first() -> u32 {
    1
}

const fn is_first(attempt: &u32) -> bool {
    *attempt == 1
}

const fn is_none(count: &u32) -> bool {
    *count == 0
}

const fn is_not(so: &bool) -> bool {
    !*so
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum StoredPhase {
    Pending,
    BackingOff {
        until: u64,
    },
    Leased {
        lease: u64,
        session: u64,
        name: String,
        slots: u32,
        level: i64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        started: Option<u64>,
        #[serde(default, skip_serializing_if = "is_not")]
        cancelled: bool,
        #[serde(default, skip_serializing_if = "core::ops::Not::not")]
        expired: bool,
    },
    /// It has its outcome: the last change, as it was told.
    Ended {
        change: Box<RawValue>,
        at: u64,
    },
}

impl<'a> StoredJob<'a> {
    pub(super) fn of(job: &'a Job, phase: StoredPhase) -> Self {
        Self {
            payload: Some(Cow::Borrowed(&*job.payload)),
            priority: Some(job.priority.number()),
            opts: job.opts().clone(),
            owner: job.owner().map(|owner| owner.number()),
            submitted: Some(job.submitted.as_nanos()),
            attempt: job.attempt,
            starts: job.starts,
            evictions: job.evictions,
            lost: job.lost,
            phase,
        }
    }

    /// What is left of a job that has its outcome: that, and its key, which ends
    /// so long after it was submitted.
    pub(super) fn ended(job: &Job, phase: StoredPhase) -> Self {
        let key = job.opts().key.clone();
        Self {
            payload: None,
            priority: None,
            submitted: key.is_some().then_some(job.submitted.as_nanos()),
            opts: SubmitOptions { key, ..SubmitOptions::default() },
            owner: None,
            attempt: first(),
            starts: 0,
            evictions: 0,
            lost: 0,
            phase,
        }
    }
}

impl StoredPhase {
    pub(super) fn of(job: &Job, remote: Option<&Remote>) -> Self {
        match (&job.phase, remote) {
            (Phase::BackingOff { until }, _) => Self::BackingOff { until: until.as_nanos() },
            (Phase::Leased(lease), Some(remote)) => Self::Leased {
                lease: lease.id.number(),
                session: remote.session.number(),
                name: remote.name.to_string(),
                slots: remote.slots,
                level: lease.level,
                started: lease.started.map(|started| started.as_nanos()),
                cancelled: lease.ending == Some(Ending::Cancelled),
                expired: lease.ending == Some(Ending::Expired),
            },
            _ => Self::Pending,
        }
    }
}

/// What was on disk makes no sense.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RestoreError {
    /// Under which job it was; `None`: under the other name.
    pub job: Option<JobId>,
    /// What is wrong with it.
    pub message: String,
}

impl RestoreError {
    pub(super) fn new(job: Option<JobId>, error: &serde_json::Error) -> Self {
        Self { job, message: error.to_string() }
    }

    pub(super) fn without(job: JobId, what: &str) -> Self {
        Self { job: Some(job), message: format!("there is no {what}, nor an outcome") }
    }
}

impl fmt::Display for RestoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = self.job.map_or_else(|| "the ids".to_owned(), |job| job.to_string());
        write!(f, "the stored record of {of} cannot be read: {}", self.message)
    }
}

impl core::error::Error for RestoreError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_of_a_record_is_as_usual() {
        let short = r#"{"payload":{"priority":3},"priority":3,"submitted":7,"phase":"pending"}"#;
        let stored: StoredJob<'_> = serde_json::from_str(short).unwrap();
        assert_eq!((stored.attempt, stored.starts, stored.evictions, stored.lost), (1, 0, 0, 0));
        assert_eq!(serde_json::to_string(&stored).unwrap(), short);
        let long = short.replace(
            r#""phase""#,
            r#""opts":{},"owner":null,"attempt":2,"starts":1,"evictions":0,"lost":0,"phase""#,
        );
        let stored: StoredJob<'_> = serde_json::from_str(&long).unwrap();
        assert_eq!((stored.attempt, stored.starts), (2, 1), "as it was written before");
        let ended =
            r#"{"priority":3,"owner":5,"submitted":7,"phase":{"ended":{"change":{},"at":9}}}"#;
        assert!(serde_json::from_str::<StoredJob<'_>>(ended).is_ok(), "so were outcomes");
    }
}
