//! Clients of both versions on one bus.

use sched_core::bus::Role;

use crate::support::{Bus, JOB, request, run};
use crate::v1_support::Peer;

#[test]
fn a_version_0_scheduler_hears_payloads_and_nothing_else() {
    run(async {
        let bus = Bus::start().await;
        let old = bus.connected(Role::Scheduler).await;
        let mut new = Peer::producer(&bus).await;
        new.submits(1).await;
        new.say(&request(JOB)).await;
        assert_eq!(old.next_payload().await.unwrap().as_str(), JOB);
        let stats = bus.drop().await;
        assert_eq!((stats.broker.transmitted, stats.exchange.pending), (1, 1));
    });
}

#[test]
fn a_version_0_job_goes_to_each_old_scheduler_and_to_one_new_one() {
    run(async {
        let bus = Bus::start().await;
        let old = bus.connected(Role::Scheduler).await;
        let mut new = Peer::scheduler(&bus, 5).await;
        let mut other = Peer::scheduler(&bus, 4).await;
        bus.raw().await.say(&request(JOB)).await;
        assert_eq!(old.next_payload().await.unwrap().as_str(), JOB);
        let assignment = new.hears("assign").await;
        assert_eq!(assignment["payload"].to_string(), JOB);
        new.reports(&assignment, "started").await;
        new.reports(&assignment, "finished").await;
        other.has_heard_nothing_of("assign").await;
        bus.until(|now| now.exchange.finished == 1).await;
        bus.drop().await;
    });
}

#[test]
fn without_a_scheduler_of_version_1_nothing_changes_for_version_0() {
    run(async {
        let bus = Bus::start().await;
        let mut producer = bus.raw().await;
        producer.say(&request(JOB)).await;
        let stats = bus.until(|now| now.broker.dropped == 1).await;
        assert_eq!(stats.exchange.accepted, 0);
        bus.drop().await;
    });
}

#[test]
fn queued_job_requests_are_neither_lost_nor_doubled() {
    run(async {
        let bus = Bus::with(|config| config.queue_job_requests = true).await;
        let mut producer = bus.raw().await;
        producer.say(r#"{"cmd":"register","type":"producer"}"#).await;
        for _ in 0..3 {
            producer.say(&request(JOB)).await;
        }
        let stats = bus.until(|now| now.exchange.pending == 3).await;
        assert_eq!((stats.broker.dropped, stats.broker.transmitted), (0, 0));
        let mut old = bus.raw_scheduler().await;
        let (mut one, mut two) = (Peer::scheduler(&bus, 2).await, Peer::scheduler(&bus, 2).await);
        for _ in 0..2 {
            let assignment = one.hears("assign").await;
            one.reports(&assignment, "finished").await;
        }
        let assignment = two.hears("assign").await;
        two.reports(&assignment, "finished").await;
        bus.until(|now| now.exchange.finished == 3).await;
        // Its messages would have come before the end.
        bus.shutdown();
        assert_eq!(old.closed().await.1, 0);
        assert_eq!(producer.closed().await.1, 0, "a producer of version 0 does not read");
    });
}
