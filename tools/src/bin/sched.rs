//! `sched`: what people use by hand.

use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::time::Duration;

use argh::FromArgs;
use tools::cli::{self, AboveZero, AtLeastOne, Versioned};
use tools::demo::{self, Plan};

/// A preemptive priority scheduler for processes.
#[derive(FromArgs)]
#[argh(help_triggers("-h", "--help"))]
struct Arguments {
    #[argh(subcommand)]
    verb: Option<Verb>,

    /// print the version
    #[argh(switch)]
    version: bool,
}

#[derive(FromArgs)]
#[argh(subcommand)]
enum Verb {
    Demo(Demo),
}

/// Bus, scheduler and producer in one process, on a free port, with a live
/// view of slots and queue (plain lines when stdout is no terminal).
#[derive(FromArgs)]
#[argh(subcommand, name = "demo", help_triggers("-h", "--help"))]
struct Demo {
    /// how many jobs run at once (default: 3)
    #[argh(option, short = 's', arg_name = "SIZE", default = "AtLeastOne(3)")]
    size: AtLeastOne,

    /// mean seconds between two jobs (default: 0.6)
    #[argh(
        option,
        short = 'p',
        arg_name = "PERIOD",
        default = "AboveZero(Duration::from_millis(600))"
    )]
    period: AboveZero,

    /// seconds for which new jobs come (default: 15)
    #[argh(option, arg_name = "SECONDS", default = "AboveZero(Duration::from_secs(15))")]
    seconds: AboveZero,

    /// the seed of all that is random, to repeat a run (default: any)
    #[argh(option, arg_name = "N")]
    seed: Option<u64>,
}

impl Versioned for Arguments {
    fn version(&self) -> bool {
        self.version
    }
}

fn main() -> ExitCode {
    let arguments: Arguments = cli::arguments("sched");
    let Some(verb) = arguments.verb else {
        cli::refuse("sched", "a command is needed, such as demo")
    };
    match verb {
        Verb::Demo(demo) => play(&demo),
    }
}

fn play(demo: &Demo) -> ExitCode {
    cli::log_to_stderr("error");
    let plan = Plan {
        slots: NonZeroUsize::new(demo.size.0 as usize).unwrap_or(NonZeroUsize::MIN),
        period: demo.period.0,
        length: demo.seconds.0,
        seed: demo.seed.unwrap_or_else(|| fastrand::u64(..1_000_000)),
    };
    match smol::block_on(demo::run(plan)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            tracing::error!("{why}");
            ExitCode::FAILURE
        }
    }
}
