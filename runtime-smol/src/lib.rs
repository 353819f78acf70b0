//! `sched-core` on smol: real processes, real sockets.
//!
//! - [`Scheduler`]: submit jobs, await their outcomes, watch what happens. It
//!   owns a state machine of `sched-core`, and starts and stops the processes that
//!   this decides about.
//! - [`process`]: a process in a group of its own, ended with everything it left
//!   there. [`Process`] is one by itself, without a scheduler.
//! - [`bus`]: where producers and schedulers meet, over WebSocket.
//!
//! # Hidden costs
//!
//! Tasks are spawned on smol's global executor, which starts a thread of its
//! own (more with `SMOL_THREADS`), beside the reactor's and those of the pool for
//! blocking work. Processes have two threads of their own. The modules say what
//! else they cost.

pub mod bus;
mod clock;
mod epoll;
pub mod process;
pub mod scheduler;
mod store;

pub use clock::Clock;
pub use process::{
    AlreadyStarted, CapturedOutput, Command, Guard, GuardError, NotStarted, Output, Process,
    ProcessResult, Report, SmolSpawner, SpawnerError, Spool, SpooledOutput,
};
pub use scheduler::{JobHandle, Scheduler};
pub use store::StoreError;

/// The code in the README runs.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
