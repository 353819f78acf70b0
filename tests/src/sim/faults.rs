//! Trouble, as a decorator of a spawner.

use sched_core::{
    Duration, ExitStatus, Instant, ProcessSpawner, RunId, RunInfo, SpawnFailure, SpawnFailureKind,
    Stop,
};

use super::processes::{Report, Script, World};

/// How often each fault strikes, in per cent of the starts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Faults {
    /// The start is refused at once.
    pub refused: u8,
    /// The start fails after a while.
    pub fails_later: u8,
    /// Of those two: for want of resources, not because of the command.
    pub exhausted: u8,
    /// The start takes long.
    pub slow_start: u8,
    /// The process takes its time after TERM.
    pub slow_exit: u8,
    /// The process ignores TERM.
    pub deaf: u8,
    /// The process ignores TERM, and KILL takes long.
    pub undying: u8,
    /// The process ends with an exit code other than 0.
    pub crash: u8,
    /// Nobody knows how the process ended.
    pub vanish: u8,
    /// The end is noticed late, so that a stop can come between.
    pub late_notice: u8,
    /// A stop before the start keeps the process from being started.
    pub withheld: u8,
}

/// A spawner that makes trouble, and passes on what is left.
#[derive(Debug)]
pub struct FaultSpawner<S> {
    inner: S,
    faults: Faults,
    dice: fastrand::Rng,
    grain: Duration,
    now: Instant,
    failing: Vec<(Instant, RunId, SpawnFailure)>,
}

impl<S> FaultSpawner<S> {
    /// Makes `faults` strike the starts of `inner`. `grain` is the unit of
    /// every delay, so that a lot happens at the same instant.
    pub fn new(inner: S, faults: Faults, seed: u64, grain: Duration) -> Self {
        let dice = fastrand::Rng::with_seed(seed);
        Self { inner, faults, dice, grain, now: Instant::ZERO, failing: Vec::new() }
    }

    /// From now on nothing goes wrong that has not gone wrong already.
    pub fn heal(&mut self) {
        self.faults = Faults::default();
    }

    fn strikes(&mut self, per_cent: u8) -> bool {
        self.dice.u8(0..100) < per_cent
    }

    fn a_while(&mut self, most: u32) -> Duration {
        self.grain * self.dice.u32(0..=most)
    }

    fn failure(&mut self) -> SpawnFailure {
        let exhausted = self.strikes(self.faults.exhausted);
        let (kind, message) = if exhausted {
            (SpawnFailureKind::Exhausted, "no more processes")
        } else {
            (SpawnFailureKind::Command, "no such program")
        };
        SpawnFailure { kind, message: message.into() }
    }

    fn spoilt(&mut self, script: &Script) -> Script {
        let mut script = script.clone();
        if self.strikes(self.faults.slow_start) {
            script.start += self.a_while(20);
        }
        if self.strikes(self.faults.slow_exit) {
            script.heeds_term = Some(self.a_while(60));
        }
        if self.strikes(self.faults.deaf) {
            script.heeds_term = None;
        }
        if self.strikes(self.faults.undying) {
            script.heeds_term = None;
            script.dies_after = self.a_while(200);
        }
        if self.strikes(self.faults.crash) {
            script.status = ExitStatus::Code(self.dice.i32(1..=255));
        }
        if self.strikes(self.faults.vanish) {
            script.status = ExitStatus::Unknown;
        }
        if self.strikes(self.faults.late_notice) {
            script.notice = self.a_while(10);
        }
        script.withheld = self.strikes(self.faults.withheld);
        script
    }
}

impl<S: ProcessSpawner<Command = Script>> ProcessSpawner for FaultSpawner<S> {
    type Command = Script;

    fn spawn(&mut self, run: &RunInfo, script: &Script) -> Result<(), SpawnFailure> {
        if self.strikes(self.faults.refused) {
            return Err(self.failure());
        }
        if self.strikes(self.faults.fails_later) {
            let at = self.now + self.a_while(20);
            let failure = self.failure();
            self.failing.push((at, run.id, failure));
            return Ok(());
        }
        let script = self.spoilt(script);
        self.inner.spawn(run, &script)
    }

    fn stop(&mut self, run: RunId, how: Stop) {
        self.inner.stop(run, how);
    }
}

impl<S: World> World for FaultSpawner<S> {
    fn set_time(&mut self, now: Instant) {
        self.now = self.now.max(now);
        self.inner.set_time(now);
    }

    fn next_report(&self) -> Option<Instant> {
        let failing = self.failing.iter().map(|(at, ..)| *at);
        failing.chain(self.inner.next_report()).min()
    }

    fn take_report(&mut self, dice: &mut fastrand::Rng) -> Option<Report> {
        let due = self.failing.iter().position(|(at, ..)| *at <= self.now);
        let inner_is_due = self.inner.next_report().is_some_and(|at| at <= self.now);
        match due {
            Some(place) if !inner_is_due || dice.bool() => {
                let (_, run, why) = self.failing.swap_remove(place);
                Some(Report::SpawnFailed(run, why))
            }
            _ => self.inner.take_report(dice),
        }
    }

    fn alive(&self) -> usize {
        self.inner.alive() + self.failing.len()
    }
}
