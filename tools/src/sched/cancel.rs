//! `sched cancel`.

use argh::FromArgs;
use sched_core::JobId;
use sched_runtime_smol::bus::BusUrl;

use super::address::{self, USUAL_PATIENCE};
use super::{Failure, Patience, Status, Talk, note};
use crate::cli::{self, AboveZero};

/// Ends jobs: one that waits never starts, and one that runs is terminated.
#[derive(FromArgs, Debug)]
#[argh(
    subcommand,
    name = "cancel",
    help_triggers("-h", "--help"),
    error_code(0, "the bus has taken note of all of them"),
    error_code(2, "the arguments make no sense"),
    error_code(125, "no bus, one of version 0, or one of them is not there any more")
)]
pub struct Cancel {
    /// where the bus is (default: $SCHED_BUS, or ws://localhost:8101)
    #[argh(option, arg_name = "URL")]
    bus: Option<BusUrl>,

    /// seconds to wait for a bus that is not there (default: 5)
    #[argh(option, arg_name = "SECONDS", default = "AboveZero(USUAL_PATIENCE)")]
    connect: AboveZero,

    /// the jobs, such as j17
    #[argh(positional, arg_name = "JOB", from_str_fn(address::job))]
    jobs: Vec<JobId>,
}

impl Cancel {
    pub(super) fn run(self) -> Result<Status, Failure> {
        if self.jobs.is_empty() {
            cli::refuse("sched cancel", "a job is needed, such as j17");
        }
        let url = address::bus(self.bus);
        address::run(cancel(url, Patience::Always(self.connect.0), self.jobs))
    }
}

async fn cancel(url: BusUrl, patience: Patience, jobs: Vec<JobId>) -> Result<Status, Failure> {
    let mut talk = Talk::open(url, patience, "observer").await?;
    let mut status = Status::FINISHED;
    for job in jobs {
        match talk.done(move |session| session.cancel(job)).await {
            Ok(()) => cli::print_line(format_args!("{job}: will be cancelled")),
            // The others may still be there.
            Err(Failure::Refused(why)) => {
                note(format_args!("{why}"));
                status = Status::OURSELVES;
            }
            Err(why) => return Err(why),
        }
    }
    talk.end().await;
    Ok(status)
}
