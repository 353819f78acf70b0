//! A scheduler on a bus: what the bus assigns, runs here.

mod serving;
mod story;

use std::convert::Infallible;
use std::fmt;
use std::num::NonZeroUsize;
use std::time::Duration;

use async_channel::{Receiver, Sender};
use sched_core::bus::{Identity, Role};
use sched_core::{Policy, Priority};
use smol::Task;

use self::serving::Serving;
use self::story::Story;
use super::{BusUrl, ClientConfig, SessionClient};
use crate::process::{Command, Guard, SpawnerError};
use crate::scheduler::{Scheduler, SchedulerGone, Subscription, Summary};

/// A bus that is silent for so long, twice, is given up, so that another
/// connection can be made before the leases lapse. A bus of version 1 answers
/// beats more often than that.
const SILENCE: Duration = Duration::from_secs(6);

/// What an [`Agent`] is.
#[derive(Clone, Debug)]
pub struct AgentConfig {
    /// Where the bus is.
    pub bus: BusUrl,
    /// What people call this scheduler.
    pub name: String,
    /// How many jobs run at once.
    pub slots: NonZeroUsize,
    /// The rules for the jobs of a bus of version 0. A bus of version 1
    /// decides itself; of these rules the grace period counts then.
    pub policy: Policy,
}

/// What a payload asks for.
#[derive(Debug)]
pub struct Wanted {
    /// How urgent it is.
    pub priority: Priority,
    /// What to run.
    pub command: Command,
    /// How long a run may take, where the bus says nothing about it.
    pub time_limit: Option<Duration>,
}

/// Makes a command of a payload, or says why this scheduler does not run it.
pub type Translate = Box<dyn Fn(&str) -> Result<Wanted, String> + Send + Sync>;

/// A [`Scheduler`] that serves a bus.
///
/// With a bus of version 1 its slots are the bus's: it holds a lease for each
/// job, renews them, and reports what becomes of the jobs, until the reports
/// are answered. Its runs go on through a short loss of the bus; when their
/// leases have lapsed it ends them; while its machine is suspended the leases of a
/// bus on another one go on. With a bus of version 0 every payload is a
/// job, and nobody is told.
///
/// Where this program is killed, a [`Guard`] ends the jobs, so that none has two
/// processes when its lease is over and another scheduler has it.
///
/// It serves on a task of its own, which finishes what it has begun: a job that
/// ends is reported, whatever its owner waits for.
pub struct Agent {
    scheduler: Scheduler,
    task: Task<Serving>,
    /// Closed to tell the task to begin, and to come back.
    begin: Sender<Infallible>,
    stop: Sender<Infallible>,
    /// Closed by the task.
    ended: Receiver<Infallible>,
}

/// Why an agent could not be started.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// This machine cannot run so many processes at once.
    #[error(transparent)]
    Spawner(#[from] SpawnerError),
    /// The scheduler has ended at once.
    #[error(transparent)]
    Gone(#[from] SchedulerGone),
}

/// What an agent has counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct AgentCounts {
    /// Jobs that were offered.
    pub offered: u64,
    /// Of them: declined, because this scheduler does not run such jobs.
    pub declined: u64,
    /// Of them: not accepted for another reason.
    pub refused: u64,
    /// Of them: not looked at, because the scheduler was ending.
    pub late: u64,
    /// Leases that ended before their jobs did.
    pub revoked: u64,
}

impl Agent {
    /// Starts a scheduler, and connects to the bus in the background. What
    /// happens is told as by [`Scheduler::subscribe`], but a bus of version 1
    /// has named the jobs.
    ///
    /// # Errors
    ///
    /// This machine cannot run so many processes at once, or the scheduler
    /// has ended at once.
    pub async fn start(
        config: AgentConfig,
        translate: Translate,
    ) -> Result<(Self, Subscription), AgentError> {
        let guard = Guard::post().await;
        let guard =
            guard.inspect_err(|why| tracing::warn!("jobs would outlive this program: {why}"));
        let grace = config.policy.grace;
        let scheduler = Scheduler::start(config.slots, config.policy)?;
        let events = scheduler.subscribe().await?;
        let (telling, story) = Story::new();
        let slots = u32::try_from(config.slots.get()).unwrap_or(u32::MAX);
        let identity = Identity { role: "scheduler", name: config.name, slots };
        let link =
            ClientConfig { ping_after: SILENCE, ..ClientConfig::new(config.bus, Role::Scheduler) };
        let client = SessionClient::open(link, identity);
        let story_told = (events, telling);
        let serving =
            Serving::new(scheduler.clone(), client, story_told, translate, guard.ok(), grace);
        let (begin, begun) = async_channel::bounded(1);
        let (stop, stopped) = async_channel::bounded(1);
        let (alive, ended) = async_channel::bounded(1);
        let task = smol::spawn(serving.run(begun, stopped, alive));
        Ok((Self { scheduler, task, begin, stop, ended }, story))
    }

    /// Its scheduler, to look at.
    #[must_use]
    pub const fn scheduler(&self) -> &Scheduler {
        &self.scheduler
    }

    /// Serves the bus from the first call on, until [`end`](Self::end). It
    /// returns only if the scheduler or its client has ended by itself, and
    /// may be dropped before that.
    pub async fn serve(&self) {
        self.begin.close();
        let _closed = self.ended.recv().await;
    }

    /// Takes nothing new, ends what runs, each with its grace period, which
    /// ends when `hurry` does, and reports it; then leaves the bus in order.
    pub async fn end(self, hurry: impl Future<Output = ()>) -> (Summary, AgentCounts) {
        self.stop.close();
        self.task.await.end(hurry).await
    }
}

impl fmt::Debug for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agent").field("scheduler", &self.scheduler).finish_non_exhaustive()
    }
}
