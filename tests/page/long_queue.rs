//! Ten thousand jobs wait, and the page does not mind.

use sched_tests::browser::{Tab, in_a_browser};
use sched_tests::bus::Bus;
use sched_tests::bus::peer::Peer;

use crate::scene::{Hands, first_in_queue, open, patient_bus, snapshot, until_figure};

const JOBS: u64 = 10_000;

/// An update may take so long, in milliseconds of the processor.
const LONGEST_MS: f64 = 100.0;

/// Jobs of random priorities.
async fn fill(bus: &Bus) {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut raw = Peer::producer(bus).await.raw;
    for part in 0..10 {
        for _ in 0..JOBS / 10 {
            let priority = random.u32(1..1000);
            raw.say(&format!(
                r#"{{"cmd":"submit","payload":{{"priority":{priority},"runtime":7}}}}"#
            ))
            .await;
        }
        raw.settle().await;
        assert_eq!(bus.stats().await.exchange.accepted, JOBS / 10 * (part + 1));
    }
}

async fn rows(tab: &mut Tab) -> f64 {
    tab.number("document.querySelectorAll('#queue [data-job]').length").await
}

#[test]
fn ten_thousand_jobs_are_shown_a_screen_at_a_time_and_quickly() {
    in_a_browser(async |tab| {
        let bus = patient_bus().await;
        fill(&bus).await;
        let mut producer = Peer::producer(&bus).await;
        open(tab, &bus).await;
        until_figure(tab, "pending", JOBS).await;
        tab.until("document.querySelector('#queue [data-job]')").await;
        assert!(rows(tab).await <= 200.0, "{} rows are in the document", rows(tab).await);
        let nodes = tab.number("document.querySelectorAll('*').length").await;
        assert!(nodes < 5000.0, "{nodes} elements");

        tab.measure().await;
        for round in 1..=40 {
            // In turns the next of all, and one far behind.
            let priority = if round % 2 == 0 { 0 } else { 500 };
            let job = producer.submits(priority).await;
            until_figure(tab, "pending", JOBS + round).await;
            if round == 2 {
                tab.until(&format!(
                    "document.querySelector('#queue [data-job]').dataset.job === '{job}'"
                ))
                .await;
            }
        }
        let work = tab.measured().await;
        println!("40 updates with {JOBS} pending: {work:?}");
        assert!(work.longest_ms < LONGEST_MS, "{work:?}");

        // The first is truly the next, and the last the last.
        let snapshot = snapshot(&bus).await;
        let order: Vec<&str> = snapshot["pending"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["job"].as_str().unwrap())
            .collect();
        assert_eq!(order.len() as u64, JOBS, "as many as a snapshot names");
        assert_eq!(first_in_queue(tab, 10).await, order[..10]);
        let mut hands = Hands::called(&bus, "g1", 1).await;
        assert_eq!(hands.starts().await, order[0]);
        until_figure(tab, "running", 1).await;
        tab.until(&format!(
            "document.querySelector('#queue [data-job]').dataset.job === '{}'",
            order[1]
        ))
        .await;
        bus
    });
}

#[test]
fn the_end_of_a_long_queue_is_reached_by_scrolling() {
    in_a_browser(async |tab| {
        let bus = patient_bus().await;
        fill(&bus).await;
        open(tab, &bus).await;
        until_figure(tab, "pending", JOBS).await;
        tab.until("document.querySelector('#queue [data-job]')").await;
        let snapshot = snapshot(&bus).await;
        let last = snapshot["pending"].as_array().unwrap().last().unwrap()["job"].clone();
        let scroll = "(() => {
            let it = document.querySelector('#queue [data-job]');
            while (it.scrollHeight <= it.clientHeight || !/auto|scroll/.test(getComputedStyle(it).overflowY)) {
                it = it.parentElement;
                if (!it) throw new Error('nothing scrolls');
            }
            it.scrollTop = it.scrollHeight;
        })()";
        tab.value(scroll).await;
        tab.until(&format!("document.querySelector('#queue [data-job={last}]')")).await;
        assert!(rows(tab).await <= 200.0);
        bus
    });
}
