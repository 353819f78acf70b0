//! What a client of version 1 asks for.

use alloc::borrow::{Cow, ToOwned};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::error::{ErrorCode, RequestError};
use crate::bus::text::{LONGEST_NAME, LONGEST_OUTPUT, LONGEST_REASON, head, tail};
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
    /// A second submission under the same key within ten minutes is the first.
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

/// The longest id of a request that is given back, in bytes.
const LONGEST_ID: usize = 256;
/// The longest key of a submission, in bytes.
const LONGEST_KEY: usize = 256;
/// The most slots that a scheduler may offer.
const MOST_SLOTS: u32 = 100_000;

/// Every field that any request has. Values stay text until their command is
/// known, so that a field of the wrong type is named, and not the whole request.
#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    cmd: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "type")]
    role: Option<&'a RawValue>,
    #[serde(borrow, default)]
    v: Option<&'a RawValue>,
    #[serde(borrow, default)]
    name: Option<&'a RawValue>,
    #[serde(borrow, default)]
    slots: Option<&'a RawValue>,
    #[serde(borrow, default)]
    session: Option<&'a RawValue>,
    #[serde(borrow, default)]
    payload: Option<&'a RawValue>,
    #[serde(borrow, default)]
    opts: Option<&'a RawValue>,
    #[serde(borrow, default)]
    job: Option<&'a RawValue>,
    #[serde(borrow, default)]
    lease: Option<&'a RawValue>,
    #[serde(borrow, default)]
    state: Option<&'a RawValue>,
    #[serde(borrow, default)]
    code: Option<&'a RawValue>,
    #[serde(borrow, default)]
    signal: Option<&'a RawValue>,
    #[serde(borrow, default)]
    by: Option<&'a RawValue>,
    #[serde(borrow, default)]
    ran_ms: Option<&'a RawValue>,
    #[serde(borrow, default)]
    reason: Option<&'a RawValue>,
    #[serde(borrow, default)]
    output: Option<&'a RawValue>,
    #[serde(borrow, default)]
    leases: Option<&'a RawValue>,
    #[serde(borrow, default)]
    free: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    floor: Option<&'a RawValue>,
    #[serde(borrow, default)]
    slot: Option<&'a RawValue>,
    #[serde(borrow, default)]
    grace_ms: Option<&'a RawValue>,
    #[serde(borrow, default)]
    view: Option<&'a RawValue>,
    #[serde(borrow, default)]
    since: Option<&'a RawValue>,
    #[serde(borrow, default)]
    jobs: Option<&'a RawValue>,
    #[serde(borrow, default)]
    target: Option<&'a RawValue>,
}

impl<'a> Envelope<'a> {
    /// Reads a message of a client that speaks version 1.
    #[must_use]
    pub fn parse(text: &'a str) -> Self {
        let wrong =
            |code, message: &str| Self { id: None, request: Err(RequestError::new(code, message)) };
        // A derived struct would take a list of its fields for an object.
        if !text.trim_start().starts_with('{') {
            return match serde_json::from_str::<&RawValue>(text) {
                Ok(_) => wrong(ErrorCode::Request, "a request is a JSON object"),
                Err(error) => wrong(ErrorCode::Parse, &error.to_string()),
            };
        }
        match serde_json::from_str::<Fields<'a>>(text) {
            Err(error) => wrong(ErrorCode::Parse, &error.to_string()),
            Ok(fields) => Self {
                id: fields.id.filter(|id| id.get().len() <= LONGEST_ID).map(ToOwned::to_owned),
                request: fields.request(),
            },
        }
    }
}

impl<'a> Fields<'a> {
    fn request(&self) -> Result<Request<'a>, RequestError> {
        let Some(command) = self.cmd else {
            return Err(RequestError::new(ErrorCode::Request, "there is no \"cmd\""));
        };
        let command: Cow<'_, str> = read("cmd", command)?;
        Ok(match &*command {
            "register" => Request::Register(self.registration()?),
            "submit" => Request::Submit(self.submission()?),
            "job_request" => Request::JobRequest { payload: self.payload()? },
            "cancel" => Request::Cancel(self.job_id("job", self.job)?),
            "report" => Request::Report(self.report()?),
            "stopping" => Request::Stopping(self.stopping()?),
            "beat" => self.beat()?,
            "subscribe" => self.subscription()?,
            "pause" => self.admin(AdminVerb::Pause)?,
            "resume" => self.admin(AdminVerb::Resume)?,
            "drain" => self.admin(AdminVerb::Drain)?,
            other => {
                let message = format!("there is no command {other:?}");
                return Err(RequestError::new(ErrorCode::UnknownCommand, message));
            }
        })
    }

    fn registration(&self) -> Result<Registration<'a>, RequestError> {
        let slots = optional("slots", self.slots)?.unwrap_or(0);
        if slots > MOST_SLOTS {
            return Err(bad(format!("\"slots\" is {slots}, and may be {MOST_SLOTS} at most")));
        }
        let session: Option<Cow<'_, str>> = optional("session", self.session)?;
        Ok(Registration {
            role: required("type", self.role)?,
            version: optional("v", self.v)?.unwrap_or(0),
            name: optional("name", self.name)?.map(|name| cut(name, |it| head(it, LONGEST_NAME))),
            slots,
            session: session.as_deref().and_then(SessionId::parse),
        })
    }

    fn submission(&self) -> Result<Submission<'a>, RequestError> {
        let payload = self.payload()?;
        let priority = priority_of(payload)?;
        let opts: SubmitOptions = optional("opts", self.opts)?.unwrap_or_default();
        if opts.key.as_ref().is_some_and(|key| key.len() > LONGEST_KEY) {
            return Err(bad(format!("\"key\" is longer than {LONGEST_KEY} bytes")));
        }
        if opts.max_attempts == Some(0) {
            return Err(bad("\"max_attempts\" is 0; a job has at least one attempt"));
        }
        Ok(Submission { payload, priority, opts })
    }

    fn payload(&self) -> Result<&'a str, RequestError> {
        self.payload.map(RawValue::get).ok_or_else(|| bad("there is no \"payload\""))
    }

    fn report(&self) -> Result<Report<'a>, RequestError> {
        let state: Cow<'_, str> = required("state", self.state)?;
        let known = STATES.iter().find(|(name, _)| *name == state);
        let (_, state) = known.ok_or_else(|| bad(format!("there is no state {state:?}")))?;
        let code = optional("code", self.code)?.map(ExitStatus::Code);
        let signal = optional("signal", self.signal)?.map(ExitStatus::Signal);
        Ok(Report {
            job: self.job_id("job", self.job)?,
            lease: LeaseId::new(required("lease", self.lease)?),
            state: *state,
            exit: signal.or(code).unwrap_or(ExitStatus::Unknown),
            by: self.by()?,
            ran_ms: optional("ran_ms", self.ran_ms)?.unwrap_or(0),
            reason: optional("reason", self.reason)?
                .map(|reason| cut(reason, |it| head(it, LONGEST_REASON))),
            output: optional("output", self.output)?
                .map(|output| cut(output, |it| tail(it, LONGEST_OUTPUT))),
            slot: optional("slot", self.slot)?,
        })
    }

    fn stopping(&self) -> Result<Stopping, RequestError> {
        Ok(Stopping {
            job: self.job_id("job", self.job)?,
            lease: LeaseId::new(required("lease", self.lease)?),
            by: self.by()?,
            grace_ms: required("grace_ms", self.grace_ms)?,
        })
    }

    fn by(&self) -> Result<Option<JobId>, RequestError> {
        let by = self.by.filter(|by| by.get() != "null");
        by.map(|by| self.job_id("by", Some(by))).transpose()
    }

    fn beat(&self) -> Result<Request<'a>, RequestError> {
        let leases: Vec<u64> = optional("leases", self.leases)?.unwrap_or_default();
        Ok(Request::Beat {
            leases: leases.into_iter().map(LeaseId::new).collect(),
            free: optional("free", self.free)?,
            floor: self.floor.map(|floor| read("floor", floor)).transpose()?,
        })
    }

    fn subscription(&self) -> Result<Request<'a>, RequestError> {
        let jobs: Option<Cow<'_, str>> = optional("jobs", self.jobs)?;
        let all = match jobs.as_deref() {
            None | Some("all") => true,
            Some("mine") => false,
            Some(other) => {
                return Err(bad(format!("\"jobs\" is {other:?}, not \"mine\" or \"all\"")));
            }
        };
        let (since, view) = (optional("since", self.since)?, optional("view", self.view)?);
        Ok(Request::Subscribe(Subscription { since, all, view: view.unwrap_or_default() }))
    }

    fn admin(&self, verb: AdminVerb) -> Result<Request<'a>, RequestError> {
        Ok(Request::Admin { verb, target: optional("target", self.target)? })
    }

    fn job_id(&self, field: &str, value: Option<&'a RawValue>) -> Result<JobId, RequestError> {
        let text: Cow<'_, str> = required(field, value)?;
        JobId::parse(&text).ok_or_else(|| bad(format!("{field:?} is {text:?}, and no job's id")))
    }
}

impl<'a> Submission<'a> {
    /// A job without terms of its own.
    ///
    /// # Errors
    ///
    /// The payload has no usable priority.
    pub fn plain(payload: &'a str) -> Result<Self, RequestError> {
        let priority = priority_of(payload)?;
        Ok(Self { payload, priority, opts: SubmitOptions::default() })
    }
}

/// The priority of a payload, which is otherwise between its producer and its
/// scheduler.
fn priority_of(payload: &str) -> Result<Priority, RequestError> {
    #[derive(Deserialize)]
    struct Head<'a> {
        #[serde(borrow, default)]
        priority: Option<&'a RawValue>,
    }
    let bad = |message: String| RequestError::new(ErrorCode::BadPayload, message);
    if !payload.starts_with('{') {
        return Err(bad("the payload is no JSON object".into()));
    }
    let head: Head<'_> = serde_json::from_str(payload).map_err(|error| bad(error.to_string()))?;
    let priority = head.priority.ok_or_else(|| bad("the payload has no \"priority\"".into()))?;
    let number: i32 = serde_json::from_str(priority.get()).map_err(|_| {
        bad(format!(
            "\"priority\" is {}, and no integer from 0 to {}",
            excerpt(priority.get()),
            i32::MAX
        ))
    })?;
    if number < 0 {
        return Err(bad(format!("\"priority\" is {number}, and must not be negative")));
    }
    Ok(Priority::new(number))
}

fn bad(message: impl Into<String>) -> RequestError {
    RequestError::new(ErrorCode::BadParams, message)
}

fn required<'a, T: Deserialize<'a>>(
    field: &str,
    value: Option<&'a RawValue>,
) -> Result<T, RequestError> {
    optional(field, value)?.ok_or_else(|| bad(format!("there is no {field:?}")))
}

fn optional<'a, T: Deserialize<'a>>(
    field: &str,
    value: Option<&'a RawValue>,
) -> Result<Option<T>, RequestError> {
    value.filter(|value| value.get() != "null").map(|value| read(field, value)).transpose()
}

fn read<'a, T: Deserialize<'a>>(field: &str, value: &'a RawValue) -> Result<T, RequestError> {
    serde_json::from_str(value.get())
        .map_err(|error| bad(format!("{field:?} is {}: {error}", excerpt(value.get()))))
}

/// `null` is a value; only a key that is not there is `None`.
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(from).map(Some)
}

fn cut<'a>(text: Cow<'a, str>, to: impl Fn(&str) -> &str) -> Cow<'a, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(to(text)),
        Cow::Owned(text) => Cow::Owned(to(&text).to_owned()),
    }
}

/// The beginning of a text, for a message.
fn excerpt(text: &str) -> &str {
    let end = text.char_indices().nth(40).map_or(text.len(), |(end, _)| end);
    text.get(..end).unwrap_or(text)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn code_of(text: &str) -> ErrorCode {
        Envelope::parse(text).request.unwrap_err().code
    }

    #[test]
    fn a_submission_keeps_its_payload_as_it_was_written() {
        let text = r#"{"cmd":"submit","id":"c42","payload":{"priority": 3, "x":1e400},"opts":{"key":"k","on_evict":"drop","timeout_ms":5}}"#;
        let envelope = Envelope::parse(text);
        assert_eq!(envelope.id.unwrap().get(), r#""c42""#);
        let Ok(Request::Submit(submission)) = envelope.request else { panic!() };
        assert_eq!(submission.payload, r#"{"priority": 3, "x":1e400}"#);
        assert_eq!(submission.priority, Priority::new(3));
        assert_eq!(submission.opts.on_evict, Some(OnEvict::Drop));
        assert_eq!((submission.opts.timeout_ms, submission.opts.expires_ms), (Some(5), None));
    }

    #[test]
    fn a_report_says_how_a_process_ended() {
        let text = r#"{"cmd":"report","job":"j1","lease":17,"state":"evicted","code":null,"signal":15,"by":"j2","ran_ms":2310,"reason":null}"#;
        let Ok(Request::Report(report)) = Envelope::parse(text).request else { panic!() };
        assert_eq!((report.state, report.exit), (ReportState::Evicted, ExitStatus::Signal(15)));
        assert_eq!(report.by, JobId::parse("j2"));
    }

    #[test]
    fn a_floor_of_null_is_not_a_floor_left_out() {
        let floor = |text| match Envelope::parse(text).request {
            Ok(Request::Beat { floor, .. }) => floor,
            other => panic!("{other:?}"),
        };
        assert_eq!(floor(r#"{"cmd":"beat","leases":[]}"#), None);
        assert_eq!(floor(r#"{"cmd":"beat","floor":8}"#), Some(Some(8)));
        assert_eq!(floor(r#"{"cmd":"beat","floor":null}"#), Some(None));
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert_eq!(code_of("{"), ErrorCode::Parse);
        assert_eq!(code_of("[1]"), ErrorCode::Request);
        assert_eq!(code_of("{}"), ErrorCode::Request);
        assert_eq!(code_of(r#"{"cmd":"fly"}"#), ErrorCode::UnknownCommand);
        assert_eq!(code_of(r#"{"cmd":"cancel"}"#), ErrorCode::BadParams);
        assert_eq!(code_of(r#"{"cmd":"cancel","job":"17"}"#), ErrorCode::BadParams);
        for payload in [
            "{}",
            r#"{"priority":"x"}"#,
            r#"{"priority":-1}"#,
            r#"{"priority":1e400}"#,
            r#"{"priority":1.5}"#,
        ] {
            let text = format!(r#"{{"cmd":"submit","payload":{payload}}}"#);
            assert_eq!(code_of(&text), ErrorCode::BadPayload, "{payload}");
        }
        let opts = r#"{"cmd":"submit","payload":{"priority":1},"opts":{"on_evict":"eat"}}"#;
        assert_eq!(code_of(opts), ErrorCode::BadParams);
    }
}
