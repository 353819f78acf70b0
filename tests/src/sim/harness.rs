//! One plan, from the first job to the last outcome, checked at every step.

use sched_core::{BinIndex, Duration, Instant, RunId};
use std::collections::VecDeque;

use super::faults::FaultSpawner;
use super::processes::{Processes, World};
use super::twin::{Answer, Input, Line, Twin};
use super::workload::{Op, Plan};
use super::{Verdict, ensure};

/// Nothing that is simulated takes longer; more is an endless loop.
const MOST_STEPS: usize = 20_000;

/// How one plan went.
#[derive(Debug)]
pub struct Done {
    /// How many inputs the machine was given.
    pub steps: usize,
    /// Everything that went in and came out.
    pub log: Vec<Line>,
}

/// Runs `plan` to its end.
///
/// # Errors
///
/// What went wrong, and the last lines of the log before it.
pub fn run(plan: &Plan) -> Result<Done, String> {
    let mut sim = Sim::new(plan);
    let verdict = sim.play();
    let Sim { twin, steps, .. } = sim;
    match verdict {
        Ok(()) => Ok(Done { steps, log: twin.log }),
        Err(why) => {
            let from = twin.log.len().saturating_sub(plan.style.log_lines);
            let last: Vec<_> = twin.log[from..].iter().map(|line| format!("{line:?}")).collect();
            let (last, heading) = (last.join("\n"), plan.heading());
            Err(format!("{why}\n--- the last lines of the log:\n{last}\n--- {heading}"))
        }
    }
}

struct Sim<'a> {
    plan: &'a Plan,
    ops: VecDeque<(Instant, &'a Op)>,
    twin: Twin,
    world: FaultSpawner<Processes>,
    dice: fastrand::Rng,
    now: Instant,
    /// When the driver will notice the wake-up that is due then.
    wake: Option<(Instant, Instant)>,
    /// What the machine takes for now.
    told: Instant,
    undispatched: bool,
    given: u64,
    steps: usize,
}

impl<'a> Sim<'a> {
    fn new(plan: &'a Plan) -> Self {
        let mut at = Instant::ZERO;
        let moments = plan.ops.iter().map(|(gap, op)| {
            at += *gap;
            (at, op)
        });
        Self {
            plan,
            ops: moments.collect(),
            twin: Twin::new(plan.slots, plan.policy.clone()),
            world: FaultSpawner::new(
                Processes::default(),
                plan.faults,
                plan.seed ^ 0xfa17,
                plan.grain,
            ),
            dice: fastrand::Rng::with_seed(plan.seed ^ 0xd1ce),
            now: Instant::ZERO,
            wake: None,
            told: Instant::ZERO,
            undispatched: false,
            given: 0,
            steps: 0,
        }
    }

    fn play(&mut self) -> Verdict {
        self.until_rest()?;
        self.world.heal();
        self.twin.at_rest(self.world.alive())?;
        self.feed(&Input::Resume)?;
        self.until_rest()?;
        let left = self.twin.bin.jobs().count();
        ensure(left == 0, || format!("{left} jobs never got an outcome"))?;
        self.twin.at_rest(self.world.alive())
    }

    /// Until no op, no report and no timer is left.
    fn until_rest(&mut self) -> Verdict {
        loop {
            let next = self.next_moment();
            if self.undispatched && next.is_none_or(|at| at > self.now) {
                self.dispatch()?;
                continue;
            }
            let Some(at) = next else { return Ok(()) };
            self.now = self.now.max(at);
            self.world.set_time(self.now);
            let input = self.pick_input();
            self.feed(&input)?;
        }
    }

    fn next_moment(&mut self) -> Option<Instant> {
        let op = self.ops.front().map(|(at, _)| *at);
        if op.is_none() {
            self.world.heal();
        }
        let timer = self.wake_up();
        [op, self.world.next_report(), timer].into_iter().flatten().min()
    }

    /// When the driver calls `handle_timeout`: on time, or a little late.
    fn wake_up(&mut self) -> Option<Instant> {
        let due = self.twin.bin.poll_timeout()?;
        if self.wake.is_none_or(|(known, _)| known != due) {
            let late = self.dice.u8(0..100) < self.plan.style.late;
            let by = if late { self.plan.grain * self.dice.u32(0..30) } else { Duration::ZERO };
            self.wake = Some((due, due + by));
        }
        self.wake.map(|(_, at)| at)
    }

    /// One of the inputs that are due, at random.
    fn pick_input(&mut self) -> Input {
        let is_due = |at: Option<Instant>, now| at.is_some_and(|at| at <= now);
        let mut due: Vec<fn(&mut Self) -> Input> = Vec::new();
        if is_due(self.ops.front().map(|(at, _)| *at), self.now) {
            due.push(Self::next_op);
        }
        if is_due(self.world.next_report(), self.now) {
            due.push(Self::next_report);
        }
        if is_due(self.wake_up(), self.now) {
            due.push(|_| Input::Timeout);
        }
        self.dice.choice(due).map_or(Input::Timeout, |next| next(self))
    }

    fn next_report(&mut self) -> Input {
        self.world.take_report(&mut self.dice).map_or(Input::Timeout, Input::Report)
    }

    fn next_op(&mut self) -> Input {
        let stray = self.stray_run();
        match self.ops.pop_front() {
            Some((_, op)) => op.input(self.given, stray),
            None => Input::Timeout,
        }
    }

    /// The first run, once it has ended; before, one that never was.
    fn stray_run(&self) -> RunId {
        let bin = &self.twin.bin;
        let first = RunId::new(BinIndex::default(), 1);
        let ended = bin.stats().runs > 0 && bin.runs().all(|run| run.info.id != first);
        if ended { first } else { RunId::new(BinIndex::default(), 1 << 40) }
    }

    fn feed(&mut self, input: &Input) -> Verdict {
        self.steps += 1;
        ensure(self.steps < MOST_STEPS, || "this does not come to an end".into())?;
        let back = if self.dice.u8(..) == 0 { self.plan.grain } else { Duration::ZERO };
        let told = Instant::from(self.now.since(Instant::ZERO).saturating_sub(back));
        self.told = self.told.max(told);
        let answer = self.twin.feed(told, input, self.world.alive())?;
        if let Answer::Submitted(Ok(_)) = answer {
            self.given += 1;
        }
        self.undispatched = true;
        if self.dice.u8(0..100) < self.plan.style.lazy { Ok(()) } else { self.dispatch() }
    }

    fn dispatch(&mut self) -> Verdict {
        self.undispatched = false;
        if self.plan.style.by_hand {
            self.twin.dispatch_by_hand(self.told, &mut self.world)
        } else {
            self.twin.dispatch(self.told, &mut self.world)
        }
    }
}
