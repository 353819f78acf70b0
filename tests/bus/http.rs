//! Plain HTTP beside the WebSocket, asked by a client that is only a socket.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::net::TcpStream;
use smol::process::Command;

use crate::support::{Bus, run};
use crate::v1_support::{Directory, Peer, text};

/// What a server said.
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn of(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{text:?}"));
        let status = head.split(' ').nth(1).and_then(|it| it.parse().ok());
        let status = status.unwrap_or_else(|| panic!("{head:?}"));
        Self { status, head: head.to_owned(), body: body.to_owned() }
    }

    fn header(&self, name: &str) -> Option<&str> {
        let fields = self.head.lines().filter_map(|line| line.split_once(": "));
        fields.filter(|(it, _)| it.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }

    fn events(&self) -> Vec<Value> {
        self.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Sends this, and reads until the server ends the connection.
async fn exchange(address: SocketAddr, request: &str) -> Answer {
    let mut tcp = TcpStream::connect(address).await.unwrap();
    tcp.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    tcp.read_to_string(&mut text).await.unwrap();
    Answer::of(&text)
}

async fn ask(bus: &Bus, method: &str, path: &str, fields: &str) -> Answer {
    let host = bus.address;
    let head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n");
    exchange(bus.address, &head).await
}

async fn get(bus: &Bus, path: &str) -> Answer {
    ask(bus, "GET", path, "").await
}

const PATHS: [&str; 7] =
    ["/", "/page.css", "/page.js", "/healthz", "/readyz", "/metrics", "/events.jsonl"];

#[test]
fn every_path_is_answered_and_the_connection_ends() {
    run(async {
        let bus = Bus::start().await;
        for path in PATHS {
            let answer = get(&bus, path).await;
            assert_eq!(answer.status, 200, "{path}");
            assert_eq!(answer.header("connection"), Some("close"));
            assert_eq!(answer.header("cache-control"), Some("no-store"));
            let length = answer.body.len().to_string();
            assert_eq!(answer.header("content-length"), Some(&*length), "{path}");
            assert_eq!(get(&bus, &format!("{path}?since=1")).await.status, 200);
            let head = ask(&bus, "HEAD", path, "").await;
            assert_eq!((head.status, &*head.body), (200, ""), "{path}");
            assert_eq!(head.header("content-type"), answer.header("content-type"));
            let named = head.header("content-length").is_some();
            assert_eq!(named, !answer.body.is_empty(), "{path}: {}", head.head);
        }
        bus.until(|now| now.http_requests == 3 * PATHS.len() as u64).await;
        let stats = bus.drop().await;
        assert_eq!((stats.connected, stats.handshakes_failed, stats.refused), (0, 0, 0));
    });
}

#[test]
fn what_is_not_served_is_said_and_counted() {
    run(async {
        let bus = Bus::start().await;
        for path in ["/nothing", "/metrics/", "/healthz/..", "//", "/Healthz", "/index.html"] {
            let answer = get(&bus, path).await;
            assert_eq!(answer.status, 404, "{path}");
            assert!(PATHS[3..].iter().all(|path| answer.body.contains(path)), "{}", answer.body);
        }
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "BREW"] {
            for path in ["/", "/metrics"] {
                let answer = ask(&bus, method, path, "Content-Length: 0\r\n").await;
                assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD")));
            }
        }
        bus.until(|now| now.handshakes_failed == 18).await;
        assert_eq!(bus.drop().await.http_requests, 0);
    });
}

#[test]
fn a_body_that_nobody_wants_does_not_lose_the_answer() {
    run(async {
        let bus = Bus::start().await;
        let fields = format!("Content-Length: 100000\r\n\r\n{}", "x".repeat(100_000));
        assert_eq!(ask(&bus, "POST", "/healthz", &fields).await.status, 405);
        assert_eq!(ask(&bus, "GET", "/healthz", &fields).await.status, 200);
        bus.drop().await;
    });
}

#[test]
fn a_foreign_page_or_a_false_name_gets_403_from_every_path() {
    run(async {
        let bus = Bus::start().await;
        let port = bus.address.port();
        for path in PATHS.into_iter().chain(["/nothing"]) {
            let foreign = ask(&bus, "GET", path, "Origin: http://evil.example\r\n").await;
            assert_eq!(foreign.status, 403, "{path}");
            let rebound = format!("GET {path} HTTP/1.1\r\nHost: evil.example\r\n\r\n");
            assert_eq!(exchange(bus.address, &rebound).await.status, 403, "{path}");
            let nameless = format!("GET {path} HTTP/1.0\r\n\r\n");
            assert_eq!(exchange(bus.address, &nameless).await.status, 403, "{path}");
        }
        bus.until(|now| now.refused == 24).await;
        let own = format!("Origin: http://localhost:{port}\r\n");
        assert_eq!(ask(&bus, "GET", "/metrics", &own).await.status, 200);
        assert_eq!(bus.drop().await.handshakes_failed, 0);
    });
}

#[test]
fn the_page_comes_whole_and_may_use_nothing_but_the_bus() {
    run(async {
        let bus = Bus::start().await;
        let kinds = ["text/html", "text/css", "text/javascript"];
        let mut size = 0;
        for (path, kind) in PATHS.into_iter().zip(kinds) {
            let answer = get(&bus, path).await;
            let expected = format!("{kind}; charset=utf-8");
            assert_eq!(answer.header("content-type"), Some(&*expected));
            let policy = answer.header("content-security-policy").unwrap();
            for rule in [
                "default-src 'none'",
                "script-src 'self'",
                "style-src 'self'",
                "connect-src 'self'",
                "base-uri 'none'",
                "form-action 'none'",
                "frame-ancestors 'none'",
            ] {
                assert!(policy.split("; ").any(|it| it == rule), "{rule}: {policy}");
            }
            assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
            assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
            size += answer.body.len();
        }
        assert!(size < 60 * 1024, "{size} bytes");
        let page = get(&bus, "/").await.body;
        assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"));
        for (part, count) in [("<script", 1), ("<link rel=\"stylesheet\"", 1), ("<style", 0)] {
            assert_eq!(page.matches(part).count(), count, "{part}");
        }
        bus.drop().await;
    });
}

#[test]
fn the_page_may_open_its_socket_and_a_foreign_one_may_not() {
    run(async {
        let bus = Bus::start().await;
        let port = bus.address.port();
        let handshake = |host: &str, origin: &str| {
            format!(
                "GET / HTTP/1.1\r\nHost: {host}:{port}\r\nOrigin: {origin}\r\n\
                 Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                 Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            )
        };
        for host in ["localhost", "127.0.0.1"] {
            let request = handshake(host, &format!("http://{host}:{port}"));
            let mut tcp = TcpStream::connect(bus.address).await.unwrap();
            tcp.write_all(request.as_bytes()).await.unwrap();
            let mut status = [0; 12];
            tcp.read_exact(&mut status).await.unwrap();
            assert_eq!(&status, b"HTTP/1.1 101", "{host}");
        }
        for origin in ["http://evil.example", "http://localhost:1", "null"] {
            let answer = exchange(bus.address, &handshake("localhost", origin)).await;
            assert_eq!(answer.status, 403, "{origin}");
        }
        bus.until(|now| (now.connected, now.refused) == (2, 3)).await;
        bus.drop().await;
    });
}

#[test]
fn a_head_that_is_too_long_or_no_head_is_refused() {
    run(async {
        let bus = Bus::start().await;
        let long = format!("X: {}\r\n", "x".repeat(20_000));
        assert_eq!(ask(&bus, "GET", "/healthz", &long).await.status, 431);
        assert_eq!(exchange(bus.address, "what is this\r\n\r\n").await.status, 400);
        bus.until(|now| now.handshakes_failed == 2).await;
        bus.drop().await;
    });
}

#[test]
fn a_request_that_is_not_finished_in_time_is_ended_and_blocks_nobody() {
    run(async {
        let bus = Bus::with(|config| config.handshake_time = Duration::from_millis(200)).await;
        let mut slow = TcpStream::connect(bus.address).await.unwrap();
        slow.write_all(b"GET /metrics HTTP/1.1\r\nHost: loc").await.unwrap();
        assert_eq!(get(&bus, "/healthz").await.status, 200);
        let end = slow.read(&mut [0; 8]).await;
        assert!(!matches!(end, Ok(1..)), "{end:?}");
        bus.until(|now| now.handshakes_failed == 1).await;
        bus.drop().await;
    });
}

#[test]
fn requests_count_as_connections() {
    run(async {
        let bus = Bus::with(|config| config.max_connections = 1).await;
        let client = bus.raw().await;
        assert_eq!(get(&bus, "/healthz").await.status, 503);
        bus.until(|now| now.turned_away == 1).await;
        drop(client);
        bus.until(|now| now.clients == 0).await;
        while get(&bus, "/healthz").await.status == 503 {}
        bus.drop().await;
    });
}

#[test]
fn a_request_in_pieces_is_answered_and_so_is_a_handshake_beside_it() {
    run(async {
        let bus = Bus::start().await;
        let mut tcp = TcpStream::connect(bus.address).await.unwrap();
        tcp.set_nodelay(true).unwrap();
        let mut raw = bus.raw().await;
        for piece in ["\r\nGET /hea", "lthz HTTP/1.1\r", "\nHost: localhost\r\n", "\r\n"] {
            tcp.write_all(piece.as_bytes()).await.unwrap();
            raw.settle().await;
        }
        let mut answer = String::new();
        tcp.read_to_string(&mut answer).await.unwrap();
        assert_eq!(Answer::of(&answer).body, "alive\n");
        raw.settle().await;
        bus.drop().await;
    });
}

#[test]
fn a_bus_that_drains_is_not_ready() {
    run(async {
        let bus = Bus::start().await;
        let mut admin = Peer::register(&bus, r#""type":"observer""#).await;
        assert_eq!(get(&bus, "/readyz").await.body, "ready\n");
        for (verb, status) in [("drain", 503), ("resume", 200), ("pause", 200)] {
            admin.ask(&format!(r#"{{"cmd":"{verb}","id":1}}"#), "ok").await;
            assert_eq!(get(&bus, "/readyz").await.status, status, "{verb}");
            assert_eq!(get(&bus, "/healthz").await.status, 200, "{verb}");
        }
        bus.drop().await;
    });
}

/// A bus on which one job has finished, one runs and one waits.
async fn busy(bus: &Bus) -> (Peer, Peer) {
    let (mut producer, mut scheduler) = (Peer::producer(bus).await, Peer::scheduler(bus, 1).await);
    producer.submits(1).await;
    let first = scheduler.hears("assign").await;
    scheduler.reports(&first, "started").await;
    scheduler.reports(&first, "finished").await;
    scheduler.hears("ok").await;
    producer.submits(2).await;
    let second = scheduler.hears("assign").await;
    scheduler.reports(&second, "started").await;
    scheduler.hears("ok").await;
    producer.submits(3).await;
    scheduler.raw.settle().await;
    (producer, scheduler)
}

#[test]
fn the_events_that_are_kept_are_those_that_observers_hear() {
    run(async {
        let directory = Directory::new("http-events");
        let bus = Bus::with(|config| config.data = Some(directory.0.clone())).await;
        let mut observer = Peer::observer(&bus).await;
        let _peers = busy(&bus).await;
        let answer = get(&bus, "/events.jsonl").await;
        let events = answer.events();
        assert_eq!(answer.header("content-type"), Some("application/jsonl; charset=utf-8"));
        let mut heard = Vec::new();
        while heard.len() < events.len() {
            heard.push(observer.hears("job").await);
        }
        assert_eq!(events, heard);
        let states: Vec<_> = events.iter().map(|event| text(event, "state")).collect();
        assert_eq!(states.iter().filter(|state| **state == "pending").count(), 3, "{states:?}");
        assert_eq!(states.iter().filter(|state| **state == "finished").count(), 1, "{states:?}");
        assert_eq!(states.iter().filter(|state| **state == "running").count(), 2, "{states:?}");
        bus.end().await;
    });
}

/// Prints each sample as `name{labels} value`, and fails on a bad text.
const PARSER: &str = r#"
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
for family in text_string_to_metric_families(sys.stdin.read()):
    for sample in family.samples:
        labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
        print(f"{sample.name}{{{labels}}} {float(sample.value)}")
"#;

/// The samples, as Python's parser reads them.
async fn parsed(text: &str) -> String {
    let mut python = Command::new("python3")
        .args(["-c", PARSER])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = python.stdin.take().unwrap();
    stdin.write_all(text.as_bytes()).await.unwrap();
    drop(stdin);
    let output = python.output().await.unwrap();
    assert!(output.status.success(), "python3 -m pip install prometheus_client: {text}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_parser_of_openmetrics_reads_the_figures() {
    run(async {
        let bus = Bus::start().await;
        let _peers = busy(&bus).await;
        let answer = get(&bus, "/metrics").await;
        let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        assert_eq!(answer.header("content-type"), Some(kind));
        assert!(answer.body.ends_with("\n# EOF\n"), "{}", answer.body);
        let samples = parsed(&answer.body).await;
        for sample in [
            "sched_jobs_pending{} 1.0",
            "sched_jobs_running{} 1.0",
            "sched_slots{} 1.0",
            "sched_jobs_accepted_total{} 3.0",
            "sched_jobs_assigned_total{} 2.0",
            "sched_job_outcomes_total{outcome=finished} 1.0",
            "sched_job_outcomes_total{outcome=spawn_failed} 0.0",
            "sched_run_useful_seconds_total{} 0.005",
            "sched_bus_clients{} 2.0",
            "sched_bus_slow_consumers_total{} 0.0",
            "sched_job_wait_seconds_count{} 2.0",
            "sched_run_seconds_bucket{le=0.005} 1.0",
            "sched_run_seconds_bucket{le=+Inf} 1.0",
            "sched_run_seconds_sum{} 0.005",
        ] {
            assert!(samples.lines().any(|it| it == sample), "{sample} is not in\n{samples}");
        }
        bus.drop().await;
    });
}
