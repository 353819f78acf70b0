//! What has come in is read to its end, though nothing follows that would say so.

use std::net::Shutdown;

use crate::support::{Bus, JOB, request, run};

/// More than is read at once, several times.
const MANY: usize = 5000;

#[test]
fn a_burst_is_heard_to_its_last_message() {
    run(async {
        let bus = Bus::start().await;
        let mut producer = bus.raw().await;
        for bursts in 1..=10 {
            producer.say_at_once(&request(JOB), MANY).await;
            bus.until(move |now| now.broker.jobs == (bursts * MANY) as u64).await;
        }
        bus.drop().await;
    });
}

#[test]
fn an_end_that_comes_with_the_last_message_is_heard() {
    run(async {
        let bus = Bus::start().await;
        for clients in 1..=100 {
            let mut producer = bus.raw().await;
            producer.say_at_once(&request(JOB), 1).await;
            producer.0.get_ref().shutdown(Shutdown::Write).unwrap();
            bus.until(move |now| now.broker.jobs == clients && now.clients == 0).await;
        }
        bus.drop().await;
    });
}
