//! What a client of the bus may say.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// What a client of the bus is there for. A connection may have several roles.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Role {
    /// It submits jobs.
    Producer,
    /// It runs jobs: every payload is sent to it.
    Scheduler,
}

impl Role {
    /// The role as it is written on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Producer => "producer",
            Self::Scheduler => "scheduler",
        }
    }

    /// The command with which a client takes this role.
    ///
    /// ```
    /// use sched_core::bus::Role;
    /// assert_eq!(Role::Producer.to_register(), r#"{"cmd":"register","type":"producer"}"#);
    /// ```
    #[must_use]
    pub fn to_register(self) -> String {
        format!(r#"{{"cmd":"register","type":"{}"}}"#, self.name())
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Producer, Self::Scheduler].into_iter().find(|role| role.name() == name)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A command, borrowed from the text of its message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Command<'a> {
    /// The client takes a role.
    Register(Role),
    /// The client submits a job.
    JobRequest {
        /// The payload as it was written, without the white space around it.
        payload: &'a str,
    },
    /// A command or a role that this bus does not know; it is ignored.
    Unknown,
}

impl<'a> Command<'a> {
    /// Reads one message.
    ///
    /// Keys that are not needed are ignored. The payload is checked to be
    /// JSON, and is not looked into.
    ///
    /// # Errors
    ///
    /// The text is not a JSON object, or a key that the command needs is
    /// missing.
    pub fn parse(text: &'a str) -> Result<Self, CommandError> {
        // A derived struct would take a list of its fields for an object.
        if !text.trim_start().starts_with('{') {
            return Err(CommandError::Malformed { message: "it does not start with {".into() });
        }
        let message: Message<'_> = serde_json::from_str(text).map_err(CommandError::malformed)?;
        let command = message.cmd.ok_or(CommandError::MissingCommand)?;
        match string(command).as_deref() {
            Some("register") => {
                let role = message.role.ok_or(CommandError::MissingType)?;
                let role = string(role).as_deref().and_then(Role::from_name);
                Ok(role.map_or(Self::Unknown, Self::Register))
            }
            Some("job_request") => {
                let payload = message.payload.ok_or(CommandError::MissingPayload)?;
                Ok(Self::JobRequest { payload: payload.get() })
            }
            _ => Ok(Self::Unknown),
        }
    }
}

/// A message that is not a command. The connection it came from stays open.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CommandError {
    /// The text is not one JSON object.
    Malformed {
        /// What is wrong with it, and where.
        message: String,
    },
    /// There is no `cmd`.
    MissingCommand,
    /// A `register` without `type`.
    MissingType,
    /// A `job_request` without `payload`.
    MissingPayload,
}

impl CommandError {
    fn malformed(error: serde_json::Error) -> Self {
        Self::Malformed { message: error.to_string() }
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed { message } => write!(f, "not a JSON object: {message}"),
            Self::MissingCommand => f.write_str("no \"cmd\""),
            Self::MissingType => f.write_str("\"register\" without \"type\""),
            Self::MissingPayload => f.write_str("\"job_request\" without \"payload\""),
        }
    }
}

impl core::error::Error for CommandError {}

/// All values stay text: a `type` that is no string belongs to a role that is
/// not known, and must not make the whole message malformed.
#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    cmd: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present", rename = "type")]
    role: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    payload: Option<&'a RawValue>,
}

/// `null` is a value like any other; only a key that is not there is `None`.
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(from).map(Some)
}

/// The string that `raw` is, if it is one.
fn string(raw: &RawValue) -> Option<Cow<'_, str>> {
    let text = raw.get();
    match text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(plain) if !plain.contains('\\') => Some(Cow::Borrowed(plain)),
        Some(_) => serde_json::from_str(text).ok().map(Cow::Owned),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload_of(text: &str) -> &str {
        match Command::parse(text) {
            Ok(Command::JobRequest { payload }) => payload,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn roles_are_registered_by_the_command_we_write() {
        for role in [Role::Producer, Role::Scheduler] {
            assert_eq!(Command::parse(&role.to_register()), Ok(Command::Register(role)));
        }
        let spaced = "\n{ \"type\" : \"\\u0070roducer\", \"cmd\":\t\"register\", \"v\": 1 } ";
        assert_eq!(Command::parse(spaced), Ok(Command::Register(Role::Producer)));
    }

    #[test]
    fn a_payload_stays_the_text_it_was() {
        let payload = "{\"runtime\" : 1.50,\n \"priority\":340282366920938463463374607431768211456,\
                       \"z\":\"\\u00e9\\ud800\", \"a\":[ ]}";
        let text = alloc::format!("{{\"cmd\":\"job_request\",\"payload\": {payload} }}");
        assert_eq!(payload_of(&text), payload);
        assert_eq!(payload_of(r#"{"payload":null,"cmd":"job_request"}"#), "null");
    }

    #[test]
    fn a_payload_may_be_nested_without_end() {
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        let text = alloc::format!("{{\"cmd\":\"job_request\",\"payload\":{deep}}}");
        assert_eq!(payload_of(&text), deep);
    }

    #[test]
    fn what_is_not_known_is_ignored() {
        for text in [
            r#"{"cmd":"submit","id":"c1","payload":{}}"#,
            r#"{"cmd":"register","type":"observer"}"#,
            r#"{"cmd":"register","type":5}"#,
            r#"{"cmd":5}"#,
            r#"{"cmd":null}"#,
            r#"{"cmd":"\ud800"}"#,
        ] {
            assert_eq!(Command::parse(text), Ok(Command::Unknown), "{text}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(Command::parse("{}"), Err(CommandError::MissingCommand));
        let register = r#"{"cmd":"register"}"#;
        assert_eq!(Command::parse(register), Err(CommandError::MissingType));
        let request = r#"{"cmd":"job_request"}"#;
        assert_eq!(Command::parse(request), Err(CommandError::MissingPayload));
    }

    #[test]
    fn what_is_no_json_object_is_malformed() {
        let nan = r#"{"cmd":"job_request","payload":{"priority":NaN}}"#;
        let twice = r#"{"cmd":"register","cmd":"register","type":"producer"}"#;
        let deep = "[".repeat(100_000);
        for text in ["", " ", "nonsense", "{", "5", "null", "[1]", "{} {}", nan, twice, &deep] {
            let result = Command::parse(text);
            assert!(matches!(result, Err(CommandError::Malformed { .. })), "{result:?}");
        }
    }
}
