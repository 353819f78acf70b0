//! `sched demo`.

use std::io::{self, IsTerminal};
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::time::Duration;

use argh::FromArgs;

use super::note;
use crate::cli::{self, AboveZero, AtLeastOne};
use crate::demo::{self, Plan};

/// Bus, scheduler and producer in one process, on a free port, with the view of
/// sched top (plain lines when stdout is no terminal) and the bus's page.
#[derive(FromArgs, Debug)]
#[argh(
    subcommand,
    name = "demo",
    help_triggers("-h", "--help"),
    note = "q or Ctrl-C ends it, as INT and TERM do."
)]
pub struct Demo {
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

impl Demo {
    pub(super) fn run(&self) -> ExitCode {
        // On a terminal a log would be written across the picture.
        cli::log_to_stderr(if io::stdout().is_terminal() { "off" } else { "error" });
        let plan = Plan {
            slots: NonZeroUsize::new(self.size.0 as usize).unwrap_or(NonZeroUsize::MIN),
            period: self.period.0,
            length: self.seconds.0,
            seed: self.seed.unwrap_or_else(|| fastrand::u64(..1_000_000)),
        };
        match smol::block_on(demo::run(plan)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(why) => {
                note(why);
                ExitCode::FAILURE
            }
        }
    }
}
