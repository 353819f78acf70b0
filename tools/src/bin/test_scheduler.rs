//! The sample scheduler: runs the jobs of a bus, as processes that sleep.

use std::error::Error;
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::time::Duration;

use argh::FromArgs;
use sched_core::{OnEvict, Policy};
use sched_runtime_smol::bus::BusUrl;
use tools::cli::{self, AboveZero, AtLeastOne, Seconds, Shutdown, Versioned};
use tools::narrate::InWords;
use tools::worker::{Report, Terms, Worker, log_line, tell_story};
use tracing::{error, info, warn};

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

    /// what becomes of an evicted job: drop or requeue (default: the policy's)
    #[argh(option, arg_name = "FATE", from_str_fn(fate))]
    on_evict: Option<OnEvict>,

    /// seconds between asking a process to end and killing it (default: the
    /// policy's)
    #[argh(option, arg_name = "SECONDS")]
    grace: Option<Seconds>,

    /// the rules: seed (an evicted job is dropped, 5 s of grace) or durable
    /// (it comes back, failures are tried again, waiting jobs gain urgency,
    /// 10 s of grace) (default: seed)
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
    let arguments: Arguments = cli::arguments("test_scheduler");
    cli::log_to_stderr(if arguments.debug { "debug" } else { "info" });
    match smol::block_on(run(arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            error!("{why}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let shutdown = Shutdown::with_children()?;
    let terms = terms(&arguments);
    let slots = terms.slots.get();
    info!("{slots} slots, a time limit of {:?} a job", arguments.timeout.0);
    let worker = Worker::start(arguments.bus, terms).await?;
    let story = worker.scheduler().subscribe().await?;
    let log = smol::spawn(tell_story(story, slots, log_line));
    shutdown.or_done(worker.serve()).await;
    info!("stopping; a second INT or TERM kills what still runs");
    let report = worker.end(shutdown.urged()).await;
    log.await;
    conclude(&report);
    Ok(())
}

fn terms(arguments: &Arguments) -> Terms {
    let mut policy = arguments.policy.clone();
    policy.on_evict = arguments.on_evict.unwrap_or(policy.on_evict);
    policy.grace = arguments.grace.map_or(policy.grace, |Seconds(grace)| grace);
    let slots = NonZeroUsize::new(arguments.size.0 as usize).unwrap_or(NonZeroUsize::MIN);
    Terms {
        name: arguments.name.clone(),
        slots,
        time_limit: Some(arguments.timeout.0),
        policy,
        allow: arguments.allow.clone(),
    }
}

fn conclude(report: &Report) {
    if report.counts.declined > 0 {
        let declined = report.counts.declined;
        warn!("{declined} payloads were refused because they are no jobs for this scheduler");
    }
    if report.counts.late > 0 {
        warn!("{} jobs came in too late and were not taken", report.counts.late);
    }
    match &report.summary {
        Some(summary) => cli::print_line(InWords(summary)),
        None => error!("the scheduler went away; there is no summary"),
    }
}

fn fate(text: &str) -> Result<OnEvict, String> {
    match text {
        "drop" => Ok(OnEvict::Drop),
        "requeue" => Ok(OnEvict::Requeue),
        _ => Err(format!("{text:?} is neither drop nor requeue")),
    }
}

fn policy(text: &str) -> Result<Policy, String> {
    match text {
        "seed" => Ok(Policy::seed()),
        "durable" => Ok(Policy::durable()),
        _ => Err(format!("{text:?} is neither seed nor durable")),
    }
}
