//! What the queue of the bus costs for a job: its messages in as text, and what
//! the bus answers out as text.
//!
//! A round is a job that is submitted and accepted, and one that is reported as
//! finished, whose slot takes the next that waits: submit → accepted → assign →
//! finished. As many jobs wait after it as before. To be read beside the `heap`
//! of `decisions`, and as jobs a second.

mod size;

use divan::counter::ItemsCount;
use divan::{AllocProfiler, Bencher, black_box};
use fastrand::Rng;
use sched_core::bus::{Broker, Exchange, ExchangeConfig};
use sched_core::{ClientId, Duration, Instant};

use self::size::Size;

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

const SIZES: [Size; 6] = [
    Size { pending: 0, slots: 8 },
    Size { pending: 1_000, slots: 8 },
    Size { pending: 1_000, slots: 1_000 },
    Size { pending: 100_000, slots: 8 },
    Size { pending: 100_000, slots: 1_000 },
    Size { pending: 1_000_000, slots: 8 },
];

/// Rounds in a sample, and before the first.
const ROUNDS: u32 = 500;
const SAMPLES: u32 = 40;

fn main() {
    divan::main();
}

#[divan::bench(args = SIZES, sample_count = SAMPLES, sample_size = ROUNDS)]
fn submit_assign_finish(bencher: Bencher<'_, '_>, size: Size) {
    let mut bus = Bus::full(size);
    (0..ROUNDS).for_each(|_| bus.round());
    bencher.counter(ItemsCount::new(1_u32)).bench_local(|| bus.round());
}

const PRODUCER: ClientId = ClientId::new(1);
const SCHEDULER: ClientId = ClientId::new(2);

/// A bus with one producer and one scheduler, all of whose slots are taken.
struct Bus {
    broker: Broker,
    now: Instant,
    random: Rng,
    /// What the scheduler has: job and lease, as they are written.
    held: Vec<(String, String)>,
}

impl Bus {
    fn full(size: Size) -> Self {
        let mut config = ExchangeConfig::new(0);
        config.policy.max_pending = usize::MAX;
        // An eviction is another thing to measure.
        config.policy.preempt_delta = None;
        let broker = Broker::with_exchange(Exchange::new(config));
        let (now, random) = (Instant::from_secs(1), Rng::with_seed(1));
        let mut bus = Self { broker, now, random, held: Vec::new() };
        let slots = size.slots;
        let scheduler =
            format!(r#"{{"cmd":"register","type":"scheduler","v":1,"name":"s","slots":{slots}}}"#);
        let producer = r#"{"cmd":"register","type":"producer","v":1,"name":"p"}"#;
        for (client, register) in [(PRODUCER, producer), (SCHEDULER, &*scheduler)] {
            bus.broker.handle_connect(now, client, "127.0.0.1:40001");
            bus.says(client, register);
        }
        (0..size.slots + size.pending).for_each(|_| bus.submit());
        bus
    }

    fn round(&mut self) {
        self.submit();
        let any = self.random.usize(0..self.held.len());
        let (job, lease) = self.held.swap_remove(any);
        let report = format!(
            r#"{{"cmd":"report","id":"r9","job":"{job}","lease":{lease},"state":"finished","code":0,"ran_ms":2310}}"#
        );
        self.says(SCHEDULER, &report);
    }

    fn submit(&mut self) {
        self.now += Duration::from_nanos(500);
        let priority = self.random.i32(0..1000);
        let text = format!(
            r#"{{"cmd":"submit","id":"c42","payload":{{"priority":{priority},"runtime":7.5}}}}"#
        );
        self.says(PRODUCER, &text);
    }

    fn says(&mut self, client: ClientId, text: &str) {
        self.broker.handle_message(self.now, client, text);
        while let Some(transmit) = self.broker.poll_transmit() {
            if transmit.to == SCHEDULER && transmit.frame.starts_with(r#"{"ev":"assign""#) {
                self.held.push(job_and_lease(&transmit.frame));
            }
            black_box(transmit);
        }
        while let Some(event) = self.broker.poll_event() {
            black_box(event);
        }
    }
}

/// Found as text: reading the whole message is the scheduler's part.
fn job_and_lease(assign: &str) -> (String, String) {
    let after = |what: &str| assign.split_once(what).map_or("", |(_, rest)| rest);
    let job = after(r#""job":""#).split('"').next().unwrap_or_default();
    let lease = after(r#""lease":"#).split(',').next().unwrap_or_default();
    (job.into(), lease.into())
}
