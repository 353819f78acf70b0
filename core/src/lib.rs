//! A preemptive priority scheduler as a state machine.
#![no_std]

extern crate alloc;

mod bin;
pub mod bus;
mod event;
mod heap;
mod id;
mod job;
mod manager;
mod policy;
mod priority;
mod process_task;
mod queue;
mod runner;
mod spawner;
mod time;

pub use bin::{Action, JobView, Mode, Refusal, SchedulerBin, Stats, SubmitError, UnknownJob};
pub use event::{Event, EventKind, JobTally, Requeue};
pub use id::{BinIndex, ClientId, JobId, RunId, SlotId};
pub use job::{JobSpec, JobState, Outcome, OutcomeKind, StopCause, TimeBound};
pub use manager::SchedulerManager;
pub use policy::{Backoff, OnEvict, OnExhausted, Policy};
pub use priority::Priority;
pub use process_task::{ProcessTask, TaskState};
pub use runner::{EndedRun, PriorityRunner, RunOrder, RunRequest, RunView};
pub use spawner::{
    Exit, ExitStatus, ProcessSpawner, RunInfo, SpawnFailure, SpawnFailureKind, Stop,
};
pub use time::{Duration, Instant};
