//! Floods: bounded memory, no deadlock, and the others are served.

use async_tungstenite::tungstenite::{Bytes, Message};
use futures_lite::{FutureExt, StreamExt};
use sched_core::bus::Role;

use crate::support::{Bus, JOB, Raw, request, run};

/// What deadlocks a server that reads and writes in turns.
const MANY: usize = 20_000;

/// A job gets through, whatever else is going on. What is left of a flood may
/// sweep the scheduler away; it comes back, so the job is sent until it arrives.
async fn expect_service(bus: &Bus) {
    let scheduler = bus.connected(Role::Scheduler).await;
    let mut producer = bus.raw().await;
    let payload = r#"{"priority":5,"runtime":5,"mark":"service"}"#;
    let sending = async {
        loop {
            producer.say(&request(payload)).await;
            producer.settle().await;
        }
    };
    let arrives = async { while scheduler.next_payload().await.unwrap().as_str() != payload {} };
    arrives.or(sending).await;
}

#[test]
fn a_client_that_only_sends_while_nobody_reads_stalls_nothing() {
    run(async {
        let bus = Bus::start().await;
        let mut sender = bus.raw_scheduler().await;
        let _never_reads = bus.raw_scheduler().await;
        for _ in 0..MANY {
            sender.say(&request(JOB)).await;
        }
        bus.until(|now| now.broker.jobs == MANY as u64).await;
        expect_service(&bus).await;
        bus.drop().await;
    });
}

#[test]
fn clients_that_send_to_each_other_and_never_read_stall_nothing() {
    run(async {
        let bus = Bus::with(|config| config.outbox_bytes = 64 * 1024).await;
        let flood = |mut raw: Raw| async move {
            let text = request(&format!(
                "{{\"priority\":1,\"runtime\":1,\"pad\":\"{}\"}}",
                "x".repeat(1000)
            ));
            // It is dropped at some point, and then cannot send any more.
            for _ in 0..MANY {
                if raw.0.send(Message::text(text.as_str())).await.is_err() {
                    break;
                }
            }
            raw
        };
        let (one, other) = (bus.raw_scheduler().await, bus.raw_scheduler().await);
        let (one, other) = (smol::spawn(flood(one)), smol::spawn(flood(other)));
        bus.until(|now| now.slow_consumers > 0).await;
        let _both = (one.await, other.await);
        expect_service(&bus).await;
        bus.drop().await;
    });
}

#[test]
fn a_flood_of_pings_that_are_never_read_takes_no_memory() {
    run(async {
        let bus = Bus::start().await;
        let mut pinger = bus.raw().await;
        for n in 0..MANY {
            let data = Bytes::from(format!("{n:0100}"));
            pinger.0.send(Message::Ping(data)).await.unwrap();
        }
        assert_eq!(bus.stats().await.backlog, 0);
        expect_service(&bus).await;
        // It is still answered, and the last ping for certain.
        let last = format!("{:0100}", MANY - 1);
        loop {
            match pinger.0.next().await.unwrap().unwrap() {
                Message::Pong(data) if data == last => break,
                Message::Pong(_) => {}
                other => panic!("{other:?}"),
            }
        }
        bus.drop().await;
    });
}

#[test]
fn a_flood_of_malformed_messages_is_counted() {
    run(async {
        let bus = Bus::start().await;
        let mut fool = bus.raw().await;
        for _ in 0..MANY {
            fool.say("{\"cmd\": nonsense").await;
        }
        expect_service(&bus).await;
        bus.until(|now| now.broker.faults == MANY as u64).await;
        bus.drop().await;
    });
}
