//! How the bus closes a connection: with a code, that arrives.

use async_tungstenite::tungstenite::Message;
use async_tungstenite::tungstenite::protocol::frame::Frame;
use async_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use sched_core::bus::Role;
use smol::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Bus, JOB, Raw, request, run};

/// Lets `offend` do its worst, and checks the code it is closed with; the
/// other clients must not notice.
async fn expect_code(code: u16, offend: impl AsyncFnOnce(&mut Raw)) {
    let bus = Bus::with(|config| config.max_frame = 1000).await;
    let scheduler = bus.connected(Role::Scheduler).await;
    let mut offender = bus.raw().await;
    offend(&mut offender).await;
    let (close, _) = offender.closed().await;
    assert_eq!(close.map(|close| u16::from(close.0)), Some(code));
    bus.until(|now| now.clients == 1).await;
    let mut producer = bus.raw().await;
    producer.say(&request(JOB)).await;
    assert_eq!(scheduler.next_payload().await.unwrap().as_str(), JOB);
    assert_eq!(bus.drop().await.violations, 1);
}

#[test]
fn a_frame_over_the_limit_is_closed_with_1009() {
    run(expect_code(1009, async |raw| {
        raw.0.send(Message::text("x".repeat(1001))).await.unwrap();
    }));
}

#[test]
fn a_frame_far_over_the_limit_is_closed_with_1009_too() {
    run(expect_code(1009, async |raw| {
        // More than fits into the buffers between: the bus must go on reading
        // for its close to arrive. The write may fail; the close must not.
        let _cut_off = raw.0.send(Message::text("x".repeat(20_000_000))).await;
    }));
}

#[test]
fn fragments_over_the_limit_are_closed_with_1009() {
    run(expect_code(1009, async |raw| {
        let part = |code| Frame::message("x".repeat(600), OpCode::Data(code), false);
        raw.0.send(Message::Frame(part(Data::Text))).await.unwrap();
        raw.0.send(Message::Frame(part(Data::Continue))).await.unwrap();
    }));
}

#[test]
fn invalid_utf8_is_closed_with_1007() {
    run(expect_code(1007, async |raw| {
        let frame = Frame::message(vec![b'{', 0xff, 0xfe], OpCode::Data(Data::Text), true);
        raw.0.send(Message::Frame(frame)).await.unwrap();
    }));
}

#[test]
fn a_frame_without_a_mask_is_closed_with_1002() {
    run(expect_code(1002, async |raw| {
        raw.0.get_mut().write_all(&[0x81, 2, b'{', b'}']).await.unwrap();
    }));
}

#[test]
fn garbage_after_the_handshake_is_closed_with_1002() {
    run(expect_code(1002, async |raw| {
        raw.0.get_mut().write_all(&[0xff; 64]).await.unwrap();
    }));
}

#[test]
fn a_client_that_breaks_off_is_no_fault() {
    run(async {
        let bus = Bus::start().await;
        let mut raw = bus.raw().await;
        raw.0.get_mut().write_all(&[0x81, 0xff, 0, 0]).await.unwrap();
        drop(raw);
        let stats = bus.until(|now| now.connected == 1 && now.clients == 0).await;
        assert_eq!((stats.violations, stats.broker.faults), (0, 0));
        bus.drop().await;
    });
}

#[test]
fn a_close_is_answered_and_the_socket_closed_by_the_bus() {
    run(async {
        let bus = Bus::start().await;
        let mut raw = bus.raw().await;
        raw.0.close(None).await.unwrap();
        let (close, _) = raw.closed().await;
        assert_eq!(close, None, "a close without a code is answered without one");
        let end = raw.0.get_mut().read(&mut [0; 8]).await;
        assert!(matches!(end, Ok(0)), "{end:?}");
        bus.until(|now| now.clients == 0).await;
        bus.drop().await;
    });
}

#[test]
fn a_bus_that_stops_closes_everybody_with_1001() {
    run(async {
        let bus = Bus::start().await;
        let mut clients = Vec::new();
        for _ in 0..20 {
            clients.push(bus.raw().await);
        }
        bus.until(|now| now.clients == 20).await;
        bus.shutdown();
        for client in &mut clients {
            let (close, _) = client.closed().await;
            assert_eq!(close.map(|close| u16::from(close.0)), Some(1001));
        }
        assert_eq!(bus.end().await.clients, 0);
    });
}
