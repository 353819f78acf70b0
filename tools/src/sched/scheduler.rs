//! `sched scheduler`.

use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::thread::available_parallelism;

use argh::FromArgs;
use sched_core::Policy;
use sched_runtime_smol::bus::BusUrl;
use tracing::error;

use super::address;
use crate::cli::{self, AboveZero, AtLeastOne, Seconds};
use crate::worker::{self, Terms};

/// Runs the jobs of a bus until INT or TERM: test jobs, and those programs that
/// it is allowed to run. When all slots are taken a more urgent job evicts the
/// least urgent one, which goes back to the bus.
#[derive(FromArgs, Debug)]
#[argh(
    subcommand,
    name = "scheduler",
    help_triggers("-h", "--help"),
    example = "sched scheduler -s 4 --allow make --allow /usr/bin/rsync",
    note = "A job sees SCHED_JOB, SCHED_RUN, SCHED_ATTEMPT and SCHED_SLOT in its environment. \
            RUST_LOG sets how much is logged (default: info).",
    error_code(0, "it was asked to end, and has"),
    error_code(1, "it could not do its part"),
    error_code(2, "the arguments make no sense")
)]
pub struct RunScheduler {
    /// what people call it (default: the name of this host)
    #[argh(option, arg_name = "NAME")]
    name: Option<String>,

    /// how many jobs run at once (default: as many as there are processors)
    #[argh(option, short = 's', arg_name = "SIZE")]
    size: Option<AtLeastOne>,

    /// a program that it may run, as it is named in the job; may be given again
    #[argh(option, arg_name = "PROGRAM")]
    allow: Vec<String>,

    /// seconds that a job may run that has no limit itself (default: no limit)
    #[argh(option, short = 't', arg_name = "TIMEOUT")]
    timeout: Option<AboveZero>,

    /// seconds between asking a process to end and killing it (default: 10)
    #[argh(option, arg_name = "SECONDS")]
    grace: Option<Seconds>,

    /// log more
    #[argh(switch, short = 'd')]
    debug: bool,

    /// where the bus is (default: $SCHED_BUS, or ws://localhost:8101)
    #[argh(option, arg_name = "URL")]
    bus: Option<BusUrl>,
}

impl RunScheduler {
    pub(super) fn run(self) -> ExitCode {
        cli::log_to_stderr(if self.debug { "debug" } else { "info" });
        let bus = address::bus(self.bus.clone());
        match smol::block_on(worker::run(bus, self.terms())) {
            Ok(()) => ExitCode::SUCCESS,
            Err(why) => {
                error!("{why}");
                ExitCode::FAILURE
            }
        }
    }

    fn terms(self) -> Terms {
        let usual = Policy::durable();
        let size = self.size.and_then(|AtLeastOne(size)| NonZeroUsize::new(size as usize));
        let processors = || available_parallelism().unwrap_or(NonZeroUsize::MIN);
        Terms {
            name: self.name.unwrap_or_else(host),
            slots: size.unwrap_or_else(processors),
            time_limit: self.timeout.map(|AboveZero(limit)| limit),
            policy: Policy { grace: self.grace.map_or(usual.grace, |Seconds(time)| time), ..usual },
            allow: self.allow,
        }
    }
}

/// The name of this host.
fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match name.trim() {
        "" => "scheduler".to_owned(),
        name => name.to_owned(),
    }
}
