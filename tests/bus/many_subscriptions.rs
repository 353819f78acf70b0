//! However often and however much is asked for, the bus holds little of it, and
//! whoever reads gets all of it.

use serde_json::Value;

use crate::support::{Bus, run};
use crate::v1_support::{Peer, text};

/// So many fit into what the bus reads at once, about.
const MANY: usize = 2600;
const OUTBOX: usize = 64 * 1024;
/// With so much output each, the outcomes of so many jobs are more than outbox
/// and sockets hold together.
const RUNS: u64 = 1200;
const OUTPUT: usize = 8000;

async fn next(peer: &mut Peer) -> Value {
    serde_json::from_str(&peer.raw.text().await).unwrap()
}

/// Runs jobs that write much. Each makes four events.
async fn run_jobs(bus: &Bus, producer: &mut Peer, scheduler: &mut Peer, count: u64) {
    let output = "x".repeat(OUTPUT);
    for _ in 0..count {
        producer.submits(1).await;
        let it = scheduler.hears("assign").await;
        scheduler.reports(&it, "started").await;
        let (job, lease) = (text(&it, "job"), &it["lease"]);
        scheduler
            .say(&format!(
                r#"{{"cmd":"report","job":"{job}","lease":{lease},"state":"finished","code":0,"ran_ms":5,"output":"{output}"}}"#
            ))
            .await;
    }
    let before = bus.stats().await.exchange.finished;
    bus.until(move |now| now.exchange.finished >= before.max(count)).await;
}

/// Reads events up to this one; they come without a gap.
async fn reads_events(peer: &mut Peer, from: u64, to: u64) {
    for seq in from..=to {
        let event = next(peer).await;
        assert_eq!((&event["ev"], &event["seq"]), (&"job".into(), &seq.into()));
    }
}

#[test]
fn thousands_of_snapshots_asked_for_at_once_are_few() {
    run(async {
        let bus = Bus::start().await;
        let mut producer = Peer::producer(&bus).await;
        for priority in 0..500 {
            producer.submits(priority).await;
        }
        let mut greedy = Peer::register(&bus, r#""type":"observer""#).await;
        let before = bus.stats().await.broker;
        greedy.raw.say_at_once(r#"{"cmd":"subscribe"}"#, MANY).await;
        let all = before.messages + MANY as u64;
        let after = bus.until(move |now| now.broker.messages >= all).await.broker;
        producer.submits(0).await;
        let (mut snapshots, mut refused, mut length) = (0, 0, 0);
        while snapshots + refused < MANY {
            let answer = greedy.raw.text().await;
            if answer.starts_with(r#"{"ev":"snapshot""#) {
                (snapshots, length) = (snapshots + 1, length.max(answer.len()));
            } else if !answer.starts_with(r#"{"ev":"job""#) {
                let answer: Value = serde_json::from_str(&answer).unwrap();
                assert_eq!(answer["name"], "full");
                refused += 1;
            }
        }
        assert!(snapshots > 0 && snapshots < MANY / 10, "{snapshots} snapshots");
        assert!(length > 10_000, "{length} bytes: a snapshot of nothing");
        let said = usize::try_from(after.sent_bytes - before.sent_bytes).unwrap();
        assert!(said <= snapshots * length + MANY * 200, "{said} bytes");
        assert_eq!(bus.drop().await.slow_consumers, 0);
    });
}

#[test]
fn what_was_missed_is_told_a_piece_at_a_time_however_often_it_is_asked_for() {
    run(async {
        let bus = Bus::with(|config| config.outbox_bytes = 1024 * 1024).await;
        let (mut producer, mut scheduler) =
            (Peer::producer(&bus).await, Peer::scheduler(&bus, 1).await);
        run_jobs(&bus, &mut producer, &mut scheduler, 100).await;
        let mut greedy = Peer::register(&bus, r#""type":"observer""#).await;
        let before = bus.stats().await.broker;
        greedy.raw.say_at_once(r#"{"cmd":"subscribe","since":0}"#, MANY).await;
        let all = before.messages + MANY as u64;
        let mut most = 0;
        loop {
            let now = bus.stats().await;
            most = most.max(now.backlog + now.waiting);
            if now.broker.messages >= all {
                break;
            }
        }
        assert!(most <= 1024 * 1024 + 2 * OUTPUT, "{most} bytes waited");
        producer.submits(0).await;
        let (mut answers, mut last) = (0, 0);
        while answers < MANY || last < 400 {
            let message = next(&mut greedy).await;
            match message["ev"].as_str().unwrap() {
                "ok" => (answers, last) = (answers + 1, 0),
                _ => {
                    let seq = message["seq"].as_u64().unwrap();
                    assert_eq!(seq, last + 1);
                    last = seq;
                }
            }
        }
        assert_eq!(bus.drop().await.slow_consumers, 0);
    });
}

#[test]
fn what_was_missed_may_be_much_more_than_the_bus_holds_for_a_client() {
    run(async {
        let bus = Bus::with(|config| config.outbox_bytes = OUTBOX).await;
        let (mut producer, mut scheduler) =
            (Peer::producer(&bus).await, Peer::scheduler(&bus, 1).await);
        run_jobs(&bus, &mut producer, &mut scheduler, RUNS).await;
        let mut late = Peer::register(&bus, r#""type":"observer""#).await;
        late.ask(r#"{"cmd":"subscribe","since":0}"#, "ok").await;
        // It does not read yet, and more happens.
        run_jobs(&bus, &mut producer, &mut scheduler, 10).await;
        let held = bus.stats().await.backlog;
        assert!(held <= OUTBOX + 2 * OUTPUT, "{held} bytes");
        reads_events(&mut late, 1, 4 * (RUNS + 10)).await;
        // It follows again.
        producer.submits(1).await;
        reads_events(&mut late, 4 * (RUNS + 10) + 1, 4 * (RUNS + 10) + 2).await;
        assert_eq!(bus.drop().await.slow_consumers, 0);
    });
}

#[test]
fn who_follows_and_falls_behind_is_told_what_it_missed() {
    run(async {
        let bus = Bus::with(|config| config.outbox_bytes = OUTBOX).await;
        let mut watcher = Peer::observer(&bus).await;
        let (mut producer, mut scheduler) =
            (Peer::producer(&bus).await, Peer::scheduler(&bus, 1).await);
        run_jobs(&bus, &mut producer, &mut scheduler, RUNS).await;
        watcher.say(r#"{"cmd":"subscribe","id":7}"#).await;
        reads_events(&mut watcher, 1, 4 * RUNS).await;
        let snapshot = next(&mut watcher).await;
        assert_eq!((&snapshot["re"], &snapshot["seq"]), (&7.into(), &(4 * RUNS).into()));
        assert_eq!(bus.drop().await.slow_consumers, 0);
    });
}
