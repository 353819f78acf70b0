//! The bus: takes the jobs of producers, and gives them to schedulers.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use argh::FromArgs;
use sched_core::Policy;
use sched_core::bus::BrokerEvent;
use sched_runtime_smol::bus::{
    BindError, BusConfig, BusEvent, BusFailed, BusServer, BusStats, LARGEST_FRAME,
};
use tools::cli::{self, Shutdown, Versioned, policy};
use tracing::{error, info};

/// The bus: a WebSocket server where producers submit jobs and schedulers
/// take them. Version 1 of its protocol queues jobs, gives each to one
/// scheduler at a time, and tells what became of it. For clients of version 0
/// a job goes to every scheduler that is connected, and is dropped when there
/// is none.
///
/// It prints the address it listens on to stdout, and its log to stderr;
/// RUST_LOG sets how much (default: info).
#[derive(FromArgs)]
#[argh(help_triggers("-h", "--help"))]
struct Arguments {
    /// where to listen; port 0 takes any that is free (default: 127.0.0.1:8101)
    #[argh(option, arg_name = "ADDR:PORT", default = "DEFAULT_LISTEN", from_str_fn(listen))]
    listen: SocketAddr,

    /// the greatest message that is taken, in bytes (default: 1048576)
    #[argh(option, arg_name = "BYTES", default = "1024 * 1024", from_str_fn(frame_size))]
    max_frame: usize,

    /// a further name by which clients address this bus, beside localhost and
    /// IP addresses; may be given several times
    #[argh(option, arg_name = "NAME")]
    allow_host: Vec<String>,

    /// keep the jobs in this directory, so that they survive the bus: a job is
    /// accepted once it is on disk (default: in memory, where they end with it)
    #[argh(option, arg_name = "DIR")]
    data: Option<PathBuf>,

    /// queue the jobs of version 0 producers as well, and pass none of them on
    /// to version 0 schedulers
    #[argh(switch)]
    queue_job_requests: bool,

    /// the rules for jobs that do not say otherwise: durable (an evicted job
    /// comes back, failures are tried three times, waiting jobs gain urgency)
    /// or seed (an evicted job is dropped, one attempt, no aging) (default:
    /// durable)
    #[argh(option, arg_name = "POLICY", default = "Policy::durable()", from_str_fn(policy))]
    policy: Policy,

    /// print the version
    #[argh(switch)]
    version: bool,
}

const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8101);

impl Versioned for Arguments {
    fn version(&self) -> bool {
        self.version
    }
}

fn main() -> ExitCode {
    let _last_words = cli::LastWords;
    let arguments: Arguments = cli::arguments("bus");
    cli::log_to_stderr("info");
    match smol::block_on(serve(arguments)) {
        Ok(stats) => {
            conclude(&stats);
            ExitCode::SUCCESS
        }
        Err(why) => {
            error!("{why}");
            ExitCode::FAILURE
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Bind(#[from] BindError),
    #[error("cannot take over INT and TERM: {0}")]
    Signals(std::io::Error),
    #[error(transparent)]
    Failed(#[from] BusFailed),
}

async fn serve(arguments: Arguments) -> Result<BusStats, Failure> {
    let shutdown = Shutdown::on_signals().map_err(Failure::Signals)?;
    let usual = BusConfig::new(arguments.listen);
    let config = BusConfig {
        max_frame: arguments.max_frame,
        // A few of the greatest messages must fit.
        outbox_bytes: usual.outbox_bytes.max(4 * arguments.max_frame),
        allowed_hosts: arguments.allow_host,
        data: arguments.data,
        queue_job_requests: arguments.queue_job_requests,
        policy: arguments.policy,
        ..usual
    };
    let mode = mode(config.data.as_deref());
    let server = BusServer::bind(config).await?;
    cli::tell_line(server.local_addr());
    info!("the bus listens at ws://{}/; {mode}", server.local_addr());
    let (handle, events) = (server.handle(), server.events());
    let running = smol::spawn(server.run());
    shutdown
        .or_done(async {
            while let Ok(event) = events.recv().await {
                tell(&event);
            }
        })
        .await;
    info!("stopping; a second INT or TERM stops at once");
    handle.shutdown();
    Ok(running.await?)
}

/// Faults are logged where they are found; here is what people watch a bus for.
fn tell(event: &BusEvent) {
    if let BusEvent::Broker(BrokerEvent::RolesChanged { producers, schedulers }) = event {
        info!("{producers} producers, {schedulers} schedulers");
    }
}

fn mode(data: Option<&Path>) -> String {
    match data {
        Some(directory) => format!("jobs are kept in {}", directory.display()),
        None => "jobs are kept in memory, and end with it".to_owned(),
    }
}

fn conclude(stats: &BusStats) {
    let (bus, jobs, queue) = (stats, stats.broker, stats.exchange);
    info!(
        "queue: {} jobs accepted, {} refused; {} finished, {} failed, {} timed out, {} evicted, {} \
         cancelled, {} expired, {} not started, {} lost; {} wait, {} are with schedulers",
        queue.accepted,
        queue.refused,
        queue.finished,
        queue.failed,
        queue.timed_out,
        queue.evicted,
        queue.cancelled,
        queue.expired,
        queue.spawn_failed,
        queue.lost,
        queue.pending,
        queue.running
    );
    info!(
        "stopped after {} jobs from {} clients: {} copies passed on, {} jobs dropped because no \
         scheduler was there, {} faults, {} slow clients closed",
        jobs.jobs, bus.connected, jobs.transmitted, jobs.dropped, jobs.faults, bus.slow_consumers
    );
}

/// `localhost` is taken for what it nearly always is, without asking a resolver.
fn listen(text: &str) -> Result<SocketAddr, String> {
    let address = match text.strip_prefix("localhost:") {
        Some(port) => port.parse().map(|port| (Ipv4Addr::LOCALHOST, port).into()).ok(),
        None => text.parse().ok(),
    };
    address.ok_or_else(|| format!("{text:?} is not an address such as 127.0.0.1:8101"))
}

fn frame_size(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(bytes @ 64..=LARGEST_FRAME) => Ok(bytes),
        _ => Err(format!("{text:?} is not a number of bytes from 64 to {LARGEST_FRAME}")),
    }
}
