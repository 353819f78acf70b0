//! A preemptive priority scheduler as a state machine.
#![no_std]

extern crate alloc;

pub mod bus;
mod event;
mod id;
mod job;
mod policy;
mod priority;
mod process_task;
mod spawner;
mod time;

pub use event::{Event, EventKind, JobTally, Requeue};
pub use id::{BinIndex, ClientId, JobId, RunId, SlotId};
pub use job::{JobSpec, JobState, Outcome, OutcomeKind, StopCause, TimeBound};
pub use policy::{Backoff, OnEvict, OnExhausted, Policy};
pub use priority::Priority;
pub use process_task::{ProcessTask, TaskState};
pub use spawner::{
    Exit, ExitStatus, ProcessSpawner, RunInfo, SpawnFailure, SpawnFailureKind, Stop,
};
pub use time::{Duration, Instant};
