//! The sample producer: submits test jobs to a bus.

use std::process::ExitCode;
use std::time::Duration;

use argh::FromArgs;
use sched_core::bus::Role;
use sched_runtime_smol::bus::{BusClient, BusUrl, ClientConfig};
use smol::Timer;
use tools::cli::{self, AboveZero, AtLeastOne, PriorityRange, Seconds, SecondsRange};
use tools::cli::{Shutdown, Versioned};
use tools::sched::table;
use tools::submitter::Submitter;
use tools::workload::Workload;
use tracing::{error, info};

/// Submits test jobs to a bus: periodically, or after random waits. A bus that
/// is not there is waited for.
#[derive(FromArgs)]
#[argh(
    help_triggers("-h", "--help"),
    error_code(0, "it has made its jobs, or was asked to end"),
    error_code(1, "it could not do its part; with --submit: the bus speaks version 0"),
    error_code(2, "the arguments make no sense")
)]
struct Arguments {
    /// seconds between two jobs; with -g, the mean (default: 5)
    #[argh(
        option,
        short = 'p',
        arg_name = "PERIOD",
        default = "AboveZero(Duration::from_secs(5))"
    )]
    period: AboveZero,

    /// wait a random time between two jobs, normally distributed, never less
    /// than 5 ms
    #[argh(switch, short = 'g')]
    gauss: bool,

    /// with -g, the standard deviation in seconds (default: 2)
    #[argh(option, short = 's', arg_name = "SIGMA", default = "Seconds(Duration::from_secs(2))")]
    sigma: Seconds,

    /// where the bus is (default: ws://localhost:8101)
    #[argh(option, arg_name = "URL", default = "BusUrl::local()")]
    bus: BusUrl,

    /// end after so many jobs (default: go on until INT or TERM)
    #[argh(option, arg_name = "N")]
    count: Option<AtLeastOne>,

    /// the seed of all that is random, to repeat a run (default: any)
    #[argh(option, arg_name = "N")]
    seed: Option<u64>,

    /// the priorities of jobs; lower is more urgent (default: 0..10)
    #[argh(option, arg_name = "A..B", default = "PriorityRange(0..=10)")]
    priority: PriorityRange,

    /// the runtimes of jobs in seconds (default: 3..15)
    #[argh(option, arg_name = "A..B", default = "default_runtime()")]
    runtime: SecondsRange,

    /// speak version 1: the bus queues each job, and what becomes of it is
    /// logged. After --count jobs wait until all have ended; print a table of
    /// outcomes and times at the end
    #[argh(switch)]
    submit: bool,

    /// print the version
    #[argh(switch)]
    version: bool,
}

impl Versioned for Arguments {
    fn version(&self) -> bool {
        self.version
    }
}

fn default_runtime() -> SecondsRange {
    SecondsRange(Duration::from_secs(3)..=Duration::from_secs(15))
}

fn main() -> ExitCode {
    let _last_words = cli::LastWords;
    let arguments: Arguments = cli::arguments("producer");
    cli::log_to_stderr("info");
    let shutdown = match Shutdown::on_signals() {
        Ok(shutdown) => shutdown,
        Err(why) => {
            error!("cannot take over INT and TERM: {why}");
            return ExitCode::FAILURE;
        }
    };
    if arguments.submit {
        return smol::block_on(submit_and_follow(arguments, &shutdown));
    }
    smol::block_on(produce(arguments, &shutdown))
}

async fn submit_and_follow(arguments: Arguments, shutdown: &Shutdown) -> ExitCode {
    let count = arguments.count.map(|AtLeastOne(count)| count);
    let bus = arguments.bus.clone();
    let mut submitter = Submitter::new(workload(arguments), count);
    let done = shutdown.or_done(submitter.run(bus)).await;
    info!("ending after {} jobs", submitter.made());
    let lines = submitter.tally().lines(submitter.open(), table::width());
    cli::until_told();
    cli::print_line(lines.join("\n"));
    match done {
        Some(Err(why)) => {
            error!("{why}");
            ExitCode::FAILURE
        }
        Some(Ok(())) | None => ExitCode::SUCCESS,
    }
}

async fn produce(arguments: Arguments, shutdown: &Shutdown) -> ExitCode {
    let count = arguments.count.map(|AtLeastOne(count)| count);
    let client = BusClient::open(ClientConfig::new(arguments.bus.clone(), Role::Producer));
    let mut workload = workload(arguments);
    let mut made = 0;
    shutdown.or_done(submit(&client, &mut workload, count, &mut made)).await;
    info!("ending after {made} jobs");
    let stats = client.close().await;
    if stats.unsent > 0 {
        error!("{} of them never reached the bus", stats.unsent);
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn workload(arguments: Arguments) -> Workload {
    let seed = arguments.seed.unwrap_or_else(|| fastrand::u64(..));
    info!("seed {seed}");
    Workload {
        priorities: arguments.priority.0,
        runtimes: arguments.runtime.0,
        period: arguments.period.0,
        sigma: arguments.gauss.then_some(arguments.sigma.0),
        random: fastrand::Rng::with_seed(seed),
    }
}

async fn submit(client: &BusClient, workload: &mut Workload, count: Option<u32>, made: &mut u32) {
    while count.is_none_or(|count| *made < count) {
        let job = workload.job();
        if client.send_job(&job).await.is_err() {
            return;
        }
        *made = made.saturating_add(1);
        let (priority, runtime) = (job.priority, job.runtime.as_secs_f64());
        if count == Some(*made) {
            info!("job {made}: priority {priority}, runtime {runtime} s; the last one");
            return;
        }
        let wait = workload.wait();
        let seconds = wait.as_secs_f64();
        info!("job {made}: priority {priority}, runtime {runtime} s; next in {seconds:.3} s");
        Timer::after(wait).await;
    }
}
