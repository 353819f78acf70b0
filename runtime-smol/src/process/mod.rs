//! Real processes: started on smol's thread pool, awaited without a thread
//! each, stopped with everything they left in their process group.
//!
//! Linux 5.4 or later: the end of a process is awaited on a pidfd.
//!
//! # Theory of operation
//!
//! Each run is one task, from its start until it is reaped. That task alone
//! sends signals to the process and alone reaps it, so that a signal can never
//! reach a stranger that was given the number of a reaped process.
//!
//! - *Start.* Two starts at most go on at a time in the whole program, on threads
//!   that do nothing else; starting takes 0.1 to 0.6 ms, and more starting threads
//!   gain nothing. The process leads a new process group and has
//!   `/dev/null` for its input.
//! - *Stop.* TERM to the group, followed by CONT, so that a process that is
//!   halted can act on it; or KILL. When KILL follows TERM is not decided here
//!   but by `core`.
//! - *End.* The task sees the leader's death while it is still a zombie, whose
//!   number is also the group's and cannot be given away. It kills what is left
//!   of the group, and only then reaps.
//!
//! # What a process inherits
//!
//! The environment, with the additions of its [`Command`] and, under a
//! scheduler, `SCHED_JOB`, `SCHED_RUN`, `SCHED_ATTEMPT` and `SCHED_SLOT`. No
//! descriptor but 0, 1 and 2, and no signal handler. Three things pass through,
//! because only unsafe code could stop them: descriptors that this program was
//! itself given without the close-on-exec flag, signals it was told to ignore
//! (as by `nohup`), and signals blocked in the thread that first used smol.
//!
//! # Hidden costs
//!
//! - smol's own threads: `smol-1` (more with `SMOL_THREADS`), `async-io`, and up
//!   to two threads `starter` that start processes. They end when they have had
//!   nothing to do for 10 s, and keep two descriptors each until then.
//! - async-process would start a thread of its own at the first process, and
//!   panic if it cannot. [`async_process::driver`] runs as a task instead; where
//!   there are pidfds it has nothing to do.
//! - Two descriptors a process, three when its output is captured, four when it
//!   is spooled (the latter two until nobody holds the output any more; where
//!   nothing was written, they are kept for the next run). The soft
//!   limit of descriptors is raised to the hard one if the runs of a
//!   [`SmolSpawner`] need it; processes started after that get the old soft
//!   limit back.
//!
//! # Limits
//!
//! - A descendant that leaves the process group (`setsid`, as daemons do) is
//!   not found again and lives on. Only a control group could hold it.
//! - As process 1 of a container this program would inherit such orphans, and
//!   those that it kills with their group, and nothing reaps them: run it under
//!   an init (`docker run --init`).
//! - If SIGCHLD is ignored the system reaps every process by itself, and nobody
//!   learns how it ended: a [`SmolSpawner`] refuses to be made then.
//! - When the program ends or is killed, its processes live on, unless it has
//!   posted a [`Guard`]. Stop them and await their ends first.
//! - At the edge of the limit of descriptors a process may run for a moment and
//!   then be killed and told as a failure to start: see [`SpawnFailureKind::Exhausted`].
//!
//! [`SpawnFailureKind::Exhausted`]: sched_core::SpawnFailureKind::Exhausted

mod capture;
mod command;
mod error;
mod group;
mod guard;
mod launch;
mod limits;
mod lost;
mod program;
mod run;
mod solo;
mod spares;
mod spawner;
mod spool;
mod start;
mod task;

pub use capture::CapturedOutput;
pub use command::{Command, Output};
pub use error::SpawnerError;
pub use guard::{Guard, GuardError};
pub use spawner::{Report, SmolSpawner};
pub use spool::{Spool, SpoolReader, SpooledOutput};
pub use task::{AlreadyStarted, NotStarted, Process, ProcessResult};
