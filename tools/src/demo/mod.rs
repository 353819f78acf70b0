//! Bus, scheduler and producer in one process, to be watched.

mod picture;
mod screen;

use std::error::Error;
use std::io::{self, IsTerminal};
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::time::Duration;

use futures_lite::FutureExt;
use sched_core::Policy;
use sched_core::bus::Role;
use sched_runtime_smol::Scheduler;
use sched_runtime_smol::bus::{BusClient, BusConfig, BusServer, BusUrl, ClientConfig};
use sched_runtime_smol::scheduler::Subscription;
use smol::Timer;

pub use self::picture::Picture;
use self::screen::Screen;
use crate::cli::{Shutdown, print_line};
use crate::narrate::{InWords, Loudness};
use crate::worker::{Terms, Worker, tell_story};
use crate::workload::Workload;

/// How often the picture is drawn anew.
const FRAME: Duration = Duration::from_millis(100);

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
    let server =
        BusServer::bind(BusConfig::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))).await?;
    let url: BusUrl = format!("ws://{}/", server.local_addr()).parse()?;
    let bus = server.handle();
    let serving = smol::spawn(server.run());
    let Plan { seed, period, length, .. } = &plan;
    let address = url.as_str();
    print_line(format_args!(
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
    let scheduler = worker.scheduler().clone();
    let watching = smol::spawn(watch(scheduler.clone(), story, plan.slots.get()));

    let producer = BusClient::open(ClientConfig::new(url, Role::Producer));
    let play = async {
        produce(&producer, &plan).await;
        let_run_dry(&scheduler).await;
    };
    shutdown.or_done(play.or(worker.serve())).await;
    producer.close().await;
    drop(scheduler);
    let report = worker.end(shutdown.urged()).await;
    watching.await;
    bus.shutdown();
    serving.await;
    if let Some(summary) = &report.summary {
        print_line(InWords(summary));
    }
    Ok(())
}

/// Submits jobs for as long as the plan says.
async fn produce(producer: &BusClient, plan: &Plan) {
    let mut workload = Workload {
        priorities: 0..=10,
        runtimes: Duration::from_millis(500)..=Duration::from_millis(4000),
        period: plan.period,
        sigma: Some(plan.period / 2),
        random: fastrand::Rng::with_seed(plan.seed),
    };
    let submit = async {
        while producer.send_job(&workload.job()).await.is_ok() {
            Timer::after(workload.wait()).await;
        }
    };
    let enough = async {
        Timer::after(plan.length).await;
    };
    submit.or(enough).await;
}

/// Waits until nothing runs and nothing waits.
async fn let_run_dry(scheduler: &Scheduler) {
    let is_dry = || {
        scheduler.inspect(|manager, _| {
            manager.bins().all(|bin| bin.running() + bin.pending() + bin.backing_off() == 0)
        })
    };
    while is_dry().await == Ok(false) {
        Timer::after(FRAME).await;
    }
}

/// Shows what the scheduler does, until it has ended: a live picture on a
/// terminal, else lines.
async fn watch(scheduler: Scheduler, story: Subscription, slots: usize) {
    if io::stdout().is_terminal() {
        drop(story);
        draw(scheduler).await;
    } else {
        drop(scheduler);
        tell_story(story, slots, |loudness, line| {
            if loudness != Loudness::Detail {
                print_line(line);
            }
        })
        .await;
    }
}

async fn draw(scheduler: Scheduler) {
    let mut screen = Screen::new();
    while let Ok(picture) = scheduler.inspect(Picture::take).await {
        screen.draw(&picture);
        Timer::after(FRAME).await;
    }
}
