//! The one task that owns the state machine and the processes.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use async_channel::{Receiver, Sender};
use futures_lite::FutureExt;
use sched_core::{
    Event, EventKind, Instant, JobId, JobSpec, Refusal, RunId, SchedulerManager, SubmitError,
};

use super::subscription::Subscriber;
use super::{Ended, Summary};
use crate::clock::Clock;
use crate::process::{CapturedOutput, Command, Report, SmolSpawner, SpooledOutput};

/// How many requests are taken between two looks at what processes did. Exits
/// come first: they are what frees slots.
const REQUESTS_A_TURN: usize = 64;

/// What a handle asks for.
pub(super) enum Request {
    Submit(Box<JobSpec<Command>>, Sender<Submitted>),
    SubmitAll(Vec<JobSpec<Command>>, Sender<(JobId, Ended)>, Sender<AllSubmitted>),
    Act(Act),
    Subscribe(Subscriber),
}

/// A job's id, and where its outcome will be told.
pub(super) type Submitted = Result<(JobId, Receiver<Ended>), SubmitError<Command>>;

/// For each of several jobs its id.
pub(super) type AllSubmitted = Vec<Result<JobId, SubmitError<Command>>>;

pub(super) type Act = Box<dyn FnOnce(&mut SchedulerManager<Command>, Instant) + Send>;

impl Request {
    /// Answers in the place of a scheduler that has ended.
    pub(super) fn refuse(self) {
        let why = Refusal::Stopped;
        match self {
            Self::Submit(job, reply) => {
                let _ = reply.try_send(Err(SubmitError { job, why }));
            }
            Self::SubmitAll(jobs, _, reply) => {
                let refuse = |job| Err(SubmitError { job: Box::new(job), why });
                let _ = reply.try_send(jobs.into_iter().map(refuse).collect());
            }
            Self::Act(_) | Self::Subscribe(_) => {}
        }
    }
}

pub(super) struct Driver {
    clock: Clock,
    manager: SchedulerManager<Command>,
    spawner: SmolSpawner,
    reports: Receiver<Report>,
    requests: Receiver<Request>,
    waiters: BTreeMap<JobId, Waiter>,
    /// The job of each run that is under way, for what its process wrote.
    jobs: BTreeMap<RunId, JobId>,
    subscribers: Vec<Subscriber>,
}

/// Whoever wants to know how a job ends, and what the job's last run wrote.
struct Waiter {
    tell: Tell,
    output: Option<CapturedOutput>,
    spooled: Option<SpooledOutput>,
}

/// Where the outcome of a job is told.
enum Tell {
    Handle(Sender<Ended>),
    Outcomes(Sender<(JobId, Ended)>),
}

impl Tell {
    /// Nobody listens any more: then nobody wants to know.
    fn tell(self, job: JobId, ended: Ended) {
        match self {
            Self::Handle(handle) => drop(handle.try_send(ended)),
            Self::Outcomes(outcomes) => drop(outcomes.try_send((job, ended))),
        }
    }
}

/// What the driver wakes up for.
enum Wake {
    Report(Report),
    Request(Request),
    Timeout,
    /// No handle is left.
    Abandoned,
}

impl Driver {
    pub(super) fn new(
        manager: SchedulerManager<Command>,
        spawner: SmolSpawner,
        reports: Receiver<Report>,
        requests: Receiver<Request>,
    ) -> Self {
        Self {
            clock: Clock::new(),
            manager,
            spawner,
            reports,
            requests,
            waiters: BTreeMap::new(),
            jobs: BTreeMap::new(),
            subscribers: Vec::new(),
        }
    }

    /// Runs until everything has been stopped and reaped.
    pub(super) async fn run(mut self) -> Summary {
        while !self.manager.is_stopped() {
            let wake = self.wake().await;
            self.handle(wake);
            self.handle_what_is_there();
        }
        self.refuse_the_rest();
        Summary {
            stats: self.manager.stats(),
            elapsed: self.clock.now() - Instant::ZERO,
            slots: self.manager.bins().map(|bin| bin.slots()).sum(),
        }
    }

    async fn wake(&self) -> Wake {
        let report = async {
            match self.reports.recv().await {
                Ok(report) => Wake::Report(report),
                // The spawner holds a sender for as long as it lives.
                Err(_) => std::future::pending().await,
            }
        };
        let request = async {
            match self.requests.recv().await {
                Ok(request) => Wake::Request(request),
                Err(_) if self.is_stopping() => std::future::pending().await,
                Err(_) => Wake::Abandoned,
            }
        };
        let timeout = async {
            let due = self.manager.poll_timeout().unwrap_or(Instant::FAR_FUTURE);
            self.clock.sleep_until(due).await;
            Wake::Timeout
        };
        report.or(timeout).or(request).await
    }

    /// Takes what has come in meanwhile, so that a burst costs one wake-up.
    fn handle_what_is_there(&mut self) {
        for _ in 0..REQUESTS_A_TURN {
            while let Ok(report) = self.reports.try_recv() {
                self.handle(Wake::Report(report));
            }
            match self.requests.try_recv() {
                Ok(request) => self.handle(Wake::Request(request)),
                Err(_) => return,
            }
        }
    }

    fn handle(&mut self, wake: Wake) {
        let now = self.clock.now();
        match wake {
            Wake::Report(report) => self.handle_report(now, report),
            Wake::Request(request) => self.handle_request(now, request),
            Wake::Timeout => self.manager.handle_timeout(now),
            Wake::Abandoned => {
                tracing::debug!("the last handle was dropped; stopping");
                self.manager.stop(now);
            }
        }
        self.manager.dispatch(now, &mut self.spawner);
        while let Some(event) = self.manager.poll_event() {
            self.publish(&event);
        }
    }

    fn handle_report(&mut self, now: Instant, report: Report) {
        match report {
            Report::Started { run, pid } => {
                tracing::debug!(%run, pid, "process started");
                self.manager.handle_started(now, run);
            }
            Report::SpawnFailed { run, why } => self.manager.handle_spawn_failed(now, run, why),
            Report::Exited { run, exit, output, spooled } => {
                let job = self.jobs.get(&run);
                if let Some(waiter) = job.and_then(|job| self.waiters.get_mut(job)) {
                    (waiter.output, waiter.spooled) = (output, spooled);
                }
                self.manager.handle_exit(now, run, exit);
            }
        }
    }

    fn handle_request(&mut self, now: Instant, request: Request) {
        match request {
            Request::Submit(job, reply) => {
                // Nobody waits for the answer any more: the job goes its way.
                let _ = reply.try_send(self.submit(now, *job));
            }
            Request::SubmitAll(jobs, outcomes, reply) => {
                let tell = || Tell::Outcomes(outcomes.clone());
                let submitted = jobs.into_iter().map(|job| self.accept(now, job, tell())).collect();
                let _ = reply.try_send(submitted);
            }
            Request::Act(act) => {
                // What a caller passes in may panic; that is the caller's loss.
                if catch_unwind(AssertUnwindSafe(|| act(&mut self.manager, now))).is_err() {
                    tracing::error!("a caller's look at the scheduler panicked");
                }
            }
            Request::Subscribe(subscriber) => self.subscribers.push(subscriber),
        }
    }

    fn submit(&mut self, now: Instant, job: JobSpec<Command>) -> Submitted {
        let (sender, ended) = async_channel::bounded(1);
        Ok((self.accept(now, job, Tell::Handle(sender))?, ended))
    }

    fn accept(
        &mut self,
        now: Instant,
        job: JobSpec<Command>,
        tell: Tell,
    ) -> Result<JobId, SubmitError<Command>> {
        let id = self.manager.submit(now, job)?;
        self.waiters.insert(id, Waiter { tell, output: None, spooled: None });
        Ok(id)
    }

    fn publish(&mut self, event: &Event) {
        match &event.kind {
            EventKind::Starting { run, .. } => {
                self.jobs.insert(run.id, run.job);
            }
            EventKind::Exited { run, .. } | EventKind::SpawnFailed { run, .. } => {
                self.jobs.remove(run);
            }
            EventKind::Ended { job, outcome, tally } => {
                if let Some(Waiter { tell, output, spooled }) = self.waiters.remove(job) {
                    let outcome = outcome.clone();
                    tell.tell(*job, Ended { outcome, tally: *tally, output, spooled });
                }
            }
            _ => {}
        }
        self.subscribers.retain(|subscriber| subscriber.tell(event));
    }

    fn is_stopping(&self) -> bool {
        self.manager.bins().all(sched_core::SchedulerBin::is_ending)
    }

    fn refuse_the_rest(&self) {
        self.requests.close();
        while let Ok(request) = self.requests.try_recv() {
            request.refuse();
        }
    }
}
