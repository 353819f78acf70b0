//! What is wrong with a request, in numbers and in words.

use alloc::string::String;
use core::fmt;

/// Why a request was not carried out. The first four are JSON-RPC's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ErrorCode {
    /// The text is not JSON.
    Parse,
    /// It is JSON, and no request.
    Request,
    /// There is no such command.
    UnknownCommand,
    /// A field of the command is missing or makes no sense.
    BadParams,
    /// The payload of a job makes no sense.
    BadPayload,
    /// The lease has ended; the report changed nothing.
    StaleLease,
    /// There is no such job, or it has ended.
    NoJob,
    /// As many jobs wait as may wait.
    Full,
    /// The bus is draining and accepts no more jobs.
    Draining,
    /// The disk does not take it. Try again later.
    Storage,
    /// The message is too large.
    TooLarge,
    /// The client does not read fast enough, and is closed.
    SlowConsumer,
    /// The events asked for are gone; take a snapshot.
    Resync,
}

impl ErrorCode {
    /// Its number on the wire.
    #[must_use]
    pub const fn number(self) -> i32 {
        match self {
            Self::Parse => -32700,
            Self::Request => -32600,
            Self::UnknownCommand => -32601,
            Self::BadParams | Self::BadPayload => -32602,
            Self::StaleLease => -32001,
            Self::NoJob => -32002,
            Self::Full => -32003,
            Self::Draining => -32004,
            Self::Storage => -32005,
            Self::TooLarge => -32006,
            Self::SlowConsumer => -32007,
            Self::Resync => -32008,
        }
    }

    /// Its name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Parse => "parse",
            Self::Request => "request",
            Self::UnknownCommand => "unknown_command",
            Self::BadParams => "bad_params",
            Self::BadPayload => "bad_payload",
            Self::StaleLease => "stale_lease",
            Self::NoJob => "no_job",
            Self::Full => "full",
            Self::Draining => "draining",
            Self::Storage => "storage",
            Self::TooLarge => "too_large",
            Self::SlowConsumer => "slow_consumer",
            Self::Resync => "resync",
        }
    }
}

/// A request that was not carried out, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RequestError {
    /// Which kind of error.
    pub code: ErrorCode,
    /// What was wrong, and what to do.
    pub message: String,
}

impl RequestError {
    /// An error of this kind.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.name(), self.message)
    }
}

impl core::error::Error for RequestError {}
