//! A scheduler on a bus: what the bus assigns, runs here.

use std::collections::BTreeMap;
use std::fmt;
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use futures_lite::FutureExt;
use futures_lite::future::poll_once;
use sched_core::bus::v1::{HeardOptions, ReportState};
use sched_core::bus::{Identity, JobReport, Role, SessionEvent};
use sched_core::{
    Event, EventKind, ExitStatus, JobId, JobSpec, LeaseId, OnEvict, Outcome, Policy, Priority,
};
use smol::Timer;

use super::{BusUrl, ClientConfig, SessionClient};
use crate::process::{Command, SpawnerError};
use crate::scheduler::{Ended, JobHandle, Notice, Scheduler, SchedulerGone, Subscription, Summary};

/// How much of what a job wrote goes with its report, in bytes.
const OUTPUT_REPORTED: usize = 4096;

/// How long an agent that ends waits for its last reports to be answered.
const LAST_WORDS: Duration = Duration::from_secs(2);

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
/// leases have lapsed it ends them. With a bus of version 0 every payload is a
/// job, and nobody is told.
pub struct Agent {
    scheduler: Scheduler,
    client: SessionClient,
    story: Subscription,
    translate: Translate,
    held: Holding,
    counts: AgentCounts,
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
    /// Leases that ended before their jobs did.
    pub revoked: u64,
}

/// The jobs of the bus that are here.
#[derive(Debug, Default)]
struct Holding {
    jobs: BTreeMap<JobId, Held>,
    leases: BTreeMap<LeaseId, JobId>,
}

#[derive(Debug)]
struct Held {
    handle: JobHandle,
    /// Its id on the bus.
    bus_job: JobId,
    lease: LeaseId,
    /// How urgent it is while it runs; `None`: it is not to be evicted.
    level: Option<i64>,
}

enum Wake {
    Heard(Option<SessionEvent>),
    Story(Option<Notice>),
}

impl Agent {
    /// Starts a scheduler, and connects to the bus in the background.
    ///
    /// # Errors
    ///
    /// This machine cannot run so many processes at once, or the scheduler
    /// has ended at once.
    pub async fn start(config: AgentConfig, translate: Translate) -> Result<Self, AgentError> {
        let scheduler = Scheduler::start(config.slots, config.policy)?;
        let story = scheduler.subscribe().await?;
        let slots = u32::try_from(config.slots.get()).unwrap_or(u32::MAX);
        let identity = Identity { role: "scheduler", name: config.name, slots };
        let client = SessionClient::open(ClientConfig::new(config.bus, Role::Scheduler), identity);
        let (held, counts) = (Holding::default(), AgentCounts::default());
        Ok(Self { scheduler, client, story, translate, held, counts })
    }

    /// Its scheduler, to look at.
    #[must_use]
    pub const fn scheduler(&self) -> &Scheduler {
        &self.scheduler
    }

    /// What it has counted.
    #[must_use]
    pub const fn counts(&self) -> AgentCounts {
        self.counts
    }

    /// Serves the bus, for as long as it is polled. May be dropped and called
    /// again: it waits for nothing but the next thing to do.
    pub async fn serve(&mut self) {
        loop {
            match self.wake().await {
                Wake::Heard(None) | Wake::Story(None) => return,
                wake => self.handle(wake).await,
            }
        }
    }

    /// Takes nothing new, ends what runs, each with its grace period, which
    /// ends when `hurry` does, and reports it; then leaves the bus in order.
    pub async fn end(mut self, hurry: impl Future<Output = ()>) -> (Option<Summary>, AgentCounts) {
        let scheduler = self.scheduler.clone();
        let ending = async move {
            let patient = scheduler.stop();
            let hurried = async {
                hurry.await;
                scheduler.kill().await
            };
            patient.or(hurried).await
        };
        let mut ending = Box::pin(ending);
        let summary = loop {
            let ended = async { Err(ending.as_mut().await) };
            match ended.or(async { Ok(self.wake().await) }).await {
                Err(summary) => break summary,
                // Nothing more will be told.
                Ok(Wake::Story(None) | Wake::Heard(None)) => break ending.await,
                Ok(wake) => self.handle_late(wake).await,
            }
        };
        while let Some(Some(notice)) = poll_once(self.story.next()).await {
            self.handle_late(Wake::Story(Some(notice))).await;
        }
        self.wait_for_answers().await;
        self.client.close().await;
        (summary, self.counts)
    }

    async fn wake(&mut self) -> Wake {
        let story = &mut self.story;
        let story = async { Wake::Story(story.next().await) };
        let heard = async { Wake::Heard(self.client.next_event().await) };
        story.or(heard).await
    }

    async fn handle(&mut self, wake: Wake) {
        match wake {
            Wake::Heard(Some(event)) => self.hear(event).await,
            Wake::Story(Some(Notice::Event(event))) => self.follow(&event).await,
            Wake::Story(Some(Notice::Missed(_))) => self.look_after_all().await,
            Wake::Heard(None) | Wake::Story(None) => {}
        }
    }

    /// While ending: nothing new is begun.
    async fn handle_late(&mut self, wake: Wake) {
        match wake {
            Wake::Heard(Some(SessionEvent::Assigned { job, lease, .. })) => {
                let reason = Some("the scheduler is leaving".to_owned());
                self.report(job, lease, ReportState::Cancelled, reason).await;
            }
            Wake::Heard(_) => {}
            wake => self.handle(wake).await,
        }
    }

    async fn wait_for_answers(&mut self) {
        let client = self.client.clone();
        let all = async {
            while client.call(|session, _| session.is_up() && session.unanswered() > 0).await
                == Ok(true)
            {
                // Answers make no events of their own: beats do, and time.
                Timer::after(Duration::from_millis(5)).await;
                while let Some(Some(_)) = poll_once(client.next_event()).await {}
            }
        };
        let long_enough = async {
            Timer::after(LAST_WORDS).await;
        };
        all.or(long_enough).await;
    }

    async fn hear(&mut self, event: SessionEvent) {
        match event {
            SessionEvent::Assigned { job, lease, attempt, payload, opts } => {
                self.counts.offered += 1;
                self.take(job, lease, attempt, &payload, opts).await;
            }
            SessionEvent::Payload(payload) => self.take_old(&payload).await,
            SessionEvent::Revoked { lease, .. } => self.end_run(lease).await,
            SessionEvent::Welcomed { welcome, resumed } => {
                let again = if resumed { " again" } else { "" };
                let kept = if welcome.durable { "on disk" } else { "in memory" };
                tracing::info!(
                    "the bus speaks version 1 and keeps its jobs {kept}; session {}{again}",
                    welcome.session
                );
            }
            SessionEvent::OldBus => tracing::info!(
                "the bus speaks version 0: every job is taken, and nobody is told of it"
            ),
            SessionEvent::Refused { message, .. } => tracing::warn!("the bus refuses: {message}"),
            SessionEvent::Nonsense(why) => tracing::warn!("{why}"),
            SessionEvent::Accepted { .. }
            | SessionEvent::Done { .. }
            | SessionEvent::Unknown { .. }
            | SessionEvent::Job(_)
            | SessionEvent::Snapshot(_) => {}
        }
    }

    /// A job of a bus of version 1.
    async fn take(
        &mut self,
        bus_job: JobId,
        lease: LeaseId,
        attempt: u32,
        payload: &str,
        opts: HeardOptions,
    ) {
        let wanted = match (self.translate)(payload) {
            Ok(wanted) => wanted,
            Err(why) => {
                self.counts.declined += 1;
                tracing::warn!("{bus_job} declined: {why}");
                return self.report(bus_job, lease, ReportState::Declined, Some(why)).await;
            }
        };
        let level = opts.level.unwrap_or_else(|| i64::from(wanted.priority.number()));
        let command = wanted
            .command
            .env("SCHED_JOB", bus_job.to_string())
            .env("SCHED_ATTEMPT", attempt.to_string());
        let spec = JobSpec {
            time_limit: opts.submitted.timeout_ms.map(Duration::from_millis).or(wanted.time_limit),
            on_evict: Some(OnEvict::Drop),
            max_attempts: Some(NonZeroU32::MIN),
            ..JobSpec::new(wanted.priority, command).level(level).shielded(opts.shielded)
        };
        match self.scheduler.submit(spec).await {
            Ok(handle) => {
                tracing::info!("{bus_job} of the bus is {} here", handle.id());
                let level = (!opts.shielded).then_some(level);
                self.held.leases.insert(lease, handle.id());
                self.held.jobs.insert(handle.id(), Held { handle, bus_job, lease, level });
                self.offer().await;
            }
            Err(why) => {
                self.counts.refused += 1;
                let reason = Some(why.to_string());
                self.report(bus_job, lease, ReportState::Cancelled, reason).await;
            }
        }
    }

    /// A job of a bus of version 0.
    async fn take_old(&mut self, payload: &str) {
        self.counts.offered += 1;
        match (self.translate)(payload) {
            Err(why) => {
                self.counts.declined += 1;
                tracing::warn!("payload refused: {why}: {}", excerpt(payload));
            }
            Ok(wanted) => {
                let spec = JobSpec {
                    time_limit: wanted.time_limit,
                    ..JobSpec::new(wanted.priority, wanted.command)
                };
                if let Err(why) = self.scheduler.submit(spec).await {
                    self.counts.refused += 1;
                    tracing::warn!("job refused: {why}");
                }
            }
        }
    }

    /// A lease has ended, or is to: its run is ended, and reported as any other.
    async fn end_run(&mut self, lease: LeaseId) {
        let Some(job) = self.held.leases.get(&lease).copied() else { return };
        self.counts.revoked += 1;
        // It may have ended meanwhile: then its report is under way.
        let _ = self.scheduler.cancel(job).await;
    }

    async fn follow(&mut self, event: &Event) {
        match &event.kind {
            EventKind::Started { job, .. } => {
                if let Some((bus_job, lease)) =
                    self.held.jobs.get(job).map(|it| (it.bus_job, it.lease))
                {
                    self.report(bus_job, lease, ReportState::Started, None).await;
                }
            }
            EventKind::Ended { job, .. } => {
                if let Some(held) = self.held.take(*job) {
                    if let Ok(ended) = held.handle.ended().await {
                        self.report_end(&held, &ended).await;
                    }
                    self.offer().await;
                }
            }
            _ => {}
        }
    }

    /// Some events are missing: perhaps the end of a job.
    async fn look_after_all(&mut self) {
        let jobs: Vec<JobId> = self.held.jobs.keys().copied().collect();
        for job in jobs {
            let Some(held) = self.held.jobs.get(&job) else { continue };
            if let Some(Ok(ended)) = poll_once(held.handle.ended()).await {
                if let Some(held) = self.held.take(job) {
                    self.report_end(&held, &ended).await;
                }
            }
        }
        self.offer().await;
    }

    async fn report_end(&mut self, held: &Held, ended: &Ended) {
        let (state, exit) = told(&ended.outcome);
        let by = match &ended.outcome {
            Outcome::Evicted { by, .. } => self.held.jobs.get(by).map(|it| it.bus_job),
            _ => None,
        };
        let reason = match &ended.outcome {
            Outcome::SpawnFailed(why) => Some(why.message.clone()),
            _ => None,
        };
        let output = ended.output.as_ref().filter(|it| !it.bytes.is_empty()).map(|it| {
            let from = it.bytes.len().saturating_sub(OUTPUT_REPORTED);
            String::from_utf8_lossy(it.bytes.get(from..).unwrap_or_default()).into_owned()
        });
        let (job, lease, ran) = (held.bus_job, held.lease, ended.tally.ran);
        self.send(JobReport { job, lease, state, exit, by, ran, reason, output }).await;
    }

    async fn report(
        &mut self,
        job: JobId,
        lease: LeaseId,
        state: ReportState,
        reason: Option<String>,
    ) {
        let (exit, by, ran, output) = (None, None, Duration::ZERO, None);
        self.send(JobReport { job, lease, state, exit, by, ran, reason, output }).await;
    }

    async fn send(&self, report: JobReport) {
        if self.client.call(move |session, _| session.report(&report)).await.is_err() {
            tracing::debug!("a report was not made: the client of the bus is closed");
        }
    }

    /// Tells the bus what is free, and what may be evicted.
    async fn offer(&self) {
        let floor = self.held.jobs.values().filter_map(|it| it.level).max();
        let floor = floor.map(|level| {
            i32::try_from(level).unwrap_or(if level < 0 { i32::MIN } else { i32::MAX })
        });
        let busy = u32::try_from(self.held.jobs.len()).unwrap_or(u32::MAX);
        let offer = self.client.call(move |session, now| {
            let free = session.slots().saturating_sub(busy);
            session.offer(now, free, floor);
        });
        // A client that is closed has nobody to offer to.
        let _ = offer.await;
    }
}

impl Holding {
    fn take(&mut self, job: JobId) -> Option<Held> {
        let held = self.jobs.remove(&job)?;
        self.leases.remove(&held.lease);
        Some(held)
    }
}

/// What is reported of an outcome.
const fn told(outcome: &Outcome) -> (ReportState, Option<ExitStatus>) {
    match outcome {
        Outcome::Finished => (ReportState::Finished, Some(ExitStatus::Code(0))),
        Outcome::Failed(exit) => (ReportState::Failed, Some(*exit)),
        Outcome::TimedOut { exit, .. } => (ReportState::TimedOut, Some(*exit)),
        Outcome::Evicted { exit, .. } => (ReportState::Evicted, Some(*exit)),
        Outcome::Cancelled { exit } => (ReportState::Cancelled, *exit),
        Outcome::Expired => (ReportState::Cancelled, None),
        Outcome::SpawnFailed(_) => (ReportState::SpawnFailed, None),
        Outcome::Lost => (ReportState::Failed, Some(ExitStatus::Unknown)),
    }
}

/// The beginning of a payload, for a message.
fn excerpt(payload: &str) -> String {
    const SHOWN: usize = 80;
    match payload.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{:?}…", &payload[..end]),
        None => format!("{payload:?}"),
    }
}

impl fmt::Debug for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agent")
            .field("held", &self.held)
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}
