//! A preemptive priority scheduler as a state machine: no runtime, no clock,
//! no `std`.
//!
//! Jobs have a [`Priority`] (lower is more urgent) and limits on their time. A
//! [`SchedulerBin`] has a fixed number of slots and a queue. When all slots are
//! taken, a more urgent job evicts the least urgent run; what cannot start
//! waits its turn. Every accepted job gets exactly one [`Outcome`], and it is
//! told. The [`Policy`] says what becomes of a victim, how often a failure is
//! tried again, and so on.
//!
//! # Theory of operation
//!
//! Everything here is decided, and nothing is done. A *driver* owns a machine
//! of this crate, a [`ProcessSpawner`] and a clock, and goes round one loop:
//! carry out the actions, pass on the events, wait for the next thing that
//! happens (a process started or ended, somebody asks for something, the
//! timeout is due), tell the machine, and so on. The same inputs at the same
//! times give the same outputs, so that a driver in virtual time tests what a
//! driver of real processes runs.
//!
//! | machine | what it is |
//! |---|---|
//! | [`ProcessTask`] | one run: starting, running, stopping (why, since), exited |
//! | [`PriorityRunner`] | the slots; who would be evicted |
//! | [`SchedulerBin`] | slots and queue: who starts, who is evicted, what comes back |
//! | [`SchedulerManager`] | several bins; the first that accepts takes the job |
//! | [`bus::Broker`] | the bus, without its sockets |
//!
//! # A driver in virtual time
//!
//! ```
//! use sched_core::*;
//!
//! struct Paper { now: Instant, ends: Vec<(Instant, RunId)> } // processes that exist on paper
//! impl ProcessSpawner for Paper {
//!     type Command = Duration; // how long the process would run
//!     fn spawn(&mut self, run: &RunInfo, runtime: &Duration) -> Result<(), SpawnFailure> {
//!         Ok(self.ends.push((self.now + *runtime, run.id)))
//!     }
//!     fn stop(&mut self, run: RunId, _: Stop) {
//!         self.ends.iter_mut().filter(|end| end.1 == run).for_each(|end| end.0 = self.now);
//!     }
//! }
//!
//! let mut world = Paper { now: Instant::ZERO, ends: Vec::new() };
//! let mut bin = SchedulerBin::new(core::num::NonZeroUsize::MIN, Policy::durable());
//! for (priority, secs) in [(7, 60), (7, 10), (2, 5)] {
//!     bin.submit(world.now, JobSpec::new(Priority::new(priority), Duration::from_secs(secs)))?;
//! }
//! bin.dispatch(world.now, &mut world);
//! while let Some((end, run)) = world.ends.iter().min().copied() {
//!     (world.now, world.ends) = (end, world.ends.drain(..).filter(|it| it.1 != run).collect());
//!     bin.handle_exit(end, run, Exit::stopped(ExitStatus::Code(0)));
//!     bin.dispatch(end, &mut world);
//! }
//! # let mut order = Vec::new();
//! while let Some(Event { at, kind }) = bin.poll_event() {
//!     println!("{at} {kind:?}"); // j3 evicts j1, which comes back to its place before j2
//! #   if let EventKind::Ended { job, outcome, .. } = kind {
//! #       order.push((job.to_string(), outcome == Outcome::Finished));
//! #   }
//! }
//! # let expected = ["j3", "j1", "j2"].map(|job| (job.to_string(), true));
//! # assert_eq!(order, expected);
//! # assert_eq!(world.now, Instant::from_secs(75));
//! # Ok::<(), SubmitError<Duration>>(())
//! ```
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod bin;
pub mod bus;
mod event;
mod heap;
mod id;
mod index;
mod job;
mod manager;
mod policy;
mod priority;
mod process_task;
mod queue;
mod room;
mod runner;
mod sorted;
mod spawner;
mod table;
mod time;
pub mod trace;

pub use bin::{Action, JobView, Mode, Refusal, SchedulerBin, Stats, SubmitError, UnknownJob};
pub use event::{Event, EventKind, JobTally, Requeue};
pub use id::{BinIndex, ClientId, JobId, LeaseId, RunId, SessionId, SlotId};
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
