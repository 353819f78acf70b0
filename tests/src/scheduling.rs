//! For tests with a real scheduler: its story, and the processes of one test.

use std::fs;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::{process, thread};

use sched_core::{EventKind, JobId, JobSpec, Outcome, Policy, Priority};
use sched_runtime_smol::scheduler::{Notice, Subscription};
use sched_runtime_smol::{Command, JobHandle, Scheduler};

/// The variable that marks the processes of one scene, and their descendants.
const MARK: &str = "SCHED_TESTS_SCENE";

/// A scheduler whose events are listened to, and whose processes can be told
/// from those of other tests.
#[derive(Debug)]
pub struct Scene {
    /// The scheduler.
    pub scheduler: Scheduler,
    events: Subscription,
    mark: String,
    /// The most runs that had a slot at once, by the events so far.
    pub peak: usize,
    running: usize,
}

impl Scene {
    /// Starts a scheduler.
    ///
    /// # Panics
    ///
    /// It does not start.
    pub async fn new(slots: usize, policy: Policy) -> Self {
        static MADE: AtomicU64 = AtomicU64::new(0);
        let slots = NonZeroUsize::new(slots).expect("a scene with a slot");
        let scheduler = Scheduler::start(slots, policy).expect("room for the test's runs");
        let events = scheduler.subscribe().await.expect("it has just begun");
        let mark = format!("{}-{}", process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        Self { scheduler, events, mark, peak: 0, running: 0 }
    }

    /// Submits a job.
    ///
    /// # Panics
    ///
    /// It is refused.
    pub async fn submit(&self, priority: i32, command: Command) -> JobHandle {
        self.submit_job(JobSpec::new(Priority::new(priority), command)).await
    }

    /// Submits a job with terms of its own.
    ///
    /// # Panics
    ///
    /// It is refused.
    pub async fn submit_job(&self, mut job: JobSpec<Command>) -> JobHandle {
        job.command = job.command.env(MARK, &self.mark);
        self.scheduler.submit(job).await.expect("the scheduler accepts")
    }

    /// The next event.
    ///
    /// # Panics
    ///
    /// There is none, or one was missed.
    pub async fn event(&mut self) -> EventKind {
        let kind = match self.events.next().await {
            Some(Notice::Event(event)) => event.kind,
            other => panic!("expected an event, got {other:?}"),
        };
        match kind {
            EventKind::Starting { .. } => self.running += 1,
            EventKind::Exited { .. } | EventKind::SpawnFailed { .. } => self.running -= 1,
            _ => {}
        }
        self.peak = self.peak.max(self.running);
        kind
    }

    /// Waits for an event; returns those before it as well, and it last.
    pub async fn until(&mut self, found: impl Fn(&EventKind) -> bool) -> Vec<EventKind> {
        let mut seen = Vec::new();
        loop {
            seen.push(self.event().await);
            if seen.last().is_some_and(&found) {
                return seen;
            }
        }
    }

    /// Waits until a job has its process.
    pub async fn until_started(&mut self, job: &JobHandle) {
        let id = job.id();
        self.until(|it| matches!(it, EventKind::Started { job, .. } if *job == id)).await;
    }

    /// Waits until a job has its outcome.
    pub async fn until_ended(&mut self, job: &JobHandle) -> Outcome {
        let id = job.id();
        let told = self.until(|it| matches!(it, EventKind::Ended { job, .. } if *job == id)).await;
        match told.into_iter().next_back() {
            Some(EventKind::Ended { outcome, .. }) => outcome,
            other => panic!("expected the end of {id}, got {other:?}"),
        }
    }

    /// All events up to the end of the scheduler.
    pub async fn rest(mut self) -> Vec<EventKind> {
        self.until(|it| matches!(it, EventKind::Stopped)).await
    }

    /// The live processes of this scene, zombies and descendants included.
    #[must_use]
    pub fn processes(&self) -> Vec<u32> {
        let mark = format!("{MARK}={}", self.mark);
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        entries
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .filter(|pid: &u32| {
                environment(*pid).split(|byte| *byte == 0).any(|line| line == mark.as_bytes())
            })
            .collect()
    }

    /// Stops the scheduler, and expects that no process is left.
    ///
    /// # Panics
    ///
    /// One is.
    pub async fn end(&self) {
        let summary = self.scheduler.stop().await;
        assert_eq!(summary.stats.accepted, summary.stats.ended_total(), "a job without an outcome");
        assert_eq!(self.processes(), [0_u32; 0], "left behind");
    }
}

/// The outcomes among some events, in order.
#[must_use]
pub fn outcomes(events: &[EventKind]) -> Vec<(JobId, Outcome)> {
    let ended = |event: &EventKind| match event {
        EventKind::Ended { job, outcome, .. } => Some((*job, outcome.clone())),
        _ => None,
    };
    events.iter().filter_map(ended).collect()
}

/// The environment of a process. That of a child which is just being given its
/// program is empty for a moment, and read again.
fn environment(pid: u32) -> Vec<u8> {
    loop {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        if !environment.is_empty() || !is_living_child(pid) {
            return environment;
        }
        thread::yield_now();
    }
}

fn is_living_child(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // After the name, which may have spaces and brackets: its state, its parent.
    let mut rest = stat.rsplit_once(") ").map_or("", |it| it.1).split(' ');
    let (state, parent) = (rest.next(), rest.next());
    state.is_some_and(|state| state != "Z" && state != "X")
        && parent.and_then(|it| it.parse().ok()) == Some(process::id())
}
