//! Scripted scenes: a bin whose commands are names, a spawner that writes
//! down what it is asked, and a clock that the script turns.

use sched_core::{
    Duration, Event, EventKind, Exit, ExitStatus, Instant, JobId, JobSpec, JobState, Outcome,
    Policy, Priority, ProcessSpawner, RunId, RunInfo, SchedulerBin, SpawnFailure, SpawnFailureKind,
    Stop,
};
use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroUsize;

/// Writes down what it is asked.
#[derive(Debug, Default)]
pub struct RecordingSpawner {
    calls: Vec<String>,
    names: BTreeMap<RunId, &'static str>,
    refusals: VecDeque<SpawnFailureKind>,
}

impl RecordingSpawner {
    /// Refuses the next start that it is asked for.
    pub fn refuse_next(&mut self, kind: SpawnFailureKind) {
        self.refusals.push_back(kind);
    }

    /// What it was asked since this was last called: `spawn a`, `term a`,
    /// `kill a`, `refuse a`.
    pub fn calls(&mut self) -> Vec<String> {
        std::mem::take(&mut self.calls)
    }
}

impl ProcessSpawner for RecordingSpawner {
    type Command = &'static str;

    fn spawn(&mut self, run: &RunInfo, name: &&'static str) -> Result<(), SpawnFailure> {
        self.names.insert(run.id, name);
        if let Some(kind) = self.refusals.pop_front() {
            self.calls.push(format!("refuse {name}"));
            return Err(SpawnFailure { kind, message: format!("{name} cannot start") });
        }
        self.calls.push(format!("spawn {name}"));
        Ok(())
    }

    fn stop(&mut self, run: RunId, how: Stop) {
        let verb = match how {
            Stop::Terminate => "term",
            Stop::Kill => "kill",
        };
        let name = self.names.get(&run).copied().unwrap_or("nobody");
        self.calls.push(format!("{verb} {name}"));
    }
}

/// A scene. It dispatches after every input, as a driver does.
#[derive(Debug)]
pub struct Scene {
    /// The machine.
    pub bin: SchedulerBin<&'static str>,
    /// What it asks of the world.
    pub spawner: RecordingSpawner,
    /// Everything that it told.
    pub events: Vec<Event>,
    now: Instant,
    outcomes: BTreeMap<JobId, Vec<Outcome>>,
}

impl Scene {
    /// At time zero, with so many slots (at least one).
    #[must_use]
    pub fn new(slots: usize, policy: Policy) -> Self {
        let slots = NonZeroUsize::new(slots).unwrap_or(NonZeroUsize::MIN);
        Self {
            bin: SchedulerBin::new(slots, policy),
            spawner: RecordingSpawner::default(),
            events: Vec::new(),
            now: Instant::ZERO,
            outcomes: BTreeMap::new(),
        }
    }

    /// What time it is.
    #[must_use]
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// Lets so many seconds go by. Timers act when they are due.
    pub fn wait(&mut self, secs: u64) {
        let until = self.now + Duration::from_secs(secs);
        while let Some(due) = self.bin.poll_timeout().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.input(|bin, now| bin.handle_timeout(now));
        }
        self.now = until;
    }

    /// Lets so many seconds go by in which the driver is asleep: no timer acts.
    pub fn oversleep(&mut self, secs: u64) {
        self.now += Duration::from_secs(secs);
    }

    /// Submits a job of this priority; `None`: it is refused.
    pub fn submit(&mut self, priority: i32, name: &'static str) -> Option<JobId> {
        self.submit_job(JobSpec::new(Priority::new(priority), name))
    }

    /// Submits a job; `None`: it is refused.
    pub fn submit_job(&mut self, job: JobSpec<&'static str>) -> Option<JobId> {
        self.input(|bin, now| bin.submit(now, job).ok())
    }

    /// Submits a job that is accepted, and whose process starts at once.
    ///
    /// # Panics
    ///
    /// It does not start.
    #[must_use]
    pub fn running(&mut self, job: JobSpec<&'static str>) -> JobId {
        let id = self.submit_job(job).unwrap_or_else(|| panic!("the job is refused"));
        self.started(id);
        id
    }

    /// The process of this job is there.
    pub fn started(&mut self, job: JobId) {
        let run = self.run_of(job);
        self.input(|bin, now| bin.handle_started(now, run));
    }

    /// The process of this job could not be started after all.
    pub fn not_started(&mut self, job: JobId, kind: SpawnFailureKind) {
        let run = self.run_of(job);
        let why = SpawnFailure { kind, message: "after a while".into() };
        self.input(|bin, now| bin.handle_spawn_failed(now, run, why));
    }

    /// The process of this job ends by itself.
    pub fn exits(&mut self, job: JobId, code: i32) {
        self.reaped(job, Exit::natural(ExitStatus::Code(code)));
    }

    /// The process of this job ends by the signal it was sent.
    pub fn dies(&mut self, job: JobId) {
        self.reaped(job, Exit::stopped(ExitStatus::Signal(15)));
    }

    /// The process of this job is reaped.
    pub fn reaped(&mut self, job: JobId, exit: Exit) {
        let run = self.run_of(job);
        self.input(|bin, now| bin.handle_exit(now, run, exit));
    }

    /// Any other input.
    pub fn input<T>(
        &mut self,
        give: impl FnOnce(&mut SchedulerBin<&'static str>, Instant) -> T,
    ) -> T {
        let answer = give(&mut self.bin, self.now);
        self.bin.dispatch(self.now, &mut self.spawner);
        while let Some(event) = self.bin.poll_event() {
            if let EventKind::Ended { job, outcome, .. } = &event.kind {
                self.outcomes.entry(*job).or_default().push(outcome.clone());
            }
            self.events.push(event);
        }
        answer
    }

    /// What the spawner was asked since this was last called.
    pub fn calls(&mut self) -> Vec<String> {
        self.spawner.calls()
    }

    /// Every outcome told of this job.
    #[must_use]
    pub fn outcomes(&self, job: JobId) -> &[Outcome] {
        self.outcomes.get(&job).map_or(&[], Vec::as_slice)
    }

    /// What the job does; `None`: it has ended, or never was.
    #[must_use]
    pub fn state(&self, job: JobId) -> Option<JobState> {
        self.bin.job(job).map(|view| view.state)
    }

    /// The run of a job that has one.
    ///
    /// # Panics
    ///
    /// It has none.
    #[must_use]
    pub fn run_of(&self, job: JobId) -> RunId {
        match self.state(job) {
            Some(JobState::Starting(run) | JobState::Running(run) | JobState::Stopping(run, _)) => {
                run
            }
            state => panic!("{job} has no run: {state:?}"),
        }
    }
}
