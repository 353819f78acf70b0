//! The verbs of `sched`, one file each.
//!
//! # Exit statuses
//!
//! `submit --wait` and `wait` end as the job did:
//!
//! | status | the job, or `sched` itself |
//! |---|---|
//! | 0 | it finished: its program exited with 0; every other verb: done |
//! | N | it failed: its program exited with N |
//! | 120 | it was evicted, and is not to come back |
//! | 121 | it was cancelled |
//! | 122 | it expired: it waited too long to start |
//! | 123 | it was lost: too many schedulers vanished with it |
//! | 124 | it timed out: it reached its time limit or its deadline |
//! | 125 | `sched` could not do it: no bus, one of version 0, or a refusal |
//! | 126 | its program could not be started |
//! | 127 | its program was not found |
//! | 128+N | its program was ended by signal N |
//! | 130 | `sched` itself was interrupted or terminated; the job goes on |
//! | 1 | of several jobs that were waited for, not all finished |
//! | 2 | the arguments make no sense |
//!
//! A program that uses one of these numbers itself cannot be told apart by the
//! status; what is printed tells.

mod address;
mod cancel;
mod demo;
mod events;
mod failure;
mod handover;
mod list;
mod run;
mod scheduler;
mod show;
mod simulate;
mod snapshot;
mod status;
mod steer;
mod submit;
pub mod table;
mod talk;
mod top;
mod trace;
mod wait;
mod watch;
mod words;

use std::fmt;
use std::process::ExitCode;

use argh::FromArgs;

pub use self::failure::Failure;
pub use self::snapshot::{PendingJob, RunningJob, SchedulerLine, Snapshot, Totals};
pub use self::status::{Ended, Status};
pub use self::submit::random_key;
pub use self::talk::{Heard, Patience, Talk};
pub(crate) use self::top::top;
pub use self::watch::{Seen, Since, Watch};
use self::words::one_line;
pub use self::words::{details, sentence, span};
use crate::cli;

/// What `sched` can do.
#[derive(FromArgs, Debug)]
#[argh(subcommand)]
pub enum Verb {
    /// Hands a job in.
    Submit(submit::Submit),
    /// What runs and what waits.
    List(list::List),
    /// One job.
    Show(show::Show),
    /// Until a job has ended.
    Wait(wait::Wait),
    /// Ends a job.
    Cancel(cancel::Cancel),
    /// What happens.
    Events(events::Events),
    /// All of it, live.
    Top(top::Top),
    /// Starts nothing new.
    Pause(steer::Pause),
    /// Goes on.
    Resume(steer::Resume),
    /// Finishes what is there.
    Drain(steer::Drain),
    /// Runs jobs.
    Scheduler(scheduler::RunScheduler),
    /// What a policy would do.
    Simulate(simulate::Simulate),
    /// What has happened, as a picture.
    Trace(trace::Trace),
    /// Runs jobs here, without a bus.
    Run(run::Run),
    /// Everything in one process.
    Demo(demo::Demo),
}

impl Verb {
    /// Does it, and says how the process is to end.
    #[must_use]
    pub fn run(self) -> ExitCode {
        let done = match self {
            Self::Submit(verb) => verb.run(),
            Self::List(verb) => verb.run(),
            Self::Show(verb) => verb.run(),
            Self::Wait(verb) => verb.run(),
            Self::Cancel(verb) => verb.run(),
            Self::Events(verb) => verb.run(),
            Self::Top(verb) => verb.run(),
            Self::Pause(verb) => verb.run(),
            Self::Resume(verb) => verb.run(),
            Self::Drain(verb) => verb.run(),
            Self::Simulate(verb) => verb.run(),
            Self::Trace(verb) => verb.run(),
            Self::Scheduler(verb) => return verb.run(),
            Self::Run(verb) => return verb.run(),
            Self::Demo(verb) => return verb.run(),
        };
        let status = done.unwrap_or_else(|why| {
            note(format_args!("{why}"));
            Status::OURSELVES
        });
        status.into()
    }
}

/// Says something to people, on stderr.
fn note(what: impl fmt::Display) {
    cli::note_line(format_args!("sched: {what}"));
}
