//! An entry of a trace, as it is written.

use alloc::string::{String, ToString};

use serde::{Serialize, Serializer};

use crate::id::JobId;
use crate::time::Instant;

/// What stands before the first entry.
pub(super) const HEAD: &str = "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[";

/// An entry. What it does not have is left out.
#[derive(Serialize, Default)]
pub(super) struct Entry<'a> {
    pub(super) ph: Phase,
    pub(super) name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cat: Option<&'static str>,
    pub(super) pid: u32,
    pub(super) tid: u32,
    pub(super) ts: Micros,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) dur: Option<Micros>,
    /// Which arrow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<u64>,
    /// `e`: the arrow ends at the bar that begins here, not at the next one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) bp: Option<char>,
    /// `g`: a remark about everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) s: Option<char>,
    /// One of the viewer's own colours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cname: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) args: Option<Args<'a>>,
}

/// The kinds of entries in use.
#[derive(Serialize, Clone, Copy, Default)]
pub(super) enum Phase {
    /// The name of a process or a track.
    #[default]
    #[serde(rename = "M")]
    Name,
    #[serde(rename = "X")]
    Bar,
    #[serde(rename = "s")]
    ArrowBegin,
    #[serde(rename = "f")]
    ArrowEnd,
    #[serde(rename = "i")]
    Remark,
}

/// What is shown of an entry that is looked at.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Args<'a> {
    Name {
        name: &'a str,
    },
    Run {
        #[serde(serialize_with = "as_text")]
        job: JobId,
        #[serde(skip_serializing_if = "Option::is_none")]
        priority: Option<i32>,
        attempt: u32,
        /// How the run ended. That of a job which is to run again is no
        /// outcome of the job.
        outcome: &'a str,
        #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_text_if_any")]
        evicted_by: Option<JobId>,
        #[serde(skip_serializing_if = "Option::is_none")]
        exit: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<&'a str>,
    },
}

/// A time in the unit of the format: microseconds, with fractions.
#[derive(Clone, Copy, Default)]
pub(super) struct Micros {
    nanos: u64,
}

impl Micros {
    pub(super) const fn at(at: Instant) -> Self {
        Self { nanos: at.as_nanos() }
    }

    pub(super) const fn between(begin: Instant, end: Instant) -> Self {
        Self { nanos: end.as_nanos().saturating_sub(begin.as_nanos()) }
    }
}

impl Serialize for Micros {
    /// Whole ones as whole numbers: times since 1970 have more digits than a
    /// fraction leaves room for, and bars that touch would overlap.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.nanos % 1000 {
            0 => serializer.serialize_u64(self.nanos / 1000),
            _ => serializer.serialize_f64(self.nanos as f64 / 1000.0),
        }
    }
}

fn as_text<S: Serializer>(job: &JobId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(job)
}

fn as_text_if_any<S: Serializer>(job: &Option<JobId>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_some(&job.map(|job| job.to_string()))
}
