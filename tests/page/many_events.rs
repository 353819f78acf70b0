//! A thousand events a second, for some seconds, and all of them count.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use sched_tests::browser::in_a_browser;
use sched_tests::bus::Bus;
use sched_tests::bus::peer::Peer;
use smol::Timer;

use crate::scene::{Hands, open, patient_bus, shows_the_snapshot, until_figure};

/// Each is pending, assigned, running and finished: four events.
const JOBS: u64 = 1500;

/// What makes a thousand events a second.
const PER_SECOND: u64 = 250;

/// So many jobs run at a time.
const SLOTS: usize = 8;

/// An update may take so long, in milliseconds of the processor.
const LONGEST_MS: f64 = 100.0;

/// Submits at the rate that is wanted; a machine that is late catches up.
async fn submit_all(mut producer: Peer) {
    let began = Instant::now();
    for number in 0..JOBS {
        Timer::at(began + Duration::from_millis(1000 * number / PER_SECOND)).await;
        producer.submits(u32::try_from(number % 7).unwrap()).await;
    }
}

/// Runs them all.
async fn run_all(bus: Bus, mut hands: Hands) -> Bus {
    let mut running = VecDeque::new();
    for _ in 0..JOBS {
        if running.len() == SLOTS - 1 {
            let oldest: String = running.pop_front().unwrap();
            hands.ends(&oldest, "finished", r#","code":0,"ran_ms":2"#).await;
        }
        running.push_back(hands.starts().await);
    }
    for last in running {
        hands.ends(&last, "finished", r#","code":0,"ran_ms":2"#).await;
    }
    bus
}

#[test]
fn a_thousand_events_a_second_are_all_counted() {
    in_a_browser(async |tab| {
        let bus = patient_bus().await;
        let producer = Peer::producer(&bus).await;
        let hands = Hands::called(&bus, "g1", u32::try_from(SLOTS).unwrap()).await;
        open(tab, &bus).await;
        let connections = bus.stats().await.connected;
        tab.measure().await;
        let began = Instant::now();
        let submitting = smol::spawn(submit_all(producer));
        let running = smol::spawn(run_all(bus, hands));
        until_figure(tab, "finished", JOBS).await;
        let took = began.elapsed();
        let work = tab.measured().await;
        println!("{} events in {took:?}: {work:?}", 4 * JOBS);
        submitting.await;
        let bus = running.await;
        assert!(work.longest_ms < LONGEST_MS, "{work:?}");
        shows_the_snapshot(tab, &bus).await;
        let stats = bus.stats().await;
        assert_eq!((stats.exchange.finished, stats.slow_consumers), (JOBS, 0));
        // That of the comparison is the only one since: the page never came back.
        assert_eq!(stats.connected, connections + 1);
        bus
    });
}
