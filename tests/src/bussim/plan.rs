//! What happens in a run.

use std::num::NonZeroU32;

use fastrand::Rng;
use sched_core::bus::ExchangeConfig;
use sched_core::bus::v1::{Durability, SubmitOptions};
use sched_core::{Duration, Instant, OnEvict, Policy};

/// When the bus of a run begins: its times are those of Unix.
pub const BEGINNING: Instant = Instant::from_secs(1_800_000_000);

/// What keys begin with that several producers use.
pub const SHARED: &str = "shared-";

/// One run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Decides everything that is left open here.
    pub seed: u64,
    /// The terms of the bus.
    pub config: ExchangeConfig,
    /// The slots of each scheduler.
    pub slots: Vec<u32>,
    /// Whether schedulers other than the first decline some jobs.
    pub picky: bool,
    /// Whether every process heeds TERM at once, and no scheduler is frozen:
    /// then nothing may overlap at all.
    pub prompt: bool,
    /// Whether the disk of the bus takes long.
    pub slow_disk: bool,
    /// How long schedulers give a process between TERM and KILL.
    pub grace: Duration,
    /// What each producer submits.
    pub producers: Vec<Vec<Order>>,
    /// How many clients watch everything.
    pub observers: usize,
    /// What goes wrong, in order of time.
    pub faults: Vec<(Instant, Fault)>,
    /// When everything is well again, and stays so.
    pub heals: Instant,
}

/// A job to be submitted.
#[derive(Clone, Debug)]
pub struct Order {
    /// When.
    pub at: Instant,
    /// As it goes over the wire.
    pub payload: String,
    /// Its terms.
    pub opts: SubmitOptions,
}

/// Something that goes wrong, or is done to make it difficult.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The connection of a party is lost.
    Cut(usize),
    /// The network is slow for so long.
    Slow(Duration),
    /// The bus is killed, and comes back after so long.
    KillBus(Duration),
    /// The disk fails for so long.
    DiskFails(Duration),
    /// A scheduler is killed, and its processes with it.
    KillScheduler(usize, Duration),
    /// A scheduler is stopped, and goes on later; its processes do not care.
    Freeze(usize, Duration),
    /// A scheduler ends what it has and leaves, and comes back later.
    Leave(usize, Duration),
    /// A producer is killed.
    KillProducer(usize, Duration),
    /// A producer cancels one of its jobs.
    Cancel(usize),
    /// An observer pauses, resumes or drains the bus or a scheduler.
    Steer(&'static str, Option<usize>),
}

impl Plan {
    /// The plan of a seed.
    #[must_use]
    pub fn random(seed: u64) -> Self {
        let dice = &mut Rng::with_seed(seed);
        let slots: Vec<u32> = (0..dice.usize(1..=4)).map(|_| dice.u32(1..=3)).collect();
        let prompt = dice.bool();
        let lasts = dice.u64(5..60);
        let producers = (0..dice.usize(1..=3)).map(|who| orders(dice, who, lasts)).collect();
        let mut plan = Self {
            seed,
            config: config(dice),
            slots,
            picky: dice.u8(0..4) == 0,
            prompt,
            slow_disk: dice.u8(0..3) == 0,
            grace: Duration::from_millis(dice.u64(100..6000)),
            producers,
            observers: dice.usize(1..=2),
            faults: Vec::new(),
            heals: after(dice, lasts, lasts + 20),
        };
        plan.faults = (0..dice.usize(0..14)).map(|_| plan.fault(dice, lasts)).collect();
        plan.faults.sort_by_key(|(at, _)| *at);
        plan
    }

    fn fault(&self, dice: &mut Rng, lasts: u64) -> (Instant, Fault) {
        let scheduler = dice.usize(..self.slots.len());
        let producer = dice.usize(..self.producers.len());
        let parties = self.slots.len() + self.producers.len() + self.observers;
        let short = Duration::from_millis(dice.u64(10..3000));
        let any = Duration::from_millis(dice.u64(10..40_000));
        let fsync = self.config.durability == Durability::Fsync;
        let fault = match dice.u8(0..15) {
            0..3 => Fault::Cut(dice.usize(..parties)),
            3 => Fault::Slow(any),
            4 | 5 if fsync => Fault::KillBus(if dice.bool() { short } else { any }),
            6 | 7 if fsync => Fault::DiskFails(any),
            8 => Fault::KillScheduler(scheduler, any),
            9 | 10 if !self.prompt => Fault::Freeze(scheduler, any),
            11 => Fault::Leave(scheduler, any),
            12 => Fault::KillProducer(producer, short),
            13 => Fault::Cancel(producer),
            14 => {
                let verb = *dice.choice(&["pause", "resume", "drain"]).unwrap_or(&"resume");
                Fault::Steer(verb, dice.bool().then_some(scheduler))
            }
            _ => Fault::Cut(scheduler),
        };
        (after(dice, 1, lasts), fault)
    }
}

fn config(dice: &mut Rng) -> ExchangeConfig {
    let durable = dice.u8(0..4) > 0;
    let (beat, lease) = if dice.bool() { (5000, 15_000) } else { (1000, 3000) };
    let aging = dice.u64(0..30);
    let policy = Policy {
        preempt_delta: NonZeroU32::new(dice.u32(0..3)),
        on_evict: if dice.bool() { OnEvict::Requeue } else { OnEvict::Drop },
        max_evictions: dice.bool().then_some(2),
        aging: (aging > 0).then_some(Duration::from_secs(aging)),
        max_pending: if dice.u8(0..5) == 0 { 4 } else { 1000 },
        jitter_seed: dice.u64(..),
        ..Policy::durable()
    };
    ExchangeConfig {
        policy,
        lease: Duration::from_millis(lease),
        beat: Duration::from_millis(beat),
        key_window: Duration::from_secs(1_000_000),
        durability: if durable { Durability::Fsync } else { Durability::Memory },
        events_kept: if dice.bool() { 16 } else { 10_000 },
        ..ExchangeConfig::new(1000)
    }
}

fn orders(dice: &mut Rng, who: usize, lasts: u64) -> Vec<Order> {
    let keys = dice.bool();
    let shared = keys && dice.u8(0..4) == 0;
    let count = dice.usize(1..=14);
    let mut orders: Vec<Order> = (0..count)
        .map(|which| {
            let maybe = |dice: &mut Rng, range: std::ops::Range<u64>| {
                (dice.u8(0..8) == 0).then(|| dice.u64(range))
            };
            let opts = SubmitOptions {
                key: keys.then(|| match shared {
                    true => format!("{SHARED}{which}"),
                    false => format!("p{who}-{which}"),
                }),
                on_evict: match dice.u8(0..4) {
                    0 => Some(OnEvict::Drop),
                    1 => Some(OnEvict::Requeue),
                    _ => None,
                },
                max_attempts: dice.bool().then(|| dice.u32(1..=3)),
                max_lost: (dice.u8(0..8) == 0).then(|| dice.u32(0..=2)),
                timeout_ms: maybe(dice, 100..9000),
                expires_ms: maybe(dice, 100..30_000),
                deadline_ms: maybe(dice, 100..60_000),
            };
            let (priority, ms) = (dice.u8(0..10), dice.u64(10..9000));
            let code = u8::from(dice.u8(0..6) == 0);
            let payload = format!(r#"{{"priority":{priority},"ms":{ms},"code":{code}}}"#);
            Order { at: after(dice, 0, lasts), payload, opts }
        })
        .collect();
    orders.sort_by_key(|order| order.at);
    orders
}

fn after(dice: &mut Rng, from: u64, to: u64) -> Instant {
    BEGINNING + Duration::from_millis(dice.u64(from * 1000..=to * 1000))
}
