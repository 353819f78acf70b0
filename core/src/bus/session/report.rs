//! What a scheduler reports.

use alloc::format;
use alloc::string::String;

use super::quoted;
use crate::bus::text::{LONGEST_OUTPUT, LONGEST_REASON, head, tail};
use crate::bus::v1::ReportState;
use crate::id::{JobId, LeaseId, SlotId};
use crate::spawner::ExitStatus;
use crate::time::Duration;

/// What became of a job, to be reported.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JobReport {
    /// The job.
    pub job: JobId,
    /// The lease under which it was assigned.
    pub lease: LeaseId,
    /// What became of it.
    pub state: ReportState,
    /// How its process ended, where it did.
    pub exit: Option<ExitStatus>,
    /// The job for which it was evicted.
    pub by: Option<JobId>,
    /// How long its process ran.
    pub ran: Duration,
    /// In words.
    pub reason: Option<String>,
    /// The end of what it wrote.
    pub output: Option<String>,
    /// The slot in which it runs.
    pub slot: Option<SlotId>,
}

impl JobReport {
    pub(super) fn to_text(&self, id: u64) -> String {
        let Self { job, lease, .. } = self;
        let mut text = format!(
            r#"{{"cmd":"report","id":{id},"job":"{job}","lease":{},"state":"{}","ran_ms":{}"#,
            lease.number(),
            self.state.name(),
            self.ran.as_millis()
        );
        match self.exit {
            Some(ExitStatus::Code(code)) => text.push_str(&format!(r#","code":{code}"#)),
            Some(ExitStatus::Signal(signal)) => text.push_str(&format!(r#","signal":{signal}"#)),
            Some(ExitStatus::Unknown) | None => {}
        }
        if let Some(by) = self.by {
            text.push_str(&format!(r#","by":"{by}""#));
        }
        if let Some(slot) = self.slot {
            text.push_str(&format!(r#","slot":{}"#, slot.number()));
        }
        // The bus keeps no more, and a message must not be larger than it takes.
        let reason = self.reason.as_deref().map(|reason| head(reason, LONGEST_REASON));
        let output = self.output.as_deref().map(|output| tail(output, LONGEST_OUTPUT));
        for (field, value) in [("reason", reason), ("output", output)] {
            if let Some(value) = value {
                text.push_str(&format!(r#","{field}":{}"#, quoted(value)));
            }
        }
        text.push('}');
        text
    }
}
