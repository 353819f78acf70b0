//! One decision of the core, beside a heap's.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::hint::black_box;
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::{Duration, Instant as Clock};

use fastrand::Rng;
use sched_core::{Action, Exit, ExitStatus, Instant, JobSpec, OnEvict, Policy, Priority};
use sched_core::{RunId, RunView, SchedulerBin};

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
        (0..warm_up(pending)).try_for_each(|_| world.cycle())?;
        let began = Clock::now();
        (0..times).try_for_each(|_| world.cycle())?;
        Ok(began.elapsed().as_nanos() as f64 / times as f64)
    })
}

/// In blocks: what an eviction adds to the queue is taken from it between them,
/// untimed, by jobs that finish.
fn evict(pending: usize, slots: usize) -> Row {
    let what = "submit, evict and requeue";
    row(format!("core-evict-{pending}"), pending, slots, what, move |terms| {
        let mut world = World::new(pending, slots, true)?;
        let (times, block) = (times(terms, pending), warm_up(pending));
        world.evictions(block)?;
        let blocks = times.div_ceil(block);
        let took = (0..blocks)
            .try_fold(Duration::ZERO, |took, _| world.evictions(block).map(|block| took + block))?;
        Ok(took.as_nanos() as f64 / (blocks * block) as f64)
    })
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
    terms.pick(200_000, 20_000).max(warm_up(pending))
}

/// How many decisions are made before they are measured. While they evict, the
/// queue grows by as many, and is never longer later.
const fn warm_up(pending: usize) -> usize {
    pending / 10
}

/// The same number of entries, of the same order.
fn heap(size: usize, times: usize) -> f64 {
    let mut random = Rng::with_seed(SEED);
    let mut heap: BinaryHeap<Reverse<(i32, u64)>> =
        (0..size as u64).map(|job| Reverse((random.i32(0..1000), job))).collect();
    let mut last = size as u64;
    let mut push_and_pop = || {
        last += 1;
        heap.push(Reverse((random.i32(0..1000), last)));
        black_box(heap.pop());
    };
    (0..warm_up(size)).for_each(|_| push_and_pop());
    let began = Clock::now();
    (0..times).for_each(|_| push_and_pop());
    began.elapsed().as_nanos() as f64 / times as f64
}

/// A bin with all its slots taken and jobs that wait.
struct World {
    bin: SchedulerBin<u32>,
    random: Rng,
    now: u64,
    /// What runs, the one that started first in front.
    runs: VecDeque<RunId>,
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
        let mut world = Self { bin, random, now: 0, runs };
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
        self.finish(run);
        Ok(())
    }

    fn finish(&mut self, run: RunId) {
        let exit = Exit::natural(ExitStatus::Code(0));
        self.bin.handle_exit(Instant::from_nanos(self.now), run, exit);
        self.carry_out();
    }

    /// So many evictions, and how long they took. As many jobs finish then.
    fn evictions(&mut self, count: usize) -> Result<Duration> {
        let (pending, evicted) = (self.bin.pending(), self.bin.stats().evictions);
        let priorities = self.evictors(count);
        let began = Clock::now();
        priorities.into_iter().try_for_each(|priority| self.submit(priority))?;
        let took = began.elapsed();
        let evicted = self.bin.stats().evictions - evicted;
        if evicted != count as u64 || self.bin.pending() != pending + count {
            return Err(Trouble::wrong(format!("{evicted} evictions and requeues, not {count}")));
        }
        self.finish_runs(count);
        if self.bin.pending() != pending {
            return Err(Trouble::wrong(format!("{} jobs wait, not {pending}", self.bin.pending())));
        }
        Ok(took)
    }

    /// Priorities of jobs each of which will evict: more urgent than the least
    /// urgent run, by so little that it is soon a victim itself or by so much
    /// that it is not.
    fn evictors(&mut self, count: usize) -> Vec<i32> {
        let width = 2 * self.bin.slots() as i32;
        let priority = |run: RunView| i32::try_from(run.level).unwrap_or(i32::MAX);
        let mut running: BinaryHeap<i32> = self.bin.runs().map(priority).collect();
        let random = &mut self.random;
        let mut next = || {
            let victim = running.pop().unwrap_or_default();
            let evictor = victim - 1 - random.i32(0..width);
            running.push(evictor);
            evictor
        };
        (0..count).map(|_| next()).collect()
    }

    /// Everything that runs finishes, again and again, until so many have.
    fn finish_runs(&mut self, count: usize) {
        let mut left = count;
        while left > 0 && self.bin.running() > 0 {
            let runs: Vec<RunId> = self.bin.runs().map(|run| run.info.id).take(left).collect();
            left -= runs.len();
            runs.into_iter().for_each(|run| self.finish(run));
        }
        self.runs.clear();
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
        while let Some(event) = &self.bin.poll_event() {
            black_box(event);
        }
    }
}
