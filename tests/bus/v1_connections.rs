//! What becomes of a scheduler's jobs when its connection ends.

use std::time::Duration;

use async_tungstenite::tungstenite::Message;
use async_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use serde_json::Value;

use crate::support::{Bus, run};
use crate::v1_support::{Peer, text};

/// A scheduler that runs a job.
async fn at_work(bus: &Bus) -> (Peer, Value) {
    let mut scheduler = Peer::scheduler(bus, 1).await;
    Peer::producer(bus).await.submits(3).await;
    let assignment = scheduler.hears("assign").await;
    scheduler.reports(&assignment, "started").await;
    scheduler.hears("ok").await;
    (scheduler, assignment)
}

#[test]
fn a_scheduler_that_comes_back_keeps_its_jobs() {
    run(async {
        let bus = Bus::start().await;
        let (scheduler, assignment) = at_work(&bus).await;
        let session = scheduler.session().to_owned();
        drop(scheduler);
        bus.until(|now| now.schedulers == 0).await;
        let mut back = Peer::back(&bus, &session, 1).await;
        assert_eq!(back.session(), session);
        let beat = format!(r#"{{"cmd":"beat","leases":[{}]}}"#, assignment["lease"]);
        assert_eq!(back.ask(&beat, "beat").await["revoked"], Value::Array(Vec::new()));
        back.reports(&assignment, "finished").await;
        back.hears("ok").await;
        let stats = bus.drop().await;
        assert_eq!((stats.exchange.finished, stats.exchange.leases_lost), (1, 0));
    });
}

#[test]
fn one_that_was_not_heard_of_its_assignment_is_told_again() {
    run(async {
        let bus = Bus::start().await;
        let mut scheduler = Peer::scheduler(&bus, 1).await;
        Peer::producer(&bus).await.submits(3).await;
        let assignment = scheduler.hears("assign").await;
        let session = scheduler.session().to_owned();
        drop(scheduler);
        let mut back = Peer::back(&bus, &session, 1).await;
        assert_eq!(back.hears("assign").await, assignment);
        bus.drop().await;
    });
}

#[test]
fn a_scheduler_that_closes_in_order_gives_its_jobs_back_at_once() {
    for code in [CloseCode::Normal, CloseCode::Away] {
        run(async {
            let bus = Bus::start().await;
            let (mut scheduler, assignment) = at_work(&bus).await;
            let mut other = Peer::scheduler(&bus, 1).await;
            scheduler.closes(code).await;
            let again = other.hears("assign").await;
            assert_eq!(again["job"], assignment["job"]);
            assert_ne!(again["lease"], assignment["lease"]);
            bus.drop().await;
        });
    }
}

#[test]
fn one_that_breaks_off_or_closes_with_an_error_loses_them_with_its_lease() {
    for code in [None, Some(CloseCode::Protocol), Some(CloseCode::Error)] {
        run(async {
            let bus = Bus::with(|config| {
                (config.lease, config.beat) = (Duration::from_secs(1), Duration::from_secs(1));
            })
            .await;
            let (mut scheduler, assignment) = at_work(&bus).await;
            let session = scheduler.session().to_owned();
            let mut other = Peer::scheduler(&bus, 1).await;
            let mut observer = Peer::observer(&bus).await;
            match code {
                Some(code) => scheduler.closes(code).await,
                None => drop(scheduler),
            }
            bus.until(|now| now.schedulers == 1).await;
            assert_eq!(observer.change().await.1, "pending");
            assert_eq!(bus.stats().await.exchange.leases_lost, 1, "not before it has lapsed");
            let again = other.hears("assign").await;
            assert_eq!(again["job"], assignment["job"]);
            let mut back = Peer::back(&bus, &session, 1).await;
            back.reports(&assignment, "finished").await;
            assert_eq!(back.hears("error").await["name"], "stale_lease");
            let stats = bus.drop().await;
            assert_eq!((stats.exchange.stale_reports, stats.exchange.finished), (1, 0));
        });
    }
}

#[test]
fn a_session_has_one_connection_and_the_newest_has_it() {
    run(async {
        let bus = Bus::start().await;
        let (mut old, assignment) = at_work(&bus).await;
        let mut new = Peer::back(&bus, old.session(), 1).await;
        let (close, _) = old.raw.closed().await;
        assert_eq!(close, Some((CloseCode::Normal, "taken over".to_owned())));
        bus.until(|now| now.clients == 1).await;
        new.reports(&assignment, "finished").await;
        new.hears("ok").await;
        let stats = bus.drop().await;
        assert_eq!((stats.exchange.finished, stats.exchange.leases_lost), (1, 0));
    });
}

#[test]
fn an_unknown_session_is_a_new_one() {
    run(async {
        let bus = Bus::start().await;
        let peer = Peer::back(&bus, "s7", 1).await;
        assert_ne!(peer.session(), "s7");
        bus.drop().await;
    });
}

#[test]
fn a_frame_over_the_limit_is_closed_with_1009() {
    run(async {
        let bus = Bus::with(|config| config.max_frame = 1000).await;
        let mut client = Peer::producer(&bus).await;
        assert_eq!(client.welcome["max_frame"], 1000);
        client.raw.0.send(Message::text("x".repeat(1001))).await.unwrap();
        let (close, _) = client.raw.closed().await;
        assert_eq!(close.map(|close| close.0), Some(CloseCode::Size));
        bus.until(|now| now.clients == 0).await;
        bus.drop().await;
    });
}

#[test]
fn an_observer_that_does_not_read_is_closed_and_nobody_else_notices() {
    run(async {
        let bus = Bus::with(|config| config.outbox_bytes = 10_000).await;
        let mut slow = Peer::observer(&bus).await;
        let (mut producer, mut other) = (Peer::producer(&bus).await, Peer::observer(&bus).await);
        let pad = "x".repeat(2000);
        let mut submitted = 0;
        while bus.stats().await.slow_consumers == 0 {
            let request = format!(
                r#"{{"cmd":"submit","id":1,"payload":{{"priority":1}},"opts":{{"key":"{submitted}"}}}}"#
            );
            producer.ask(&request, "accepted").await;
            assert_eq!(other.change().await.1, "pending");
            // Answers that are asked for, and not read, fill an outbox too.
            slow.say(&format!(r#"{{"cmd":"{pad}"}}"#)).await;
            submitted += 1;
        }
        let (close, _) = slow.raw.closed().await;
        assert_eq!(close, Some((CloseCode::Policy, "slow_consumer".to_owned())));
        let job = text(
            &producer.ask(r#"{"cmd":"submit","id":1,"payload":{"priority":1}}"#, "accepted").await,
            "job",
        )
        .to_owned();
        assert_eq!(other.change().await, (job, "pending".to_owned()));
        bus.drop().await;
    });
}
