//! Processes on paper.

use std::collections::VecDeque;

use fastrand::Rng;
use sched_core::{
    Duration, Exit, ExitStatus, Instant, JobId, LeaseId, ProcessSpawner, RunId, RunInfo,
    SpawnFailure, Stop,
};

/// What a scheduler runs for the bus.
#[derive(Clone, Debug)]
pub struct Task {
    /// The job of the bus.
    pub job: JobId,
    /// The lease.
    pub lease: LeaseId,
    /// How long it runs when left alone.
    pub runs: Duration,
    /// With which code it exits then.
    pub code: i32,
}

/// A process.
#[derive(Clone, Debug)]
pub struct Process {
    /// Its run.
    pub run: RunId,
    /// What it runs.
    pub task: Task,
    /// Whether it was asked to end.
    pub stopping: bool,
    /// Whether there is a process yet.
    pub alive: bool,
    /// When it starts, or ends.
    changes: Instant,
    ends_with: Exit,
}

/// What is known of a process, and not told to the scheduler yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Seen {
    /// It was started.
    Started(RunId),
    /// It was reaped.
    Exited(RunId, Exit),
}

/// The processes of a machine.
#[derive(Debug)]
pub struct Processes {
    /// It is so late.
    pub now: Instant,
    /// Those that are started or alive.
    pub all: Vec<Process>,
    /// What the scheduler has not been told.
    pub seen: VecDeque<Seen>,
    /// Whether they end at once when they are asked to.
    prompt: bool,
    dice: Rng,
}

impl Processes {
    /// None yet.
    #[must_use]
    pub const fn new(prompt: bool, dice: Rng) -> Self {
        Self { now: Instant::ZERO, all: Vec::new(), seen: VecDeque::new(), prompt, dice }
    }

    /// When the next one starts or ends. A scheduler that is frozen starts none.
    #[must_use]
    pub fn next(&self, awake: Instant) -> Option<Instant> {
        self.all.iter().map(|it| it.next(awake)).min()
    }

    /// Lets the first one that is due start or end; returns it if it starts.
    pub fn change(&mut self, now: Instant, awake: Instant) -> Option<Process> {
        let due = self.all.iter().position(|it| it.next(awake) <= now);
        let it = self.all.get_mut(due?)?;
        let starts = (!it.alive).then(|| it.clone());
        if !it.alive {
            it.alive = true;
            it.changes = now + it.task.runs;
            self.seen.push_back(Seen::Started(it.run));
            if !it.stopping {
                return starts;
            }
            it.ends_at_once(now);
        }
        if it.changes <= now {
            let (run, exit) = (it.run, it.ends_with);
            self.seen.push_back(Seen::Exited(run, exit));
            self.all.retain(|it| it.run != run);
        }
        starts
    }
}

impl Process {
    fn next(&self, awake: Instant) -> Instant {
        if self.alive { self.changes } else { self.changes.max(awake) }
    }

    const fn ends_at_once(&mut self, now: Instant) {
        self.changes = now;
        self.ends_with = Exit::stopped(ExitStatus::Signal(15));
    }
}

impl ProcessSpawner for Processes {
    type Command = Task;

    fn spawn(&mut self, run: &RunInfo, task: &Task) -> Result<(), SpawnFailure> {
        let starts = self.now + Duration::from_millis(self.dice.u64(0..20));
        let ends_with = Exit::natural(ExitStatus::Code(task.code));
        let (run, task) = (run.id, task.clone());
        let process =
            Process { run, task, stopping: false, alive: false, changes: starts, ends_with };
        self.all.push(process);
        Ok(())
    }

    fn stop(&mut self, run: RunId, how: Stop) {
        let takes = match how {
            _ if self.prompt => 0,
            Stop::Kill => 1,
            Stop::Terminate if self.dice.u8(0..4) == 0 => 100_000,
            Stop::Terminate => self.dice.u64(0..500),
        };
        let ends = self.now + Duration::from_millis(takes);
        let Some(it) = self.all.iter_mut().find(|it| it.run == run) else { return };
        it.stopping = true;
        if it.alive && ends < it.changes {
            it.changes = ends;
            it.ends_with = Exit::stopped(ExitStatus::Signal(15));
        }
    }
}
