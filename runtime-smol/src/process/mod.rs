//! Real processes: started, awaited and reaped by two threads for the whole
//! program, stopped with everything they left in their process group.
//!
//! Linux 5.4 or later: the end of a process is awaited on a pidfd.
//!
//! # Theory of operation
//!
//! Two threads, the *crew*, do the same work. The one that has started a process is
//! told of its death, reaps it and tells its owner (a scheduler, a [`SmolSpawner`], a
//! [`Process`]); what the owner launches because of that, the same thread starts
//! next. So from one end to the next start no other thread is woken, which costs
//! as much as a tenth of a start each time. Whoever only listens is told
//! after the start, for the same reason.
//!
//! - *Start.* It blocks a thread of the crew for 0.1 to 0.6 ms. The process leads
//!   a new process group and has `/dev/null` for its input. It is made together with
//!   what it is watched by: there is none that runs and cannot be watched. Where both threads
//!   hang in a start (a program on a file system that has gone), nothing more is
//!   started, but ends are still told, up to 0.2 s late.
//! - *Stop.* TERM to the group, followed by CONT, so that a process that is
//!   halted can act on it; or KILL; at once, on the thread of whoever wants it.
//!   When KILL follows TERM is not decided here but by `core`. What waits for its
//!   turn to be started never is.
//! - *End.* The crew sees the leader's death while it is still a zombie, whose
//!   number is also the group's and cannot be given away. It takes the process
//!   out of everybody's reach, kills what is left of the group, and only then
//!   reaps: a signal can never reach a stranger that was given the number of a
//!   reaped process.
//!
//! # What a process inherits
//!
//! The environment as it was when its scheduler or spawner was made (for a
//! [`Process`]: when it is started), with the additions of its [`Command`] and, under
//! a scheduler, `SCHED_JOB`, `SCHED_RUN`, `SCHED_ATTEMPT` and `SCHED_SLOT`. No signal
//! handler, and no blocked signal. Signals that this program was told to ignore (as by
//! `nohup`) are ignored by its processes, too; SIGPIPE is not.
//!
//! No descriptor but 0, 1 and 2. That goes for those that this program was itself
//! given to be passed on (by `make -j`, by systemd), although variables may tell of
//! them. Before Linux 5.11, and where a filter of system calls forbids `close_range`,
//! those without the close-on-exec flag pass through.
//!
//! What belongs to a thread passes through: processors it is pinned to, its nice
//! value and scheduling policy, namespaces and system call filters of its own. The
//! threads of the crew have these from whoever's call made them: the first to start a
//! process, and, as they end when they are idle, any later one that finds none. So
//! start nothing from a thread that has of these what no process is to have.
//!
//! # Hidden costs
//!
//! - Up to two threads `sched-crew`, and one `sched-relief`, which looks ten times
//!   a second whether they hang. They end when they have had nothing to do for
//!   10 s; one `sched-crew` stays for as long as there are processes. Of smol's own
//!   threads `smol-1` (more with `SMOL_THREADS`) keeps the time.
//! - async-process, with which a [`Guard`]'s shell is awaited, would start a thread
//!   of its own, and panic if it cannot. [`async_process::driver`] runs as a task
//!   instead; where there are pidfds it has nothing to do.
//! - One descriptor a process, two when its output is captured, three when it
//!   is spooled (the latter two until nobody holds the output any more, but a file
//!   that nobody wrote to is not held; where nothing was written to either, they
//!   are kept for the next run). The soft limit of descriptors is raised to the
//!   hard one if the runs of all [`SmolSpawner`]s and schedulers of the program,
//!   with the output of as many that have ended, need it; processes started after
//!   that begin with the old soft limit.
//!
//! # Limits
//!
//! - A descendant that leaves the process group (`setsid`, as daemons do) is
//!   not found again and lives on. Only a control group could hold it.
//! - As process 1 of a container, or as a subreaper (`PR_SET_CHILD_SUBREAPER`),
//!   this program would inherit such orphans, and those that it kills with their
//!   group, and nothing reaps them: run it under an init (`docker run --init`).
//! - After a `fork` of this program without `exec` the copy has no crew, and shares
//!   what the crew is woken by: it must not start or stop anything.
//! - If SIGCHLD is ignored the system reaps every process by itself, and nobody
//!   learns how it ended: a [`SmolSpawner`] refuses to be made then.
//! - When the program ends or is killed, its processes live on, unless it has
//!   posted a [`Guard`]. Stop them and await their ends first.
//! - A process that has changed its user (a set-uid program) may not be ours to
//!   stop: it ends when it likes, and its slot is taken until then.

mod capture;
mod command;
mod crew;
mod environment;
mod error;
mod group;
mod guard;
mod limits;
mod program;
mod run;
mod runs;
mod solo;
mod spares;
mod spawner;
mod spool;
mod start;
mod strings;
mod task;
mod vfork;
mod want;

pub use capture::CapturedOutput;
pub use command::{Command, Output};
pub use error::SpawnerError;
pub use guard::{Guard, GuardError};
pub(crate) use limits::make_room_for_others;
pub(crate) use run::Owner;
pub(crate) use runs::Runs;
pub(crate) use spawner::make_room;
pub use spawner::{Report, SmolSpawner};
pub use spool::{Spool, SpoolReader, SpooledOutput};
pub use task::{AlreadyStarted, NotStarted, Process, ProcessResult};
