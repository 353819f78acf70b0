//! What a decision and a job that waits cost in memory: counted, not timed.
#![expect(clippy::unwrap_used, reason = "this is how a test fails")]

use std::num::NonZeroUsize;

use allocation_counter::measure;
use sched_core::bus::{Broker, Exchange, ExchangeConfig};
use sched_core::{
    Action, ClientId, Exit, ExitStatus, Instant, JobId, JobSpec, Policy, Priority, RunId,
    SchedulerBin,
};

/// Slots that are all taken, and jobs that wait.
struct Full {
    bin: SchedulerBin<u32>,
    now: u64,
    running: Vec<(RunId, JobId)>,
}

impl Full {
    fn new(slots: usize, pending: u32) -> Self {
        let policy = Policy { max_evictions: None, ..Policy::durable() };
        let bin = SchedulerBin::new(NonZeroUsize::new(slots).unwrap(), policy);
        let mut full = Self { bin, now: 0, running: Vec::with_capacity(2 * slots) };
        for priority in 0..pending {
            full.submit(i32::try_from(priority % 10).unwrap());
        }
        full
    }

    fn submit(&mut self, priority: i32) {
        self.now += 1;
        let job = JobSpec::new(Priority::new(priority), 7);
        self.bin.submit(Instant::from_millis(self.now), job).unwrap();
        self.act();
    }

    /// Ends the run that began first, which lets the next job start.
    fn finish(&mut self) {
        let (run, _) = self.running.remove(0);
        let exit = Exit::natural(ExitStatus::Code(0));
        self.bin.handle_exit(Instant::from_millis(self.now), run, exit);
        self.act();
    }

    fn act(&mut self) {
        let now = Instant::from_millis(self.now);
        while let Some(action) = self.bin.poll_action() {
            match action {
                Action::Spawn { run, .. } => {
                    self.running.push((run.id, run.job));
                    let run = run.id;
                    self.bin.handle_started(now, run);
                }
                Action::Stop { run, .. } => {
                    self.running.retain(|it| it.0 != run);
                    self.bin.handle_exit(now, run, Exit::stopped(ExitStatus::Signal(15)));
                }
            }
        }
        while self.bin.poll_event().is_some() {}
    }
}

#[test]
fn no_decision_allocates_once_a_bin_has_been_as_full() {
    for (slots, pending) in [(5, 1000), (100, 10_000)] {
        let mut full = Full::new(slots, pending);
        let round = |full: &mut Full| {
            full.submit(5);
            full.finish();
            full.submit(-1);
            full.finish();
        };
        (0..2000).for_each(|_| round(&mut full));
        let evictions = full.bin.stats().evictions;
        let counted = measure(|| (0..2000).for_each(|_| round(&mut full)));
        assert_eq!(counted.count_total, 0, "{slots} slots: {counted:?}");
        assert!(full.bin.stats().evictions >= evictions + 2000, "nothing was evicted");
    }
}

/// What a job that waits in the bus may take beside its payload, in bytes.
const MOST_BYTES: i64 = 200;

#[test]
fn a_job_that_waits_in_the_bus_takes_little_beside_its_payload() {
    let mut broker = broker_with_a_producer();
    let payload = r#"{"priority":3,"runtime":7.5}"#;
    let submit = format!(r#"{{"cmd":"submit","id":1,"payload":{payload}}}"#);
    let (mut jobs, mut bytes, mut most) = (0, 0, 0);
    // Many sizes: just after its tables have grown a queue is at its largest.
    for _ in 0..150 {
        let counted = measure(|| {
            for _ in 0..1000 {
                broker.handle_message(NOW, PRODUCER, &submit);
                while broker.poll_transmit().is_some() {}
            }
        });
        jobs += 1000;
        bytes += counted.bytes_current;
        if jobs >= 50_000 {
            most = most.max(bytes / jobs - i64::try_from(payload.len()).unwrap());
        }
    }
    assert_eq!(i64::try_from(broker.counters().pending).unwrap(), jobs);
    println!("{most} bytes at most, {} at {jobs} jobs", bytes / jobs - 28);
    assert!(most <= MOST_BYTES, "{most} bytes");
    assert!(most > 50, "{most} bytes: that cannot be all");
}

const NOW: Instant = Instant::from_secs(1);
const PRODUCER: ClientId = ClientId::new(1);

/// Without events for those who were away: those are as many however many jobs
/// wait.
fn broker_with_a_producer() -> Broker {
    let mut config = ExchangeConfig { events_kept: 0, ..ExchangeConfig::new(0) };
    config.policy.max_pending = usize::MAX;
    let mut broker = Broker::with_exchange(Exchange::new(config));
    broker.handle_connect(NOW, PRODUCER, "127.0.0.1:40001");
    let register = r#"{"cmd":"register","type":"producer","v":1,"name":"p"}"#;
    broker.handle_message(NOW, PRODUCER, register);
    while broker.poll_transmit().is_some() {}
    broker
}
