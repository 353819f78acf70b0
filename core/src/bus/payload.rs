//! The payload of a test job, from the outside.

use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::priority::Priority;
use crate::time::Duration;

/// The longest runtime that is taken for meant: ten years.
pub const MAX_RUNTIME: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// A job that only takes time: `{"priority": 3, "runtime": 7.5}`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TestJob {
    /// How urgent it is; from a payload always 0 or greater.
    pub priority: Priority,
    /// How long it takes; from a payload at most [`MAX_RUNTIME`].
    pub runtime: Duration,
}

impl TestJob {
    /// Reads a payload. Keys other than `priority` and `runtime` are ignored.
    ///
    /// ```
    /// use sched_core::bus::{PayloadError, TestJob};
    /// let job = TestJob::from_payload(r#"{"priority": 3, "runtime": 7.5}"#)?;
    /// assert_eq!((job.priority.number(), job.runtime.as_millis()), (3, 7500));
    /// let error = TestJob::from_payload(r#"{"runtime": 1}"#);
    /// assert_eq!(error, Err(PayloadError::Missing { field: "priority" }));
    /// # Ok::<(), PayloadError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The payload is not an object, or one of its two fields is missing,
    /// there twice, or no number that makes sense.
    pub fn from_payload(text: &str) -> Result<Self, PayloadError> {
        Self::from_fields(serde_json::from_str(text).map_err(PayloadError::malformed)?)
    }

    /// The job that these fields describe.
    pub(super) fn from_fields(fields: Fields<'_>) -> Result<Self, PayloadError> {
        if let Some(field) = fields.twice {
            return Err(PayloadError::Duplicate { field });
        }
        Ok(Self {
            priority: priority(number("priority", fields.priority)?)?,
            runtime: runtime(number("runtime", fields.runtime)?)?,
        })
    }

    /// Writes the payload that [`from_payload`](Self::from_payload) reads.
    #[must_use]
    pub fn to_payload(&self) -> String {
        let seconds = self.runtime.as_secs_f64();
        format!(r#"{{"priority":{},"runtime":{seconds}}}"#, self.priority)
    }

    /// Writes the command that submits this job to a bus.
    #[must_use]
    pub fn to_request(&self) -> String {
        format!(r#"{{"cmd":"job_request","payload":{}}}"#, self.to_payload())
    }
}

/// Why a payload is not a usable test job.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PayloadError {
    /// The payload is not one JSON object.
    Malformed {
        /// What is wrong with it, and where.
        message: String,
    },
    /// A field is not there.
    Missing {
        /// Its name.
        field: &'static str,
    },
    /// A field is there twice, and so it is open which one is meant.
    Duplicate {
        /// Its name.
        field: &'static str,
    },
    /// A field is not a number.
    NotANumber {
        /// Its name.
        field: &'static str,
        /// What it is instead.
        found: &'static str,
    },
    /// A field must be a whole number, and is not.
    NotWhole {
        /// Its name.
        field: &'static str,
    },
    /// A field is less than 0.
    Negative {
        /// Its name.
        field: &'static str,
    },
    /// A field is greater than anything that can be meant.
    TooLarge {
        /// Its name.
        field: &'static str,
        /// The greatest value that is taken; of a runtime, in seconds.
        max: u64,
    },
}

impl PayloadError {
    fn malformed(error: serde_json::Error) -> Self {
        Self::Malformed { message: error.to_string() }
    }
}

impl fmt::Display for PayloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed { message } => write!(f, "payload is not a JSON object: {message}"),
            Self::Missing { field } => write!(f, "{field} is missing"),
            Self::Duplicate { field } => write!(f, "{field} is there twice"),
            Self::NotANumber { field, found } => {
                write!(f, "{field} must be a number, and is {found}")
            }
            Self::NotWhole { field } => write!(f, "{field} must be a whole number"),
            Self::Negative { field } => write!(f, "{field} must not be negative"),
            Self::TooLarge { field, max } => write!(f, "{field} must be at most {max}"),
        }
    }
}

impl core::error::Error for PayloadError {}

/// The text of a JSON number, or what is there instead.
fn number<'a>(
    field: &'static str,
    value: Option<&'a str>,
) -> Result<(&'static str, &'a str), PayloadError> {
    let text = value.ok_or(PayloadError::Missing { field })?;
    let found = match text.as_bytes().first() {
        Some(b'-' | b'0'..=b'9') => return Ok((field, text)),
        Some(b'"') => "a string",
        Some(b'{') => "an object",
        Some(b'[') => "a list",
        Some(b'n') => "null",
        _ => "true or false",
    };
    Err(PayloadError::NotANumber { field, found })
}

fn priority((field, text): (&'static str, &str)) -> Result<Priority, PayloadError> {
    if let Some(whole) = short_whole(text) {
        return Ok(Priority::new(whole));
    }
    let max = i32::MAX.unsigned_abs().into();
    let value = non_negative(field, text)?;
    if value > f64::from(i32::MAX) {
        return Err(PayloadError::TooLarge { field, max });
    }
    // The cast cuts off what is behind the point, and `value` is in range.
    let whole = value as i32;
    if f64::from(whole) < value {
        return Err(PayloadError::NotWhole { field });
    }
    Ok(Priority::new(whole))
}

fn runtime((field, text): (&'static str, &str)) -> Result<Duration, PayloadError> {
    let runtime = match short_whole(text) {
        Some(seconds) => Duration::from_secs(seconds.unsigned_abs().into()),
        // What is too large for a duration is too large for a runtime.
        None => Duration::try_from_secs_f64(non_negative(field, text)?).unwrap_or(Duration::MAX),
    };
    if runtime > MAX_RUNTIME {
        return Err(PayloadError::TooLarge { field, max: MAX_RUNTIME.as_secs() });
    }
    Ok(runtime)
}

/// The number in `text`, if it is what nearly all are: a few digits.
fn short_whole(text: &str) -> Option<i32> {
    let digits = text.as_bytes();
    let short = (1..=9).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    let add = |number, digit: &u8| number * 10 + i32::from(digit - b'0');
    short.then(|| digits.iter().fold(0, add))
}

/// The number in `text`. One beyond the range of `f64`, such as 1e400, is
/// infinite, and so found too large by whoever asked.
fn non_negative(field: &'static str, text: &str) -> Result<f64, PayloadError> {
    match text.parse::<f64>() {
        Ok(value) if value >= 0.0 => Ok(value),
        Ok(value) if value < 0.0 => Err(PayloadError::Negative { field }),
        _ => Err(PayloadError::NotANumber { field, found: "something else" }),
    }
}

/// The fields as the text they are, so that each can be judged by itself.
#[derive(Default)]
pub(super) struct Fields<'a> {
    priority: Option<&'a str>,
    runtime: Option<&'a str>,
    twice: Option<&'static str>,
}

impl<'a> Fields<'a> {
    /// A field with the text of its value. What is not needed is ignored.
    pub(super) fn take(&mut self, key: &str, value: &'a str) {
        let (name, field) = match key {
            "priority" => ("priority", &mut self.priority),
            "runtime" => ("runtime", &mut self.runtime),
            _ => return,
        };
        if field.replace(value).is_some() {
            self.twice = Some(name);
        }
    }
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum Key {
    Priority,
    Runtime,
    #[serde(other)]
    Other,
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with priority and runtime")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
        let mut fields = Fields::default();
        while let Some(key) = map.next_key()? {
            let name = match key {
                Key::Priority => "priority",
                Key::Runtime => "runtime",
                Key::Other => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            fields.take(name, map.next_value::<&RawValue>()?.get());
        }
        Ok(fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> PayloadError {
        TestJob::from_payload(text).expect_err(text)
    }

    fn job(priority: i32, millis: u64) -> TestJob {
        TestJob { priority: Priority::new(priority), runtime: Duration::from_millis(millis) }
    }

    #[test]
    fn what_is_written_is_read_back() {
        for job in [job(0, 0), job(10, 7_250), job(i32::MAX, 315_360_000_000)] {
            assert_eq!(TestJob::from_payload(&job.to_payload()), Ok(job));
        }
        assert_eq!(job(3, 7_500).to_payload(), r#"{"priority":3,"runtime":7.5}"#);
        let request = r#"{"cmd":"job_request","payload":{"priority":3,"runtime":7}}"#;
        assert_eq!(job(3, 7_000).to_request(), request);
    }

    #[test]
    fn a_whole_number_may_be_written_with_a_point() {
        for priority in ["3", "3.0", "3e0", "0.3e1", "30e-1"] {
            let text = alloc::format!("{{\"priority\":{priority},\"runtime\":1e-3}}");
            assert_eq!(TestJob::from_payload(&text), Ok(job(3, 1)), "{text}");
        }
        let minus_zero = r#"{"priority":-0,"runtime":-0.0,"more":[{"a":1}]}"#;
        assert_eq!(TestJob::from_payload(minus_zero), Ok(job(0, 0)));
    }

    #[test]
    fn a_missing_field_is_named() {
        assert_eq!(error(r#"{"runtime":1}"#), PayloadError::Missing { field: "priority" });
        assert_eq!(error(r#"{"priority":1}"#), PayloadError::Missing { field: "runtime" });
    }

    #[test]
    fn a_field_there_twice_is_named() {
        let text = r#"{"priority":1,"runtime":1,"priority":9}"#;
        assert_eq!(error(text), PayloadError::Duplicate { field: "priority" });
    }

    #[test]
    fn what_is_no_number_is_named() {
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        for (value, found) in [
            ("\"3\"", "a string"),
            ("null", "null"),
            ("true", "true or false"),
            ("{}", "an object"),
            (deep.as_str(), "a list"),
        ] {
            let text = alloc::format!("{{\"priority\":1,\"runtime\":{value}}}");
            assert_eq!(error(&text), PayloadError::NotANumber { field: "runtime", found });
        }
    }

    #[test]
    fn a_priority_is_a_whole_number_from_0_to_the_greatest_i32() {
        let priority =
            |value: &str| error(&alloc::format!("{{\"priority\":{value},\"runtime\":1}}"));
        let (field, max) = ("priority", 2_147_483_647);
        assert_eq!(priority("0.5"), PayloadError::NotWhole { field });
        assert_eq!(priority("-1"), PayloadError::Negative { field });
        for huge in ["2147483648", "1e400", "340282366920938463463374607431768211456"] {
            assert_eq!(priority(huge), PayloadError::TooLarge { field, max }, "{huge}");
        }
    }

    #[test]
    fn a_runtime_is_from_0_to_ten_years() {
        let runtime =
            |value: &str| error(&alloc::format!("{{\"runtime\":{value},\"priority\":1}}"));
        let (field, max) = ("runtime", 315_360_000);
        assert_eq!(runtime("-0.001"), PayloadError::Negative { field });
        assert_eq!(runtime("-1e400"), PayloadError::Negative { field });
        for huge in ["315360000.1", "1e30", "1e400"] {
            assert_eq!(runtime(huge), PayloadError::TooLarge { field, max }, "{huge}");
        }
    }

    #[test]
    fn what_is_no_json_object_is_malformed() {
        let deep = "[".repeat(100_000);
        let nan = r#"{"priority":NaN,"runtime":1}"#;
        for text in ["", "null", "[1,2]", "\"x\"", "{\"priority\":1", nan, "{} {}", &deep] {
            assert!(matches!(error(text), PayloadError::Malformed { .. }), "{text:.40}");
        }
    }
}
