//! What an agent does: jobs in, reports out.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::num::NonZeroU32;
use std::time::Duration;

use async_channel::{Receiver, Sender};
use futures_lite::FutureExt;
use futures_lite::future::poll_once;
use sched_core::bus::v1::{HeardOptions, ReportState};
use sched_core::bus::{JobReport, SessionEvent};
use sched_core::{
    Event, EventKind, ExitStatus, JobId, JobSpec, LeaseId, OnEvict, Outcome, SessionId, SlotId,
    StopCause,
};
use smol::Timer;

use super::super::SessionClient;
use super::story::Story;
use super::{AgentCounts, Translate};
use crate::process::{Command, Guard};
use crate::scheduler::{Ended, JobHandle, Notice, Scheduler, Subscription, Summary};

/// How much of what a job wrote goes with its report, in bytes.
const OUTPUT_REPORTED: usize = 4096;

/// How long an agent that ends waits for its last reports to be answered.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What serves the bus.
pub(super) struct Serving {
    scheduler: Scheduler,
    client: SessionClient,
    events: Subscription,
    story: Story,
    translate: Translate,
    guard: Option<Guard>,
    /// Between TERM and KILL.
    grace: Duration,
    /// Ours, with a bus of version 1.
    session: Option<SessionId>,
    held: Holding,
    counts: AgentCounts,
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
    /// The slot that it was given.
    slot: Option<SlotId>,
}

enum Wake {
    Heard(Option<SessionEvent>),
    Story(Option<Notice>),
}

impl Serving {
    pub(super) fn new(
        scheduler: Scheduler,
        client: SessionClient,
        (events, story): (Subscription, Story),
        translate: Translate,
        guard: Option<Guard>,
        grace: Duration,
    ) -> Self {
        Self {
            scheduler,
            client,
            events,
            story,
            translate,
            guard,
            grace,
            session: None,
            held: Holding::default(),
            counts: AgentCounts::default(),
        }
    }

    /// Serves between the two signals, and comes back.
    pub(super) async fn run(
        mut self,
        begin: Receiver<Infallible>,
        stop: Receiver<Infallible>,
        _alive: Sender<Infallible>,
    ) -> Self {
        let begun = async {
            let _closed = begin.recv().await;
        };
        let stopped = async {
            let _closed = stop.recv().await;
        };
        begun.or(stopped).await;
        loop {
            let stopped = async {
                let _closed = stop.recv().await;
                None
            };
            match stopped.or(async { Some(self.wake().await) }).await {
                None | Some(Wake::Heard(None) | Wake::Story(None)) => return self,
                Some(wake) => self.handle(wake).await,
            }
        }
    }

    pub(super) async fn end(mut self, hurry: impl Future<Output = ()>) -> (Summary, AgentCounts) {
        self.drain().await;
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
        while let Some(Some(notice)) = poll_once(self.events.next()).await {
            self.handle_late(Wake::Story(Some(notice))).await;
        }
        self.wait_for_answers().await;
        self.client.close().await;
        if let Some(guard) = self.guard {
            guard.dismiss();
        }
        (summary, self.counts)
    }

    async fn wake(&mut self) -> Wake {
        let events = &mut self.events;
        let story = async { Wake::Story(events.next().await) };
        let heard = async { Wake::Heard(self.client.next_event().await) };
        story.or(heard).await
    }

    async fn handle(&mut self, wake: Wake) {
        if let Wake::Story(Some(notice)) = &wake {
            self.story.pass_on(notice);
        }
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
                self.counts.late += 1;
                let reason = Some("the scheduler is leaving".to_owned());
                self.report(job, lease, ReportState::Declined, reason).await;
            }
            Wake::Heard(Some(SessionEvent::Payload(_))) => self.counts.late += 1,
            Wake::Heard(Some(SessionEvent::Welcomed { welcome, .. })) => {
                self.session = Some(welcome.session);
                self.drain().await;
            }
            // The bus gives the job to somebody else: it must not run here as well.
            Wake::Heard(Some(SessionEvent::Revoked { lease, .. })) => self.end_run(lease).await,
            Wake::Heard(_) => {}
            wake => self.handle(wake).await,
        }
    }

    /// Tells the bus to assign nothing more here: it would give back at once
    /// what is given back to it.
    async fn drain(&self) {
        let Some(session) = self.session.map(|session| session.to_string()) else { return };
        // A client that is closed is told nothing.
        let _ = self.client.call(move |client, _| client.admin("drain", Some(&session))).await;
    }

    /// Also for a bus that is away for a moment.
    async fn wait_for_answers(&mut self) {
        let client = self.client.clone();
        let open = || client.call(|session, _| !session.is_old() && session.unanswered() > 0);
        let all = async {
            while open().await == Ok(true) {
                // Answers make no events of their own.
                Timer::after(Duration::from_millis(5)).await;
                while let Some(Some(event)) = poll_once(client.next_event()).await {
                    self.handle_late(Wake::Heard(Some(event))).await;
                }
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
                self.session = Some(welcome.session);
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
        let command = self
            .guarded(wanted.command)
            .env_above_all("SCHED_JOB", bus_job.to_string())
            .env_above_all("SCHED_ATTEMPT", attempt.to_string());
        let spec = JobSpec {
            time_limit: opts.submitted.timeout_ms.map(Duration::from_millis).or(wanted.time_limit),
            on_evict: Some(OnEvict::Drop),
            max_attempts: Some(NonZeroU32::MIN),
            ..JobSpec::new(wanted.priority, command).level(level).shielded(opts.shielded)
        };
        match self.scheduler.submit(spec).await {
            Ok(handle) => {
                self.story.name(handle.id(), bus_job);
                let level = (!opts.shielded).then_some(level);
                self.held.leases.insert(lease, handle.id());
                let held = Held { handle, bus_job, lease, level, slot: None };
                self.held.jobs.insert(held.handle.id(), held);
                self.offer().await;
            }
            Err(why) => {
                self.counts.refused += 1;
                let reason = Some(why.to_string());
                self.report(bus_job, lease, ReportState::Declined, reason).await;
            }
        }
    }

    fn guarded(&self, command: Command) -> Command {
        match self.guard.as_ref().map(Guard::mark) {
            Some((name, mark)) => command.env_above_all(name, mark),
            None => command,
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
                    ..JobSpec::new(wanted.priority, self.guarded(wanted.command))
                };
                if let Err(why) = self.scheduler.submit(spec).await {
                    self.counts.refused += 1;
                    tracing::warn!("job refused: {why}");
                }
            }
        }
    }

    /// A lease is to end, or has: its run is ended, and reported as any other.
    /// Where the lease has ended, another may run the job at any moment, and
    /// there is no time for a grace period.
    async fn end_run(&mut self, lease: LeaseId) {
        let Some(job) = self.held.leases.get(&lease).copied() else { return };
        self.counts.revoked += 1;
        let holds = self.client.call(move |session, _| session.holds(lease)).await;
        // The job may have ended meanwhile: then its report is under way.
        let _ = match holds {
            Ok(true) => self.scheduler.cancel(job).await,
            _ => self.scheduler.kill_job(job).await,
        };
    }

    async fn follow(&mut self, event: &Event) {
        match &event.kind {
            EventKind::Starting { run, .. } => {
                if let Some(held) = self.held.jobs.get_mut(&run.job) {
                    held.slot = Some(run.slot);
                }
            }
            EventKind::Started { job, .. } => {
                if let Some(held) = self.held.jobs.get(job) {
                    self.report_start(held).await;
                }
            }
            EventKind::Stopping { job, cause, .. } => self.tell_stop(*job, *cause).await,
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

    async fn report_start(&self, held: &Held) {
        let (job, lease, state, slot) = (held.bus_job, held.lease, ReportState::Started, held.slot);
        let (exit, by, ran, reason, output) = (None, None, Duration::ZERO, None, None);
        self.send(JobReport { job, lease, state, exit, by, ran, reason, output, slot }).await;
    }

    async fn tell_stop(&self, job: JobId, cause: StopCause) {
        let Some(held) = self.held.jobs.get(&job) else { return };
        let by = match cause {
            StopCause::Evicted { by } => self.story.on_the_bus(by),
            StopCause::TimedOut(_) | StopCause::Cancelled => None,
        };
        let (job, lease, grace) = (held.bus_job, held.lease, self.grace);
        // Only for people to see: a client that is closed need not say it.
        let _ = self.client.call(move |it, _| it.stopping(job, lease, by, grace)).await;
    }

    async fn report_end(&self, held: &Held, ended: &Ended) {
        let (state, exit) = told(&ended.outcome);
        let by = match &ended.outcome {
            // That one may have ended by now.
            Outcome::Evicted { by, .. } => self.story.on_the_bus(*by),
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
        let (job, lease, ran, slot) = (held.bus_job, held.lease, ended.tally.ran, None);
        self.send(JobReport { job, lease, state, exit, by, ran, reason, output, slot }).await;
    }

    async fn report(&self, job: JobId, lease: LeaseId, state: ReportState, reason: Option<String>) {
        let (exit, by, ran, output, slot) = (None, None, Duration::ZERO, None, None);
        self.send(JobReport { job, lease, state, exit, by, ran, reason, output, slot }).await;
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
        Outcome::Cancelled { exit: Some(exit) } => (ReportState::Cancelled, Some(*exit)),
        // It never ran here, and would not if it came again.
        Outcome::Cancelled { exit: None } | Outcome::Expired => (ReportState::Declined, None),
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
