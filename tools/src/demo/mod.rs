//! Bus, scheduler and producer in one process, to be watched.

use std::convert::Infallible;
use std::error::Error;
use std::io::{self, IsTerminal};
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::time::Duration;

use async_channel::Sender;
use futures_lite::FutureExt;
use sched_core::Policy;
use sched_core::bus::Role;
use sched_core::bus::v1::Counters;
use sched_runtime_smol::bus::{BusClient, BusConfig, BusServer, BusStats, BusUrl, ClientConfig};
use sched_runtime_smol::scheduler::Subscription;
use smol::{Task, Timer};

use crate::cli::{Shutdown, tell_line, until_told};
use crate::narrate::{InWords, Loudness};
use crate::sched::top;
use crate::worker::{Terms, Worker, tell_story};
use crate::workload::Workload;

/// How soon it is noticed that the view was left.
const LOOK: Duration = Duration::from_millis(50);

/// How long the view may take to go away.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is shown.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How many jobs run at once.
    pub slots: NonZeroUsize,
    /// The mean time between two jobs.
    pub period: Duration,
    /// How long new jobs come.
    pub length: Duration,
    /// The seed of all that is random.
    pub seed: u64,
}

/// Runs the demo to its end, or to the first INT or TERM.
///
/// # Errors
///
/// The bus or the scheduler cannot be started here.
pub async fn run(plan: Plan) -> Result<(), Box<dyn Error>> {
    let shutdown = Shutdown::with_children()?;
    let config = BusConfig {
        // A job that comes before the scheduler does would be dropped otherwise,
        // and the demo waits for the end of every job.
        queue_job_requests: true,
        ..BusConfig::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
    };
    let server = BusServer::bind(config).await?;
    let listens = server.local_addr();
    let url: BusUrl = format!("ws://{listens}/").parse()?;
    let bus = server.handle();
    let serving = smol::spawn(server.run());
    let Plan { seed, period, length, .. } = &plan;
    let address = url.as_str();
    tell_line(format_args!("page at http://{listens}/"));
    tell_line(format_args!(
        "bus at {address}, seed {seed}: a job every {period:?} or so, for {length:?}"
    ));

    let policy = Policy { aging: None, grace: Duration::from_secs(2), ..Policy::durable() };
    let terms = Terms {
        name: "demo".into(),
        slots: plan.slots,
        time_limit: Some(Duration::from_secs(30)),
        policy,
        allow: Vec::new(),
    };
    let (worker, story) = Worker::start(url.clone(), terms).await?;
    let (over, end) = async_channel::bounded(1);
    let view = if io::stdout().is_terminal() {
        drop(story);
        // Not across the picture.
        until_told();
        let (url, shutdown) = (url.clone(), shutdown.clone());
        let is_over = move || shutdown.is_asked() || end.is_closed();
        // The terminal may be halted, and nobody else waits for that.
        smol::unblock(move || smol::block_on(top(url, is_over)))
    } else {
        let slots = plan.slots.get();
        smol::spawn(async move {
            tell(story, slots).await;
            Ok(())
        })
    };
    let producer = BusClient::open(ClientConfig::new(url, Role::Producer));
    let play = async {
        let jobs = produce(&producer, &plan).await;
        let is_done = move |now: &BusStats| {
            let Counters { accepted, refused, pending, running, .. } = now.exchange;
            accepted + refused >= jobs && pending + running == 0
        };
        bus.until(is_done).await;
    };
    shutdown.or_done(play.or(worker.serve()).or(watched(&view))).await;
    drop::<Sender<Infallible>>(over);
    producer.close().await;
    let report = worker.end(shutdown.urged()).await;
    let seen = view.or(halted()).await;
    bus.shutdown();
    serving.await?;
    tell_line(InWords(&report.summary));
    seen.map_err(Into::into)
}

/// Waits until whoever watches has seen enough.
async fn watched<T>(view: &Task<T>) {
    while !view.is_finished() {
        Timer::after(LOOK).await;
    }
}

/// A view that takes so long to go away is in front of a terminal that takes
/// nothing.
async fn halted<T>() -> Result<(), T> {
    Timer::after(PATIENCE).await;
    Ok(())
}

/// Submits jobs for as long as the plan says; returns how many.
async fn produce(producer: &BusClient, plan: &Plan) -> u64 {
    let mut workload = Workload {
        priorities: 0..=10,
        runtimes: Duration::from_millis(500)..=Duration::from_millis(4000),
        period: plan.period,
        sigma: Some(plan.period / 2),
        random: fastrand::Rng::with_seed(plan.seed),
    };
    let mut jobs = 0;
    let submit = async {
        while producer.send_job(&workload.job()).await.is_ok() {
            jobs += 1;
            Timer::after(workload.wait()).await;
        }
    };
    let enough = async {
        Timer::after(plan.length).await;
    };
    submit.or(enough).await;
    jobs
}

/// What the scheduler does, a line each, until it has ended.
async fn tell(story: Subscription, slots: usize) {
    tell_story(story, slots, |loudness, line| {
        if loudness != Loudness::Detail {
            tell_line(line);
        }
    })
    .await;
}
