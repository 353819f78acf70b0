//! The sample scheduler: runs the jobs of a bus, as processes that sleep.

use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::time::Duration;

use argh::FromArgs;
use sched_core::{OnEvict, Policy};
use sched_runtime_smol::bus::BusUrl;
use tools::cli::{self, AboveZero, AtLeastOne, Seconds, Versioned, fate, policy};
use tools::worker::{self, Terms};
use tracing::error;

/// Takes jobs from a bus until INT or TERM. Each job is a process that sleeps.
/// When all slots are taken a more urgent job evicts the least urgent one.
#[derive(FromArgs)]
#[argh(help_triggers("-h", "--help"))]
struct Arguments {
    /// how many jobs run at once (default: 5)
    #[argh(option, short = 's', arg_name = "SIZE", default = "AtLeastOne(5)")]
    size: AtLeastOne,

    /// seconds that a job may run (default: 10)
    #[argh(
        option,
        short = 't',
        arg_name = "TIMEOUT",
        default = "AboveZero(Duration::from_secs(10))"
    )]
    timeout: AboveZero,

    /// log more
    #[argh(switch, short = 'd')]
    debug: bool,

    /// where the bus is (default: ws://localhost:8101)
    #[argh(option, arg_name = "URL", default = "BusUrl::local()")]
    bus: BusUrl,

    /// with a bus of version 0: what becomes of an evicted job, drop or requeue
    /// (default: the policy's); one of version 1 decides that itself
    #[argh(option, arg_name = "FATE", from_str_fn(fate))]
    on_evict: Option<OnEvict>,

    /// seconds between asking a process to end and killing it (default: the
    /// policy's)
    #[argh(option, arg_name = "SECONDS")]
    grace: Option<Seconds>,

    /// the rules with a bus of version 0: seed (an evicted job is dropped, 5 s
    /// of grace) or durable (it comes back, failures are tried again, waiting
    /// jobs gain urgency, 10 s of grace); with one of version 1 the grace
    /// period alone (default: seed)
    #[argh(option, arg_name = "POLICY", default = "Policy::seed()", from_str_fn(policy))]
    policy: Policy,

    /// what people call this scheduler (default: test_scheduler)
    #[argh(option, arg_name = "NAME", default = "String::from(\"test_scheduler\")")]
    name: String,

    /// a program that this scheduler runs for others; may be given several times
    #[argh(option, arg_name = "PROGRAM")]
    allow: Vec<String>,

    /// print the version
    #[argh(switch)]
    version: bool,
}

impl Versioned for Arguments {
    fn version(&self) -> bool {
        self.version
    }
}

fn main() -> ExitCode {
    let _last_words = cli::LastWords;
    let arguments: Arguments = cli::arguments("test_scheduler");
    cli::log_to_stderr(if arguments.debug { "debug" } else { "info" });
    match smol::block_on(worker::run(arguments.bus.clone(), terms(arguments))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            error!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn terms(arguments: Arguments) -> Terms {
    let mut policy = arguments.policy;
    policy.on_evict = arguments.on_evict.unwrap_or(policy.on_evict);
    policy.grace = arguments.grace.map_or(policy.grace, |Seconds(grace)| grace);
    let slots = NonZeroUsize::new(arguments.size.0 as usize).unwrap_or(NonZeroUsize::MIN);
    Terms {
        name: arguments.name,
        slots,
        time_limit: Some(arguments.timeout.0),
        policy,
        allow: arguments.allow,
    }
}
