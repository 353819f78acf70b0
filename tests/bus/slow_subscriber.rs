//! A subscriber that does not read is dropped, and nobody else notices.

use sched_core::bus::Role;

use crate::support::{Bus, request, run};

const LIMIT: usize = 256 * 1024;

fn payload(n: usize) -> String {
    format!("{{\"priority\":1,\"runtime\":1,\"n\":{n},\"pad\":\"{}\"}}", "x".repeat(10_000))
}

#[test]
fn f9_a_subscriber_that_stops_reading_is_dropped_and_the_others_get_everything() {
    run(async {
        const JOBS: usize = 2000;
        let bus = Bus::with(|config| config.outbox_bytes = LIMIT).await;
        let mut stalled = bus.raw_scheduler().await;
        let reader = bus.connected(Role::Scheduler).await;
        let mut producer = bus.raw().await;
        let mut most = 0;
        for n in 0..JOBS {
            producer.say(&request(&payload(n))).await;
            assert_eq!(reader.next_payload().await.unwrap().as_str(), payload(n));
            most = most.max(bus.stats().await.backlog);
        }
        // Both outboxes together, each with room for one message more.
        assert!(most <= 2 * (LIMIT + 11_000), "{most} bytes waited");
        let stats = bus.stats().await;
        assert_eq!((stats.slow_consumers, stats.schedulers), (1, 1));
        let (close, got) = stalled.closed().await;
        assert!(got < JOBS, "{got} came through");
        if let Some((code, reason)) = close {
            assert_eq!((u16::from(code), reason.as_str()), (1008, "slow_consumer"));
        }
        bus.drop().await;
    });
}

#[test]
fn a_slow_subscriber_that_begins_to_read_again_is_told_why_it_was_dropped() {
    run(async {
        let bus = Bus::with(|config| config.outbox_bytes = LIMIT).await;
        let mut stalled = bus.raw_scheduler().await;
        let mut producer = bus.raw().await;
        let mut sent = 0;
        while bus.stats().await.slow_consumers == 0 {
            producer.say(&request(&payload(sent))).await;
            producer.settle().await;
            sent += 1;
        }
        let (close, got) = stalled.closed().await;
        let close = close.map(|(code, reason)| (u16::from(code), reason));
        assert_eq!(close, Some((1008, "slow_consumer".to_owned())));
        assert!(got < sent);
        bus.until(|now| now.clients == 1).await;
        bus.drop().await;
    });
}

#[test]
fn a_message_greater_than_the_outbox_is_still_delivered() {
    run(async {
        let bus = Bus::with(|config| config.outbox_bytes = 1000).await;
        let scheduler = bus.connected(Role::Scheduler).await;
        let mut producer = bus.raw().await;
        producer.say(&request(&payload(0))).await;
        assert_eq!(scheduler.next_payload().await.unwrap().as_str(), payload(0));
        assert_eq!(bus.drop().await.slow_consumers, 0);
    });
}
