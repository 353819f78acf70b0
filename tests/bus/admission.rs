//! Who gets in: no foreign pages, no garbage, and not too many.

use std::net::SocketAddr;
use std::time::Duration;

use async_tungstenite::tungstenite::Error;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sched_tests::processes::{Bench, alone, sh};
use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::net::TcpStream;

use crate::support::{Bus, Raw, run};

async fn status(address: SocketAddr, headers: &[(&'static str, &str)]) -> u16 {
    match Raw::shake(address, headers).await {
        Ok(_) => 101,
        Err(Error::Http(response)) => response.status().as_u16(),
        Err(other) => panic!("{headers:?}: {other}"),
    }
}

#[test]
fn a_page_of_another_site_gets_403() {
    run(async {
        let bus = Bus::start().await;
        let port = bus.address.port();
        let foreign = [
            "http://evil.example".to_owned(),
            format!("http://localhost.evil.example:{port}"),
            format!("http://127.0.0.1.evil.example:{port}"),
            format!("https://127.0.0.1:{port}"),
            "http://127.0.0.1:1".to_owned(),
            "null".to_owned(),
            String::new(),
        ];
        for origin in &foreign {
            assert_eq!(status(bus.address, &[("Origin", origin)]).await, 403, "{origin}");
        }
        let count = foreign.len() as u64;
        bus.until(move |now| now.refused == count).await;
        for origin in [format!("http://127.0.0.1:{port}"), format!("http://localhost:{port}")] {
            assert_eq!(status(bus.address, &[("Origin", &origin)]).await, 101, "{origin}");
        }
        assert_eq!(status(bus.address, &[]).await, 101, "a native client sends no Origin");
        bus.until(|now| now.connected == 3).await;
        bus.drop().await;
    });
}

#[test]
fn a_false_host_gets_403() {
    run(async {
        let bus = Bus::with(|config| config.allowed_hosts.push("bus.example".to_owned())).await;
        let port = bus.address.port();
        for host in ["evil.example".to_owned(), format!("localhost.evil.example:{port}")] {
            let same = format!("http://{host}");
            assert_eq!(status(bus.address, &[("Host", &host), ("Origin", &same)]).await, 403);
            assert_eq!(status(bus.address, &[("Host", &host)]).await, 403);
        }
        for host in ["localhost", "[::1]:1", "bus.example:8101"] {
            assert_eq!(status(bus.address, &[("Host", host)]).await, 101, "{host}");
        }
        assert_eq!(bus.drop().await.refused, 4);
    });
}

#[test]
fn half_a_handshake_blocks_nobody_and_is_ended_in_time() {
    run(async {
        let bus = Bus::with(|config| config.handshake_time = Duration::from_millis(200)).await;
        let mut half = TcpStream::connect(bus.address).await.unwrap();
        half.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgr").await.unwrap();
        let mut silent = TcpStream::connect(bus.address).await.unwrap();
        bus.raw().await.settle().await;
        for tcp in [&mut half, &mut silent] {
            let end = tcp.read(&mut [0; 8]).await;
            assert!(!matches!(end, Ok(1..)), "{end:?}");
        }
        bus.until(|now| now.handshakes_failed == 2).await;
        bus.drop().await;
    });
}

#[test]
fn garbage_instead_of_a_handshake_is_counted_and_closed() {
    run(async {
        let bus = Bus::start().await;
        let garbage: [&[u8]; 5] = [
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\r\n\r\n",
            b"GET /ws HTTP/1.1\r\nHost: localhost\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: localhost\r\n\r\n",
            &[b'x'; 100_000],
        ];
        for bytes in garbage {
            let mut tcp = TcpStream::connect(bus.address).await.unwrap();
            let _cut_off = tcp.write_all(bytes).await;
            let _end = tcp.read_to_end(&mut Vec::new()).await;
        }
        let count = garbage.len() as u64;
        bus.until(move |now| (now.handshakes_failed, now.http_requests) == (count, 0)).await;
        bus.raw().await.settle().await;
        bus.drop().await;
    });
}

#[test]
fn connections_over_the_cap_are_turned_away_and_there_is_room_again_later() {
    run(async {
        let bus = Bus::with(|config| config.max_connections = 3).await;
        let mut clients = Vec::new();
        for _ in 0..3 {
            clients.push(bus.raw().await);
        }
        for n in 1..=5 {
            assert!(Raw::shake(bus.address, &[]).await.is_err());
            bus.until(move |now| now.turned_away == n).await;
        }
        for client in &mut clients {
            client.settle().await;
        }
        drop(clients.pop());
        bus.until(|now| now.clients == 2).await;
        while Raw::shake(bus.address, &[]).await.is_err() {}
        bus.drop().await;
    });
}

/// As most systems have it, to speak in small numbers.
fn limit_descriptors(soft: u64, hard: u64) {
    let limit = Rlimit { current: Some(soft), maximum: Some(hard) };
    setrlimit(Resource::Nofile, limit).expect("a limit below the hard one");
}

#[test]
fn a_low_soft_limit_of_descriptors_keeps_nobody_out_and_is_what_processes_get() {
    const TEST: &str = "admission::\
                        a_low_soft_limit_of_descriptors_keeps_nobody_out_and_is_what_processes_get";
    alone(TEST, || {
        limit_descriptors(64, 1_000);
        run(async {
            let bus = Bus::start().await;
            assert_eq!(getrlimit(Resource::Nofile).current, Some(1_000));
            let mut clients = Vec::new();
            for _ in 0..100 {
                clients.push(bus.raw().await);
            }
            bus.until(|now| now.clients == 100).await;
            let mut bench = Bench::new(1);
            let (exit, _) = bench.complete(&sh("[ $(ulimit -Sn) = 64 ]")).await;
            assert!(exit.status.is_success(), "{exit:?}");
            drop(clients);
            bus.drop().await;
        });
    });
}

#[test]
fn a_soft_limit_that_is_enough_stays() {
    alone("admission::a_soft_limit_that_is_enough_stays", || {
        limit_descriptors(512, 1_000);
        run(async {
            let bus = Bus::with(|config| config.max_connections = 3).await;
            assert_eq!(getrlimit(Resource::Nofile).current, Some(512));
            bus.drop().await;
        });
    });
}
