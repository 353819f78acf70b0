//! One decision of the core, beside a heap's.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::hint::black_box;
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Instant as Clock;

use fastrand::Rng;
use sched_core::{Action, Exit, ExitStatus, Instant, JobSpec, OnEvict, Policy, Priority};
use sched_core::{RunId, SchedulerBin};

use crate::row::{Contender, Metric, Role, Row, Target, Terms};
use crate::trouble::{Result, Trouble};

/// Pending jobs and slots.
const SIZES: [(usize, usize); 3] = [(1_000, 5), (100_000, 100), (1_000_000, 10_000)];

const SEED: u64 = 7;

pub(super) fn rows() -> Vec<Row> {
    SIZES
        .into_iter()
        .flat_map(|(pending, slots)| [cycle(pending, slots), evict(pending, slots)])
        .collect()
}

fn cycle(pending: usize, slots: usize) -> Row {
    row(format!("core-cycle-{pending}"), pending, slots, "submit, start and finish", move |terms| {
        let mut world = World::new(pending, slots, false)?;
        let times = times(terms, pending);
        let began = Clock::now();
        (0..times).try_for_each(|_| world.cycle())?;
        Ok(began.elapsed().as_nanos() as f64 / times as f64)
    })
}

fn evict(pending: usize, slots: usize) -> Row {
    row(
        format!("core-evict-{pending}"),
        pending,
        slots,
        "submit, evict and requeue",
        move |terms| {
            let mut world = World::new(pending, slots, true)?;
            // The queue grows by one each time; that is to be little of it.
            let times = times(terms, pending).min(pending / 10);
            let began = Clock::now();
            (0..times).try_for_each(|_| world.evict())?;
            Ok(began.elapsed().as_nanos() as f64 / times as f64)
        },
    )
}

fn row(
    key: String,
    pending: usize,
    slots: usize,
    what: &str,
    ours: impl Fn(&Terms) -> Result<f64> + 'static,
) -> Row {
    Row {
        key,
        what: format!("{what}: {pending} pending jobs, {slots} slots"),
        metrics: vec![Metric {
            what: "time of one decision",
            unit: "ns",
            target: Target::TimesLimit(4.0),
        }],
        slices: 1,
        contenders: vec![
            Contender::new(Role::Ours, "SchedulerBin", move |terms| Ok(vec![Some(ours(terms)?)])),
            Contender::new(Role::Limit, "BinaryHeap, push and pop", move |terms| {
                Ok(vec![Some(heap(pending, times(terms, pending)))])
            }),
        ],
    }
}

fn times(terms: &Terms, pending: usize) -> usize {
    terms.pick(200_000, 20_000).max(pending / 10)
}

/// The same number of entries, of the same order.
fn heap(size: usize, times: usize) -> f64 {
    let mut random = Rng::with_seed(SEED);
    let mut heap: BinaryHeap<Reverse<(i32, u64)>> =
        (0..size as u64).map(|job| Reverse((random.i32(0..1000), job))).collect();
    let began = Clock::now();
    for job in 0..times as u64 {
        heap.push(Reverse((random.i32(0..1000), size as u64 + job)));
        black_box(heap.pop());
    }
    began.elapsed().as_nanos() as f64 / times as f64
}

/// A bin with all its slots taken and jobs that wait.
struct World {
    bin: SchedulerBin<u32>,
    random: Rng,
    now: u64,
    /// What runs, the one that started first in front.
    runs: VecDeque<RunId>,
    most_urgent: i32,
}

impl World {
    fn new(pending: usize, slots: usize, preempting: bool) -> Result<Self> {
        let policy = Policy {
            preempt_delta: NonZeroU32::new(1).filter(|_| preempting),
            on_evict: OnEvict::Requeue,
            max_pending: usize::MAX,
            ..Policy::seed()
        };
        let slots = NonZeroUsize::new(slots).unwrap_or(NonZeroUsize::MIN);
        let bin = SchedulerBin::new(slots, policy);
        let (random, runs) = (Rng::with_seed(SEED), VecDeque::new());
        let mut world = Self { bin, random, now: 0, runs, most_urgent: 0 };
        for _ in 0..slots.get() {
            world.submit(0)?;
        }
        for _ in 0..pending {
            let priority = world.random.i32(0..1000);
            world.submit(priority)?;
        }
        Ok(world)
    }

    fn submit(&mut self, priority: i32) -> Result<()> {
        let job = JobSpec::new(Priority::new(priority), 0);
        self.bin.submit(Instant::from_nanos(self.now), job).map_err(Trouble::wrong)?;
        self.carry_out();
        Ok(())
    }

    fn cycle(&mut self) -> Result<()> {
        let priority = self.random.i32(0..1000);
        self.submit(priority)?;
        let run = self.runs.pop_front().ok_or_else(|| Trouble::wrong("nothing runs"))?;
        let exit = Exit::natural(ExitStatus::Code(0));
        self.bin.handle_exit(Instant::from_nanos(self.now), run, exit);
        self.carry_out();
        Ok(())
    }

    /// More urgent than everything before.
    fn evict(&mut self) -> Result<()> {
        self.most_urgent -= 1;
        self.submit(self.most_urgent)
    }

    /// Does what the bin wants, at once.
    fn carry_out(&mut self) {
        self.now += 1;
        let now = Instant::from_nanos(self.now);
        loop {
            match self.bin.poll_action() {
                Some(Action::Spawn { run, .. }) => {
                    self.runs.push_back(run.id);
                    self.bin.handle_started(now, run.id);
                }
                Some(Action::Stop { run, .. }) => {
                    let exit = Exit::stopped(ExitStatus::Signal(15));
                    self.bin.handle_exit(now, run, exit);
                }
                None => break,
            }
        }
        while let Some(event) = self.bin.poll_event() {
            black_box(event);
        }
    }
}
