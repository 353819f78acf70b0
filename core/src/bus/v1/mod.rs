//! Version 1 of the protocol: what clients ask for, and what the bus says.

mod error;
mod notice;
mod reply;
mod request;

pub use error::{ErrorCode, RequestError};
pub use notice::{Assignment, HeardChange, HeardOptions, Notice, NoticeError, Welcome};
pub use reply::{
    AssignOptions, Counters, Durability, JobChange, PendingRow, Quantiles, Reply, RevokeWhy,
    RunningRow, SchedulerRow, Snapshot, StoppingRow, WireState,
};
pub use request::{
    AdminVerb, Envelope, Registration, Report, ReportState, Request, Stopping, Submission,
    SubmitOptions, Subscription, View,
};
