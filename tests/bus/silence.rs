//! Pings after a silence, on both ends.

use std::time::Duration;

use async_tungstenite::tungstenite::Message;
use futures_lite::StreamExt;
use sched_core::bus::Role;
use sched_runtime_smol::bus::{BusClient, ClientConfig, ClientEvent};
use smol::net::TcpListener;

use crate::support::{Bus, event, run};

/// For those who will not answer.
const SOON: Duration = Duration::from_millis(50);

/// For those who will: long enough for a busy machine.
const LATER: Duration = Duration::from_secs(1);

#[test]
fn a_client_that_answers_pings_may_be_silent_for_long() {
    run(async {
        let bus = Bus::with(|config| config.ping_after = LATER).await;
        let mut quiet = bus.raw().await;
        for _ in 0..3 {
            let message = quiet.0.next().await.unwrap().unwrap();
            assert!(matches!(message, Message::Ping(_)), "{message:?}");
        }
        assert_eq!(bus.drop().await.silent, 0);
    });
}

#[test]
fn a_client_that_does_not_answer_a_ping_is_closed() {
    run(async {
        let bus = Bus::with(|config| config.ping_after = SOON).await;
        let dead = bus.raw_scheduler().await;
        let stats = bus.until(|now| now.silent == 1).await;
        assert_eq!((stats.clients, stats.schedulers), (0, 0));
        drop(dead);
        bus.drop().await;
    });
}

#[test]
fn our_clients_answer_pings_in_either_role() {
    run(async {
        let bus = Bus::with(|config| config.ping_after = LATER).await;
        let producer = bus.connected(Role::Producer).await;
        let scheduler = bus.connected(Role::Scheduler).await;
        let mut witness = bus.raw().await;
        // The witness is pinged as often as they are.
        for _ in 0..3 {
            witness.0.next().await.unwrap().unwrap();
        }
        assert_eq!(producer.close().await.connections, 1);
        assert_eq!(scheduler.close().await.connections, 1);
        bus.drop().await;
    });
}

#[test]
fn a_bus_that_does_not_answer_a_ping_is_given_up() {
    run(async {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("ws://{}", listener.local_addr().unwrap()).parse().unwrap();
        let mut config = ClientConfig::new(url, Role::Producer);
        config.ping_after = SOON;
        let client = BusClient::open(config);
        let (tcp, _) = listener.accept().await.unwrap();
        let dead = async_tungstenite::accept_async(tcp).await.unwrap();
        let lost = event(&client, |event| matches!(event, ClientEvent::Lost { .. })).await;
        let why = "no answer to a ping".to_owned();
        assert_eq!(lost, ClientEvent::Lost { why, unsent: 0 });
        drop(dead);
        client.close().await;
    });
}
