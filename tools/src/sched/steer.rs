//! `sched pause`, `sched resume` and `sched drain`.

use argh::FromArgs;
use sched_runtime_smol::bus::BusUrl;

use super::address::{self, USUAL_PATIENCE};
use super::{Failure, Patience, Status, Talk};
use crate::cli::{self, AboveZero};

/// Lets a scheduler, or the whole bus, start nothing new. What runs goes on,
/// and jobs are still accepted.
#[derive(FromArgs, Debug)]
#[argh(
    subcommand,
    name = "pause",
    help_triggers("-h", "--help"),
    error_code(0, "done"),
    error_code(2, "the arguments make no sense"),
    error_code(125, "no bus, one of version 0, or no such scheduler")
)]
pub struct Pause {
    /// where the bus is (default: $SCHED_BUS, or ws://localhost:8101)
    #[argh(option, arg_name = "URL")]
    bus: Option<BusUrl>,

    /// seconds to wait for a bus that is not there (default: 5)
    #[argh(option, arg_name = "SECONDS", default = "AboveZero(USUAL_PATIENCE)")]
    connect: AboveZero,

    /// its name (default: the whole bus)
    #[argh(positional)]
    scheduler: Option<String>,
}

/// Undoes a pause or a drain.
#[derive(FromArgs, Debug)]
#[argh(
    subcommand,
    name = "resume",
    help_triggers("-h", "--help"),
    error_code(0, "done"),
    error_code(2, "the arguments make no sense"),
    error_code(125, "no bus, one of version 0, or no such scheduler")
)]
pub struct Resume {
    /// where the bus is (default: $SCHED_BUS, or ws://localhost:8101)
    #[argh(option, arg_name = "URL")]
    bus: Option<BusUrl>,

    /// seconds to wait for a bus that is not there (default: 5)
    #[argh(option, arg_name = "SECONDS", default = "AboveZero(USUAL_PATIENCE)")]
    connect: AboveZero,

    /// its name (default: the whole bus)
    #[argh(positional)]
    scheduler: Option<String>,
}

/// Lets a scheduler, or the whole bus, finish what runs and take nothing new.
/// A bus that drains refuses submissions.
#[derive(FromArgs, Debug)]
#[argh(
    subcommand,
    name = "drain",
    help_triggers("-h", "--help"),
    error_code(0, "done"),
    error_code(2, "the arguments make no sense"),
    error_code(125, "no bus, one of version 0, or no such scheduler")
)]
pub struct Drain {
    /// where the bus is (default: $SCHED_BUS, or ws://localhost:8101)
    #[argh(option, arg_name = "URL")]
    bus: Option<BusUrl>,

    /// seconds to wait for a bus that is not there (default: 5)
    #[argh(option, arg_name = "SECONDS", default = "AboveZero(USUAL_PATIENCE)")]
    connect: AboveZero,

    /// its name (default: the whole bus)
    #[argh(positional)]
    scheduler: Option<String>,
}

impl Pause {
    pub(super) fn run(self) -> Result<Status, Failure> {
        steer(self.bus, self.connect, "pause", self.scheduler)
    }
}

impl Resume {
    pub(super) fn run(self) -> Result<Status, Failure> {
        steer(self.bus, self.connect, "resume", self.scheduler)
    }
}

impl Drain {
    pub(super) fn run(self) -> Result<Status, Failure> {
        steer(self.bus, self.connect, "drain", self.scheduler)
    }
}

fn steer(
    bus: Option<BusUrl>,
    AboveZero(connect): AboveZero,
    verb: &'static str,
    scheduler: Option<String>,
) -> Result<Status, Failure> {
    let url = address::bus(bus);
    let whom = scheduler.clone().unwrap_or_else(|| "the bus".to_owned());
    address::run(async {
        let mut talk = Talk::open(url, Patience::Always(connect), "observer").await?;
        talk.done(move |session| session.admin(verb, scheduler.as_deref())).await?;
        talk.end().await;
        Ok(())
    })?;
    let now = match verb {
        "pause" => "is paused: it starts nothing new",
        "drain" => "drains: it finishes what runs, and takes nothing new",
        _ => "goes on",
    };
    cli::print_line(format_args!("{whom} {now}"));
    Ok(Status::FINISHED)
}
