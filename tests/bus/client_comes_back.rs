//! F19: a client waits for its bus, and comes back when it loses it.

use std::net::SocketAddr;

use sched_core::Priority;
use sched_core::bus::{Role, TestJob};
use sched_runtime_smol::bus::{BusConfig, BusFailed, BusServer, ClientEvent};
use std::time::Duration;

use crate::support::{Bus, client_at, event, run};

/// An address where nobody listens.
fn free_address() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn job(n: i32) -> TestJob {
    TestJob { priority: Priority::new(n), runtime: Duration::from_secs(1) }
}

#[test]
fn f19_a_bus_that_is_not_there_is_waited_for() {
    run(async {
        let address = free_address();
        let producer = client_at(address, Role::Producer);
        let waiting = event(&producer, |event| matches!(event, ClientEvent::Waiting { .. })).await;
        let ClientEvent::Waiting { why, retry_in } = waiting else { panic!("{waiting:?}") };
        assert!(why.contains("refused"), "{why}");
        assert!(retry_in <= Duration::from_millis(300), "{retry_in:?}");
        let sent = smol::spawn(async move {
            producer.send_job(&job(1)).await.unwrap();
            producer
        });
        let bus = Bus::with(|config| config.listen = address).await;
        let producer = sent.await;
        bus.until(|now| now.broker.jobs == 1).await;
        assert_eq!(producer.close().await.connections, 1);
        bus.drop().await;
    });
}

#[test]
fn f19_a_bus_that_is_restarted_is_found_again_and_roles_are_taken_again() {
    run(async {
        let bus = Bus::start().await;
        let address = bus.address;
        let scheduler = bus.connected(Role::Scheduler).await;
        let producer = bus.connected(Role::Producer).await;
        producer.send_job(&job(1)).await.unwrap();
        assert_eq!(TestJob::from_payload(&scheduler.next_payload().await.unwrap()), Ok(job(1)));
        bus.end().await;
        for client in [&scheduler, &producer] {
            let lost = event(client, |event| matches!(event, ClientEvent::Lost { .. })).await;
            let ClientEvent::Lost { why, unsent } = lost else { panic!("{lost:?}") };
            assert!(why.contains("1001"), "{why}");
            assert_eq!(unsent, 0);
        }
        let bus = Bus::with(|config| config.listen = address).await;
        bus.until(|now| (now.producers, now.schedulers) == (1, 1)).await;
        producer.send_job(&job(2)).await.unwrap();
        assert_eq!(TestJob::from_payload(&scheduler.next_payload().await.unwrap()), Ok(job(2)));
        assert_eq!(producer.close().await.connections, 2);
        assert_eq!(scheduler.close().await.connections, 2);
        bus.drop().await;
    });
}

#[test]
fn a_bus_that_dies_is_lost_and_found_again() {
    run(async {
        let server = BusServer::bind(BusConfig::new(free_address())).await.unwrap();
        let address = server.local_addr();
        let running = smol::spawn(server.run());
        let client = client_at(address, Role::Scheduler);
        event(&client, |event| *event == ClientEvent::Connected).await;
        // Dropped, as a process that is killed: no close frame.
        drop(running);
        event(&client, |event| matches!(event, ClientEvent::Lost { .. })).await;
        let bus = Bus::with(|config| config.listen = address).await;
        bus.until(|now| now.schedulers == 1).await;
        assert_eq!(client.close().await.connections, 2);
        bus.drop().await;
    });
}

#[test]
fn a_client_can_be_closed_while_it_waits() {
    run(async {
        let client = client_at(free_address(), Role::Producer);
        event(&client, |event| matches!(event, ClientEvent::Waiting { .. })).await;
        let stats = client.close().await;
        assert_eq!((stats.connections, stats.accepted), (0, 0));
    });
}

#[test]
fn a_job_that_is_given_up_while_waiting_is_not_sent_later() {
    run(async {
        let address = free_address();
        let producer = client_at(address, Role::Producer);
        let given_up = smol::future::poll_once(producer.send_job(&job(1))).await;
        assert_eq!(given_up, None);
        let bus = Bus::with(|config| config.listen = address).await;
        producer.send_job(&job(2)).await.unwrap();
        assert_eq!(producer.close().await.accepted, 1);
        assert_eq!(bus.drop().await.broker.jobs, 1);
    });
}

#[test]
fn what_could_not_be_sent_is_told() {
    run(async {
        let listener = smol::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let client = client_at(listener.local_addr().unwrap(), Role::Producer);
        let (tcp, _) = listener.accept().await.unwrap();
        // A bus that shakes hands, and never reads.
        let stalled = async_tungstenite::accept_async(tcp).await.unwrap();
        let text = format!("\"{}\"", "x".repeat(500_000));
        let mut accepted = 0;
        while let Some(sent) =
            smol::future::or(async { Some(client.send_text(text.clone()).await) }, async {
                smol::Timer::after(Duration::from_millis(500)).await;
                None
            })
            .await
        {
            sent.unwrap();
            accepted += 1;
        }
        drop(stalled);
        let lost = event(&client, |event| matches!(event, ClientEvent::Lost { .. })).await;
        let ClientEvent::Lost { unsent, .. } = lost else { panic!("{lost:?}") };
        assert!(unsent > 0 && unsent <= accepted, "{unsent} of {accepted}");
        let stats = client.close().await;
        assert_eq!((stats.unsent, stats.accepted), (unsent, accepted));
    });
}

#[test]
fn a_bus_that_fails_says_so_and_is_gone() {
    run(async {
        let server = BusServer::bind(BusConfig::new(free_address())).await.unwrap();
        let (address, handle) = (server.local_addr(), server.handle());
        let running = smol::spawn(server.run());
        let client = client_at(address, Role::Scheduler);
        event(&client, |event| *event == ClientEvent::Connected).await;
        let stats = handle.until(|_| panic!("the thread of this bus panics on purpose")).await;
        assert_eq!(stats.map(|_| ()), None);
        assert_eq!(running.await.map(|_| ()), Err(BusFailed));
        event(&client, |event| matches!(event, ClientEvent::Lost { .. })).await;
    });
}
