//! What has come in is read to its end, though nothing follows that would say so.

use std::net::Shutdown;

use smol::io::AsyncWriteExt;

use crate::support::{Bus, JOB, request, run};

/// More than is read at once, several times.
const MANY: usize = 5000;

/// A text as a client sends it, whose mask changes nothing.
fn frame(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).ok().filter(|length| *length < 126).expect("short");
    [&[0x81, 0x80 | length, 0, 0, 0, 0], text.as_bytes()].concat()
}

#[test]
fn a_burst_is_heard_to_its_last_message() {
    run(async {
        let bus = Bus::start().await;
        let mut producer = bus.raw().await;
        let burst = frame(&request(JOB)).repeat(MANY);
        for bursts in 1..=10 {
            producer.0.get_mut().write_all(&burst).await.unwrap();
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
            let tcp = producer.0.get_mut();
            tcp.write_all(&frame(&request(JOB))).await.unwrap();
            tcp.shutdown(Shutdown::Write).unwrap();
            bus.until(move |now| now.broker.jobs == clients && now.clients == 0).await;
        }
        bus.drop().await;
    });
}
