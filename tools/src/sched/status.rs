//! Outcomes as exit statuses.

use std::process::ExitCode;

use sched_core::bus::v1::HeardChange;

use super::words;

/// The exit status of a process; the table is in the [module's docs](super).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Status(pub u8);

impl Status {
    /// It finished.
    pub const FINISHED: Self = Self(0);
    /// It failed, and nobody knows with which code; of several jobs, not all
    /// finished.
    pub const FAILED: Self = Self(1);
    /// It was evicted for good.
    pub const EVICTED: Self = Self(120);
    /// It was cancelled.
    pub const CANCELLED: Self = Self(121);
    /// It waited too long.
    pub const EXPIRED: Self = Self(122);
    /// It lost too many leases.
    pub const LOST: Self = Self(123);
    /// It reached a limit on its time; as `timeout` has it.
    pub const TIMED_OUT: Self = Self(124);
    /// We could not do what was asked; as `timeout` and `env` have it.
    pub const OURSELVES: Self = Self(125);
    /// Its program could not be started; as shells have it.
    pub const CANNOT_START: Self = Self(126);
    /// Its program was not found; as shells have it.
    pub const NOT_FOUND: Self = Self(127);
    /// We were interrupted; as shells have it.
    pub const INTERRUPTED: Self = Self(130);

    /// The status of an outcome; `None`: the job has not ended by this.
    #[must_use]
    pub fn of(change: &HeardChange<'_>) -> Option<Self> {
        if !change.last {
            return None;
        }
        Some(match &*change.state {
            "finished" => Self::FINISHED,
            "evicted" => Self::EVICTED,
            "cancelled" => Self::CANCELLED,
            "expired" => Self::EXPIRED,
            "lost" => Self::LOST,
            "timed_out" => Self::TIMED_OUT,
            "spawn_failed" if is_missing(change) => Self::NOT_FOUND,
            "spawn_failed" => Self::CANNOT_START,
            _ => Self::of_exit(change),
        })
    }

    fn of_exit(change: &HeardChange<'_>) -> Self {
        let number = match (change.signal, change.code) {
            (Some(signal), _) => signal.checked_add(128),
            (None, code) => code,
        };
        number.and_then(|number| u8::try_from(number).ok()).map_or(Self::FAILED, Self)
    }
}

/// Whether a program is not there: the reason alone tells, in words.
fn is_missing(change: &HeardChange<'_>) -> bool {
    let reason = change.reason.as_deref().unwrap_or_default();
    // A working directory may be missing as well.
    let Some(reason) = reason.strip_prefix("program ") else { return false };
    ["No such file", "not found", "not in PATH"].iter().any(|words| reason.contains(words))
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        Self::from(status.0)
    }
}

/// How a job has ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ended {
    /// The exit status that stands for it.
    pub status: Status,
    /// Its name on the wire, such as `finished`.
    pub state: String,
    /// One line for people.
    pub words: String,
    /// The end of what its program wrote, as far as it was captured.
    pub output: Option<String>,
}

impl Ended {
    /// From the event that told it; `None`: the job has not ended by this.
    #[must_use]
    pub fn of(change: &HeardChange<'_>) -> Option<Self> {
        Some(Self {
            status: Status::of(change)?,
            state: change.state.clone().into_owned(),
            words: words::sentence(change),
            output: change.output.as_deref().map(ToOwned::to_owned),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(json: &str) -> Option<u8> {
        let change: HeardChange<'_> = serde_json::from_str(json).unwrap();
        Status::of(&change).map(|status| status.0)
    }

    #[test]
    fn every_outcome_has_its_status() {
        for (state, expected) in [
            (r#""finished","code":0"#, 0),
            (r#""failed","code":3"#, 3),
            (r#""failed","signal":9"#, 137),
            (r#""failed""#, 1),
            (r#""failed","code":70000"#, 1),
            (r#""evicted""#, 120),
            (r#""cancelled""#, 121),
            (r#""expired""#, 122),
            (r#""lost""#, 123),
            (r#""timed_out","signal":15"#, 124),
            (r#""spawn_failed","reason":"program \"/x\": Permission denied""#, 126),
            (r#""spawn_failed","reason":"program \"/x\": No such file or directory""#, 127),
            (r#""spawn_failed","reason":"working directory \"/x\": No such file""#, 126),
            (r#""spawn_failed","reason":"program \"x\" is not in PATH""#, 127),
        ] {
            let json = format!(r#"{{"state":{state},"final":true}}"#);
            assert_eq!(status(&json), Some(expected), "{state}");
        }
        assert_eq!(status(r#"{"state":"pending"}"#), None);
    }
}
