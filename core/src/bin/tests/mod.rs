//! Scenes with a spawner that records what it is asked to do.

mod bounds;
mod evictions;
mod limits;
mod starts;
mod verbs;

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::num::{NonZeroU32, NonZeroUsize};

use super::*;
use crate::event::Requeue;
use crate::job::{Outcome, OutcomeKind};
use crate::policy::{OnEvict, OnExhausted};
use crate::priority::Priority;
use crate::spawner::{ExitStatus, RunInfo, SpawnFailureKind, Stop};
use crate::time::Duration;

/// A bin, its clock, and everything that it asked for.
struct Scene {
    bin: SchedulerBin<&'static str>,
    now: Instant,
    spawner: Recorder,
    events: Vec<EventKind>,
}

/// Records calls, in words: `start observe`, `term r1`, `kill r1`.
#[derive(Default)]
struct Recorder {
    calls: Vec<String>,
    runs: Vec<(&'static str, RunId)>,
    refuse: Option<SpawnFailureKind>,
}

impl ProcessSpawner for Recorder {
    type Command = &'static str;

    fn spawn(&mut self, run: &RunInfo, command: &&'static str) -> Result<(), SpawnFailure> {
        if let Some(kind) = self.refuse {
            self.calls.push(format!("refuse {command}"));
            return Err(SpawnFailure { kind, message: "refused".to_string() });
        }
        self.calls.push(format!("start {command}"));
        self.runs.push((command, run.id));
        Ok(())
    }

    fn stop(&mut self, run: RunId, how: Stop) {
        let name = self.runs.iter().find(|(_, id)| *id == run).map_or("?", |(name, _)| name);
        self.calls.push(match how {
            Stop::Terminate => format!("term {name}"),
            Stop::Kill => format!("kill {name}"),
        });
    }
}

impl Scene {
    fn new(slots: usize, policy: Policy) -> Self {
        Self {
            bin: SchedulerBin::new(NonZeroUsize::new(slots).unwrap(), policy),
            now: Instant::ZERO,
            spawner: Recorder::default(),
            events: Vec::new(),
        }
    }

    fn at(&mut self, secs: u64) -> &mut Self {
        self.now = Instant::from_secs(secs);
        self.bin.handle_timeout(self.now);
        self.settle()
    }

    fn submit(&mut self, name: &'static str, priority: i32) -> JobId {
        self.submit_job(JobSpec::new(Priority::new(priority), name)).unwrap()
    }

    fn submit_job(&mut self, job: JobSpec<&'static str>) -> Result<JobId, Refusal> {
        let result = self.bin.submit(self.now, job).map_err(|refused| refused.why);
        self.settle();
        result
    }

    /// The last run of this command has a process.
    fn started(&mut self, name: &str) -> &mut Self {
        self.bin.handle_started(self.now, self.run(name));
        self.settle()
    }

    fn exit(&mut self, name: &str, exit: Exit) -> &mut Self {
        self.bin.handle_exit(self.now, self.run(name), exit);
        self.settle()
    }

    fn done(&mut self, name: &str) -> &mut Self {
        self.exit(name, Exit::natural(ExitStatus::Code(0)))
    }

    fn died_of_term(&mut self, name: &str) -> &mut Self {
        self.exit(name, Exit::stopped(ExitStatus::Signal(15)))
    }

    fn verb(&mut self, act: impl FnOnce(&mut SchedulerBin<&'static str>, Instant)) -> &mut Self {
        act(&mut self.bin, self.now);
        self.settle()
    }

    fn settle(&mut self) -> &mut Self {
        self.bin.dispatch(self.now, &mut self.spawner);
        while let Some(event) = self.bin.poll_event() {
            assert_eq!(event.at, self.now);
            self.events.push(event.kind);
        }
        self
    }

    fn run(&self, name: &str) -> RunId {
        self.spawner.runs.iter().rev().find(|(it, _)| *it == name).map(|(_, id)| *id).unwrap()
    }

    /// What was asked for since the last look. Nothing else happened.
    fn calls(&mut self) -> Vec<String> {
        core::mem::take(&mut self.spawner.calls)
    }

    fn outcomes(&self) -> Vec<(u64, Outcome)> {
        let ended = |event: &EventKind| match event {
            EventKind::Ended { job, outcome, .. } => Some((job.count(), outcome.clone())),
            _ => None,
        };
        self.events.iter().filter_map(ended).collect()
    }
}

const TERM: ExitStatus = ExitStatus::Signal(15);
