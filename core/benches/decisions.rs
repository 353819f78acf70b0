//! One decision of a bin, beside a push and a pop of `alloc`'s binary heap of
//! the same size.
//!
//! Every row is a steady state: as many jobs wait after a round as before it,
//! and all slots are taken. What a driver does belongs to it: every action and
//! every event is taken. Read the `heap` of a size and the rows of that size
//! side by side; a bin does for a job what two sorted queues, a hash index, timers
//! and a log do.
//!
//! `allocs` of 0 is meant: once a bin has been as full as it gets, no decision
//! allocates.

mod size;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::num::NonZeroUsize;

use divan::{AllocProfiler, Bencher, black_box};
use fastrand::Rng;
use sched_core::{
    Action, Duration, Exit, ExitStatus, Instant, JobId, JobSpec, Policy, Priority, RunId,
    SchedulerBin, Stop,
};

use self::size::Size;

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

/// How many jobs wait.
const PENDING: [usize; 3] = [1_000, 100_000, 1_000_000];

/// How many jobs wait, and how many slots are taken.
const SIZES: [Size; 9] = [
    Size { pending: 1_000, slots: 5 },
    Size { pending: 1_000, slots: 100 },
    Size { pending: 1_000, slots: 10_000 },
    Size { pending: 100_000, slots: 5 },
    Size { pending: 100_000, slots: 100 },
    Size { pending: 100_000, slots: 10_000 },
    Size { pending: 1_000_000, slots: 5 },
    Size { pending: 1_000_000, slots: 100 },
    Size { pending: 1_000_000, slots: 10_000 },
];

/// Rounds in a sample, and before the first.
const ROUNDS: u32 = 5000;
const SAMPLES: u32 = 40;

fn main() {
    divan::main();
}

/// The limit: what a queue by priority costs that can do nothing else.
#[divan::bench(args = PENDING, sample_count = SAMPLES, sample_size = ROUNDS)]
fn heap(bencher: Bencher<'_, '_>, pending: usize) {
    let mut arrivals = Arrivals::new(pending);
    let mut count = 0;
    let mut next = || {
        let (now, priority) = arrivals.next();
        let priority = u64::from(priority.unsigned_abs());
        count += 1;
        Reverse((priority * AGING.as_nanos() as u64 + now.as_nanos(), count))
    };
    let mut heap: BinaryHeap<_> = (0..pending).map(|_| next()).collect();
    let mut round = || {
        heap.push(next());
        heap.pop()
    };
    (0..ROUNDS).for_each(|_| {
        black_box(round());
    });
    bencher.bench_local(round);
}

/// A job is submitted and waits; a run ends, and the next job starts.
#[divan::bench(args = SIZES, sample_count = SAMPLES, sample_size = ROUNDS)]
fn submit_start_finish(bencher: Bencher<'_, '_>, size: Size) {
    let policy = Policy { preempt_delta: None, ..unlimited() };
    let mut world = World::full(size, policy);
    (0..ROUNDS).for_each(|_| world.submit_start_finish());
    bencher.bench_local(|| world.submit_start_finish());
}

/// A job is submitted and evicts; its victim is requeued. So that not ever more
/// jobs wait, the victim is cancelled then, which is counted as well.
#[divan::bench(args = SIZES, sample_count = SAMPLES, sample_size = ROUNDS)]
fn submit_evict_requeue(bencher: Bencher<'_, '_>, size: Size) {
    let policy = Policy { max_evictions: None, ..unlimited() };
    let mut world = World::full(size, policy);
    (0..ROUNDS).for_each(|_| world.submit_evict_requeue());
    bencher.bench_local(|| world.submit_evict_requeue());
}

/// How many priorities there are.
const PRIORITIES: i32 = 1000;
/// How long a job waits to gain a level.
const AGING: Duration = Duration::from_secs(30);

fn unlimited() -> Policy {
    Policy { max_pending: usize::MAX, aging: Some(AGING), ..Policy::durable() }
}

/// Jobs as they come, with priorities at random. While the most urgent is
/// replaced by a new one, all age by as much as keeps their places in the queue
/// spread as they are: otherwise those that wait would soon be the least urgent
/// alone, and every newcomer would go to the front.
struct Arrivals {
    now: Instant,
    step: Duration,
    random: Rng,
}

impl Arrivals {
    fn new(pending: usize) -> Self {
        let span = AGING * PRIORITIES.unsigned_abs();
        let step = Duration::from_nanos(span.as_nanos() as u64 / pending as u64);
        Self { now: Instant::ZERO, step, random: Rng::with_seed(1) }
    }

    fn next(&mut self) -> (Instant, i32) {
        self.now += self.step;
        (self.now, self.random.i32(0..PRIORITIES))
    }
}

/// A bin whose slots are all taken, and a driver on paper.
struct World {
    bin: SchedulerBin<u64>,
    arrivals: Arrivals,
    /// More urgent than everything so far.
    most_urgent: i32,
    running: VecDeque<(RunId, JobId)>,
}

impl World {
    fn full(size: Size, policy: Policy) -> Self {
        let slots = NonZeroUsize::new(size.slots).unwrap_or(NonZeroUsize::MIN);
        let mut world = Self {
            bin: SchedulerBin::new(slots, policy),
            arrivals: Arrivals::new(size.pending),
            most_urgent: 0,
            running: VecDeque::new(),
        };
        for _ in 0..size.slots {
            world.submit_urgent();
            world.act();
        }
        for _ in 0..size.pending {
            world.submit();
        }
        world
    }

    fn submit_start_finish(&mut self) {
        self.submit();
        let any = self.arrivals.random.usize(0..self.running.len());
        if let Some((run, _)) = self.running.swap_remove_back(any) {
            self.exit(run, Exit::natural(ExitStatus::Code(0)));
        }
    }

    fn submit_evict_requeue(&mut self) {
        self.submit_urgent();
        // The least urgent of all that run started first.
        let Some((run, victim)) = self.running.pop_front() else { unreachable!("all slots run") };
        let stop = Action::Stop { run, how: Stop::Terminate };
        assert_eq!(self.bin.poll_action(), Some(stop), "it outranks all that run");
        self.exit(run, Exit::stopped(ExitStatus::Signal(15)));
        black_box(self.bin.cancel(self.arrivals.now, victim)).ok();
        self.hear();
    }

    fn submit(&mut self) {
        let (_, priority) = self.arrivals.next();
        self.submit_with(priority);
    }

    fn submit_urgent(&mut self) {
        self.arrivals.next();
        self.most_urgent -= 1;
        self.submit_with(self.most_urgent);
    }

    fn submit_with(&mut self, priority: i32) {
        let job = JobSpec::new(Priority::new(priority), 7);
        black_box(self.bin.submit(self.arrivals.now, job)).ok();
        self.hear();
    }

    fn exit(&mut self, run: RunId, exit: Exit) {
        self.bin.handle_exit(self.arrivals.now, run, exit);
        self.act();
    }

    fn act(&mut self) {
        while let Some(action) = self.bin.poll_action() {
            if let Action::Spawn { run, command } = action {
                black_box(command);
                self.running.push_back((run.id, run.job));
                let run = run.id;
                self.bin.handle_started(self.arrivals.now, run);
            }
        }
        self.hear();
    }

    fn hear(&mut self) {
        while let Some(event) = self.bin.poll_event() {
            black_box(event);
        }
    }
}
