//! What a client of version 1 asks for.

mod read;
#[cfg(test)]
mod tests;

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::error::RequestError;
use crate::id::{JobId, LeaseId, SessionId};
use crate::policy::OnEvict;
use crate::priority::Priority;
use crate::spawner::ExitStatus;

/// A request, with the id under which its answer is expected.
#[derive(Clone, Debug)]
pub struct Envelope<'a> {
    /// As it was written, to be given back as `re`.
    pub id: Option<Box<RawValue>>,
    /// What is asked for, or what is wrong with it.
    pub request: Result<Request<'a>, RequestError>,
}

/// What is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Request<'a> {
    /// Take a role, and speak version 1 from now on.
    Register(Registration<'a>),
    /// Accept a job.
    Submit(Submission<'a>),
    /// Pass a job on as version 0 does.
    JobRequest {
        /// As it was written.
        payload: &'a str,
    },
    /// End a job.
    Cancel(JobId),
    /// What became of a job that was assigned.
    Report(Report<'a>),
    /// A scheduler lives, and holds these leases.
    Beat {
        /// The leases that are renewed.
        leases: Vec<LeaseId>,
        /// How many slots are free; for people to see. The bus goes by the slots
        /// of the registration and the leases it has given: it knows of what is
        /// under way to a scheduler, which a beat cannot.
        free: Option<u32>,
        /// The least urgent priority that may be evicted; `Some(None)`: nothing
        /// may be.
        floor: Option<Option<i32>>,
    },
    /// A run was asked to end.
    Stopping(Stopping),
    /// Tell what happens.
    Subscribe(Subscription),
    /// Pause, resume or drain the bus or one scheduler.
    Admin {
        /// What to do.
        verb: AdminVerb,
        /// The name of the scheduler; `None`: the whole bus.
        target: Option<Cow<'a, str>>,
    },
}

/// What a client wants to be told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Subscription {
    /// Every event after this one; `None`: a snapshot first.
    pub since: Option<u64>,
    /// All jobs, or those alone that this session has submitted.
    pub all: bool,
    /// What the snapshot names of the queue.
    pub view: View,
}

/// What a snapshot names of the queue: who looks again and again at a screenful of a
/// long queue need not be sent all of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(default)]
pub struct View {
    /// How many of the pending jobs are passed over, from the next to run.
    pub from: usize,
    /// How many of them are named then.
    pub rows: usize,
    /// Whether the last outcomes are told again.
    pub outcomes: bool,
}

impl View {
    /// The most pending jobs of which any can be named. Those that come later
    /// are counted alone.
    pub const MOST_ROWS: usize = 10_000;
}

impl Default for View {
    fn default() -> Self {
        Self { from: 0, rows: 2000, outcomes: true }
    }
}

/// A run was asked to end, and has some time for it.
///
/// For people to see: it changes nothing, and is not answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stopping {
    /// The job.
    pub job: JobId,
    /// The lease under which it runs.
    pub lease: LeaseId,
    /// The job for which it is evicted.
    pub by: Option<JobId>,
    /// How much time it has before it is killed.
    pub grace_ms: u64,
}

/// A role that a client takes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Registration<'a> {
    /// `producer`, `scheduler` or `observer`.
    pub role: Cow<'a, str>,
    /// The version it speaks; 0 if it does not say.
    pub version: u32,
    /// What people call it.
    pub name: Option<Cow<'a, str>>,
    /// How many jobs a scheduler runs at once.
    pub slots: u32,
    /// The session that it continues.
    pub session: Option<SessionId>,
}

/// A job that is submitted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Submission<'a> {
    /// As it was written.
    pub payload: &'a str,
    /// How urgent it is.
    pub priority: Priority,
    /// Its terms.
    pub opts: SubmitOptions,
}

/// The terms of a job that is submitted. What is left out follows the bus's policy.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SubmitOptions {
    /// A second submission under the same key within ten minutes is the first,
    /// also when that has its outcome, and over a restart of a bus with a disk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// `requeue` or `drop`.
    #[serde(skip_serializing_if = "Option::is_none", with = "fate")]
    pub on_evict: Option<OnEvict>,
    /// How many attempts it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u32>,
    /// How many leases it may lose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_lost: Option<u32>,
    /// How long one run may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// How long it may wait for its first start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_ms: Option<u64>,
    /// How long it may take as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u64>,
}

/// What became of a job that was assigned.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report<'a> {
    /// The job.
    pub job: JobId,
    /// The lease under which it was assigned.
    pub lease: LeaseId,
    /// What became of it.
    pub state: ReportState,
    /// How its process ended, where it did.
    pub exit: ExitStatus,
    /// The job for which it was evicted.
    pub by: Option<JobId>,
    /// How long its process ran.
    pub ran_ms: u64,
    /// In words.
    pub reason: Option<Cow<'a, str>>,
    /// The end of what it wrote.
    pub output: Option<Cow<'a, str>>,
    /// The slot of the scheduler that it has.
    pub slot: Option<u32>,
}

/// The states that a scheduler reports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReportState {
    /// There is a process.
    Started,
    /// It exited with code 0.
    Finished,
    /// It exited otherwise.
    Failed,
    /// It was stopped at its time limit.
    TimedOut,
    /// It was stopped to make room.
    Evicted,
    /// It was stopped because the bus or the scheduler's owner wanted it.
    Cancelled,
    /// There is no process.
    SpawnFailed,
    /// The scheduler does not run such jobs.
    Declined,
}

/// What can be done to the bus, or to one of its schedulers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AdminVerb {
    /// Start nothing new.
    Pause,
    /// Undo a pause or a drain.
    Resume,
    /// Finish what runs, and take nothing new.
    Drain,
}

const STATES: [(&str, ReportState); 8] = [
    ("started", ReportState::Started),
    ("finished", ReportState::Finished),
    ("failed", ReportState::Failed),
    ("timed_out", ReportState::TimedOut),
    ("evicted", ReportState::Evicted),
    ("cancelled", ReportState::Cancelled),
    ("spawn_failed", ReportState::SpawnFailed),
    ("declined", ReportState::Declined),
];

impl ReportState {
    /// Its name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        STATES.iter().find(|(_, state)| *state == self).map_or("", |(name, _)| name)
    }
}

mod fate {
    use alloc::borrow::Cow;
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::policy::OnEvict;

    #[expect(clippy::ref_option, reason = "serde passes the field by reference")]
    pub(super) fn serialize<S: Serializer>(
        fate: &Option<OnEvict>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.serialize_str(if *fate == Some(OnEvict::Drop) { "drop" } else { "requeue" })
    }

    pub(super) fn deserialize<'de, D>(from: D) -> Result<Option<OnEvict>, D::Error>
    where
        D: Deserializer<'de>,
    {
        match Option::<Cow<'_, str>>::deserialize(from)?.as_deref() {
            None => Ok(None),
            Some("drop") => Ok(Some(OnEvict::Drop)),
            Some("requeue") => Ok(Some(OnEvict::Requeue)),
            Some(_) => Err(D::Error::custom("\"on_evict\" is \"requeue\" or \"drop\"")),
        }
    }
}
