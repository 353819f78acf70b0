//! Random plans: a policy, faults, and what is asked of the bin when.

use sched_core::{
    Backoff, BinIndex, Duration, Exit, ExitStatus, JobId, JobSpec, OnEvict, OnExhausted, Policy,
    Priority, RunId, SpawnFailure, SpawnFailureKind,
};
use std::num::{NonZeroU32, NonZeroUsize};

use super::faults::Faults;
use super::processes::{Report, Script};
use super::twin::Input;

/// Everything that makes one simulation what it is.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What the world's dice start from.
    pub seed: u64,
    /// Under which rules.
    pub policy: Policy,
    /// With how many slots.
    pub slots: NonZeroUsize,
    /// With how much trouble.
    pub faults: Faults,
    /// How the driver behaves.
    pub style: Style,
    /// The unit of most times, so that a lot happens at the same instant.
    pub grain: Duration,
    /// What is asked, and how long after the one before.
    pub ops: Vec<(Duration, Op)>,
}

/// How the driver behaves.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// It polls the actions itself, instead of calling `dispatch`.
    pub by_hand: bool,
    /// In so many per cent of the steps it does not dispatch at once.
    pub lazy: u8,
    /// So many per cent of the wake-ups are late.
    pub late: u8,
    /// How much of the log a failure shows.
    pub log_lines: usize,
}

/// What is asked of the bin.
#[derive(Clone, Debug)]
pub enum Op {
    /// To take a job.
    Submit(JobSpec<Script>),
    /// To cancel one of the latest jobs: so many before the last; 0 is one
    /// that does not exist.
    Cancel(u64),
    /// To start nothing.
    Pause,
    /// To take nothing.
    Drain,
    /// To go on.
    Resume,
    /// To end everything.
    Stop,
    /// To end everything at once.
    Kill,
    /// To mind a run that it does not have, or no longer has.
    Stray(u8),
}

impl Op {
    /// The input it stands for once `given` jobs have been accepted; `stray`
    /// is a run that the bin does not have.
    #[must_use]
    pub fn input(&self, given: u64, stray: RunId) -> Input {
        let bin = BinIndex::default();
        match self {
            Self::Submit(job) => Input::Submit(job.clone()),
            Self::Cancel(back) => Input::Cancel(JobId::new(bin, (given + 1).saturating_sub(*back))),
            Self::Pause => Input::Pause,
            Self::Drain => Input::Drain,
            Self::Resume => Input::Resume,
            Self::Stop => Input::Stop,
            Self::Kill => Input::Kill,
            Self::Stray(0) => Input::Report(Report::Started(stray)),
            Self::Stray(1) => {
                let why =
                    SpawnFailure { kind: SpawnFailureKind::Exhausted, message: String::new() };
                Input::Report(Report::SpawnFailed(stray, why))
            }
            Self::Stray(_) => {
                Input::Report(Report::Exit(stray, Exit::natural(ExitStatus::Code(0))))
            }
        }
    }
}

impl Plan {
    /// The plan of this seed.
    #[must_use]
    pub fn random(seed: u64) -> Self {
        Planner { dice: fastrand::Rng::with_seed(seed), grain: Duration::from_millis(50) }
            .plan(seed)
    }

    /// One line that says what is special about it.
    #[must_use]
    pub fn heading(&self) -> String {
        format!(
            "seed {}, {} slots, {} ops, {:?}, {:?}, {:?}",
            self.seed,
            self.slots,
            self.ops.len(),
            self.style,
            self.faults,
            self.policy
        )
    }
}

struct Planner {
    dice: fastrand::Rng,
    grain: Duration,
}

impl Planner {
    fn plan(mut self, seed: u64) -> Plan {
        let slots = NonZeroUsize::MIN.saturating_add(self.dice.usize(0..8));
        let policy = self.policy();
        let faults = if self.one_in(4) { Faults::default() } else { self.faults() };
        let style = Style {
            by_hand: self.dice.bool(),
            lazy: if self.one_in(3) { self.dice.u8(1..60) } else { 0 },
            late: if self.one_in(3) { self.dice.u8(1..80) } else { 0 },
            log_lines: 60,
        };
        let ops = self.ops(slots.get());
        Plan { seed, policy, slots, faults, style, grain: self.grain, ops }
    }

    fn one_in(&mut self, n: u32) -> bool {
        self.dice.u32(0..n) == 0
    }

    fn grains(&mut self, range: std::ops::Range<u32>) -> Duration {
        self.grain * self.dice.u32(range)
    }

    fn policy(&mut self) -> Policy {
        match self.dice.u8(0..8) {
            0 => Policy::seed(),
            1 => Policy::durable(),
            _ => self.odd_policy(),
        }
    }

    fn odd_policy(&mut self) -> Policy {
        let back_off =
            Backoff { first: self.grains(1..20), cap: self.grain * self.dice.u32(20..100) };
        let pause = OnExhausted::Pause(back_off);
        Policy {
            preempt_delta: NonZeroU32::new(*self.pick(&[0, 1, 1, 1, 2, 5])),
            on_evict: *self.pick(&[OnEvict::Drop, OnEvict::Requeue]),
            max_evictions: *self.pick(&[None, None, Some(0), Some(1), Some(2), Some(3)]),
            grace: self.grain * *self.pick(&[0, 1, 20, 100]),
            aging: self
                .pick(&[None, Some(0), Some(1), Some(10), Some(100)])
                .map(|n| self.grain * n),
            max_attempts: NonZeroU32::MIN.saturating_add(self.dice.u32(0..4)),
            retry: Backoff { first: self.grains(0..20), cap: self.grain * 60 },
            on_exhausted: *self.pick(&[OnExhausted::Fail, pause]),
            max_pending: *self.pick(&[0, 1, 3, 10, 1000, 1000, 1000]),
            jitter_seed: self.dice.u64(..),
        }
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.dice.usize(0..from.len())]
    }

    fn faults(&mut self) -> Faults {
        let mut some = |most: u8| if self.dice.bool() { 0 } else { self.dice.u8(0..most) };
        Faults {
            refused: some(30),
            fails_later: some(20),
            exhausted: some(100),
            slow_start: some(80),
            slow_exit: some(80),
            deaf: some(50),
            undying: some(20),
            crash: some(60),
            vanish: some(10),
            late_notice: some(60),
            withheld: some(100),
        }
    }

    /// Quiet hours and bursts, with the odd verb between.
    fn ops(&mut self, slots: usize) -> Vec<(Duration, Op)> {
        let wanted = self.dice.usize(30..110);
        let load = self.dice.u32(4..16);
        let slots = u32::try_from(slots).unwrap_or(1);
        let mut ops = Vec::new();
        while ops.len() < wanted {
            match self.dice.u8(0..30) {
                0..=2 => self.burst(&mut ops),
                3..=6 => ops.push((self.gap(load, slots), Op::Cancel(self.dice.u64(0..12)))),
                7 => self.hold(&mut ops, slots),
                8 => ops.push((Duration::ZERO, Op::Stray(self.dice.u8(0..3)))),
                _ => {
                    let job = self.job();
                    ops.push((self.gap(load, slots), Op::Submit(job)));
                }
            }
        }
        self.end(&mut ops);
        ops
    }

    fn gap(&mut self, load: u32, slots: u32) -> Duration {
        if self.one_in(3) { Duration::ZERO } else { self.grains(0..(80 * load / 8 / slots).max(2)) }
    }

    /// A burst of rising urgency, or of equals, at one instant.
    fn burst(&mut self, ops: &mut Vec<(Duration, Op)>) {
        let rising = self.dice.bool();
        let count = self.dice.i32(2..12);
        for step in 0..count {
            let mut job = self.job();
            job.priority = Priority::new(if rising { count - step } else { 5 });
            ops.push((Duration::ZERO, Op::Submit(job)));
        }
    }

    /// Holds the bin for a while.
    fn hold(&mut self, ops: &mut Vec<(Duration, Op)>, slots: u32) {
        let verb = if self.dice.bool() { Op::Pause } else { Op::Drain };
        ops.push((Duration::ZERO, verb));
        for _ in 0..self.dice.u8(0..8) {
            let job = self.job();
            ops.push((self.gap(8, slots), Op::Submit(job)));
        }
        if !self.one_in(8) {
            ops.push((self.grains(0..60), Op::Resume));
        }
    }

    fn end(&mut self, ops: &mut Vec<(Duration, Op)>) {
        let wait = self.grains(0..60);
        match self.dice.u8(0..8) {
            0 => ops.push((wait, Op::Stop)),
            1 => ops.push((wait, Op::Kill)),
            2 => ops.extend([(wait, Op::Stop), (self.grains(0..60), Op::Kill)]),
            3 => ops.push((wait, Op::Drain)),
            4 => ops.push((wait, Op::Pause)),
            _ => return,
        }
        for _ in 0..self.dice.u8(0..4) {
            let job = self.job();
            ops.push((self.grains(0..20), Op::Submit(job)));
        }
    }

    fn job(&mut self) -> JobSpec<Script> {
        let run = self.grains(0..80);
        let start = if self.one_in(3) { self.grains(0..4) } else { Duration::ZERO };
        let mut job = JobSpec::new(
            Priority::new(self.dice.i32(-2..9)),
            Script::runs_for(run).starts_in(start).heeds_term(Some(self.grains(0..4))),
        );
        if self.one_in(4) {
            job = job.expiry(self.grains(0..100));
        }
        if self.one_in(5) {
            job = job.deadline(self.grains(0..200));
        }
        if self.one_in(5) {
            job = job.time_limit(self.grains(0..60));
        }
        if self.one_in(3) {
            job = job.on_evict(*self.pick(&[OnEvict::Drop, OnEvict::Requeue]));
        }
        if self.one_in(4) {
            job = job.max_attempts(NonZeroU32::MIN.saturating_add(self.dice.u32(0..4)));
        }
        job
    }
}
