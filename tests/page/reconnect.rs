//! A page that loses its bus says so, and finds it again.

use sched_tests::browser::{Tab, in_a_browser};
use sched_tests::bus::Bus;
use sched_tests::bus::peer::{Directory, Peer};

use crate::line::Line;
use crate::scene::{Hands, open, patient, patient_bus, shows_the_snapshot, until_figure};

/// How old it says that its figures are, in seconds.
const AGE: &str =
    "Number(/stale for (\\d+) s/.exec(document.querySelector('header').innerText)?.[1])";

/// What a browser says where nobody answers.
const COMPLAINT: &str = "WebSocket connection to";

async fn says_that_it_is_stale(tab: &mut Tab) {
    tab.until("document.body.dataset.state === 'stale'").await;
    tab.until(&format!("{AGE} >= 0")).await;
    let age = tab.number(AGE).await;
    tab.until(&format!("{AGE} > {age}")).await;
}

async fn is_connected(tab: &mut Tab) {
    tab.until("document.body.dataset.state === 'connected'").await;
}

#[test]
fn what_happened_while_the_line_was_cut_is_shown_after() {
    in_a_browser(async |tab| {
        tab.expects(COMPLAINT);
        let bus = patient_bus().await;
        let line = Line::to(bus.address).await;
        let mut producer = Peer::producer(&bus).await;
        let mut hands = Hands::called(&bus, "g1", 1).await;
        tab.visit(line.address, "").await;
        is_connected(tab).await;
        producer.submits(5).await;
        let first = hands.starts().await;
        until_figure(tab, "running", 1).await;

        line.cut().await;
        says_that_it_is_stale(tab).await;
        hands.ends(&first, "finished", r#","code":0,"ran_ms":30"#).await;
        let missed = producer.submits(5).await;
        producer.submits(6).await;
        assert_eq!(hands.starts().await, missed);
        until_figure(tab, "finished", 0).await;

        line.mend().await;
        is_connected(tab).await;
        shows_the_snapshot(tab, &bus).await;
        for (job, state) in [(&first, "finished"), (&missed, "running")] {
            let row = format!("#log [data-job=\"{job}\"][data-state={state}]");
            tab.until(&format!("document.querySelectorAll('{row}').length === 1")).await;
        }
        bus
    });
}

#[test]
fn that_more_was_missed_than_is_told_again_is_said() {
    const MISSED: u64 = 20_000;
    in_a_browser(async |tab| {
        tab.expects(COMPLAINT);
        let bus = patient_bus().await;
        let line = Line::to(bus.address).await;
        tab.visit(line.address, "").await;
        is_connected(tab).await;
        let mut producer = Peer::producer(&bus).await;
        producer.submits(5).await;
        until_figure(tab, "pending", 1).await;
        line.cut().await;
        tab.until("document.body.dataset.state === 'stale'").await;
        for _ in 0..20 {
            for _ in 0..MISSED / 20 {
                producer.say(r#"{"cmd":"submit","payload":{"priority":6,"runtime":1}}"#).await;
            }
            producer.raw.settle().await;
        }
        line.mend().await;
        is_connected(tab).await;
        until_figure(tab, "pending", MISSED + 1).await;
        shows_the_snapshot(tab, &bus).await;
        tab.value("document.querySelector('#log-filter').focus()").await;
        tab.types("not told").await;
        tab.until(
            "/events 2 to \\d+ were not told/.test(document.querySelector('#log').innerText)",
        )
        .await;
        bus
    });
}

#[test]
fn a_durable_bus_that_is_restarted_is_found_with_its_jobs() {
    in_a_browser(async |tab| {
        tab.expects(COMPLAINT);
        let directory = Directory::new("page");
        let data = directory.0.clone();
        let bus = Bus::with(|config| config.data = Some(data.clone())).await;
        let address = bus.address;
        let mut producer = Peer::producer(&bus).await;
        for priority in [3, 1, 2] {
            producer.submits(priority).await;
        }
        open(tab, &bus).await;
        until_figure(tab, "pending", 3).await;
        bus.end().await;
        says_that_it_is_stale(tab).await;
        until_figure(tab, "pending", 3).await;
        let bus = Bus::with(|config| {
            config.listen = address;
            config.data = Some(data);
        })
        .await;
        is_connected(tab).await;
        shows_the_snapshot(tab, &bus).await;
        Peer::producer(&bus).await.submits(0).await;
        shows_the_snapshot(tab, &bus).await;
        bus.end().await;
    });
}

#[test]
fn another_bus_in_its_place_is_not_mixed_with_the_first() {
    in_a_browser(async |tab| {
        tab.expects(COMPLAINT);
        let bus = patient_bus().await;
        let address = bus.address;
        let mut producer = Peer::producer(&bus).await;
        for priority in 0..20 {
            producer.submits(priority).await;
        }
        open(tab, &bus).await;
        until_figure(tab, "pending", 20).await;
        bus.end().await;
        says_that_it_is_stale(tab).await;

        // In memory: it counts jobs and events from the beginning again.
        let bus = Bus::with(|config| {
            patient(config);
            config.listen = address;
        })
        .await;
        let mut producer = Peer::producer(&bus).await;
        producer.submits(7).await;
        is_connected(tab).await;
        until_figure(tab, "pending", 1).await;
        shows_the_snapshot(tab, &bus).await;
        producer.submits(3).await;
        shows_the_snapshot(tab, &bus).await;
        bus
    });
}
