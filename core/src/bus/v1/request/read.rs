//! Reading a request: which field is wrong, if one is.

use alloc::borrow::{Cow, ToOwned};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::{AdminVerb, Envelope, Registration, Report, Request, STATES, Stopping};
use super::{Submission, SubmitOptions, Subscription};
use crate::bus::text::{LONGEST_NAME, LONGEST_OUTPUT, LONGEST_REASON, head, tail};
use crate::bus::v1::error::{ErrorCode, RequestError};
use crate::id::{JobId, LeaseId, SessionId};
use crate::priority::Priority;
use crate::spawner::ExitStatus;

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
