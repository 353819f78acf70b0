//! The programs `bus` and `producer`, end to end.

mod support;

use std::io::Read;
use std::net::TcpStream;
use std::process::Command;

use sched_core::bus::{Role, TestJob};
use sched_runtime_smol::bus::{BusClient, ClientConfig};
use support::{BUS, PRODUCER, Program, output, text};

#[test]
fn help_and_version_are_printed_and_succeed() {
    for (program, name, option) in [(BUS, "bus", "--max-frame"), (PRODUCER, "producer", "--gauss")]
    {
        for flag in ["-h", "--help"] {
            let help = output(program, &[flag]);
            assert_eq!(help.status.code(), Some(0));
            assert!(text(&help.stdout).starts_with(&format!("Usage: {name}")));
            assert!(text(&help.stdout).contains(option));
        }
        let version = output(program, &["--version"]);
        assert_eq!(version.status.code(), Some(0));
        assert_eq!(text(&version.stdout), format!("{name} {}\n", env!("CARGO_PKG_VERSION")));
    }
}

#[test]
fn f20_arguments_that_make_no_sense_are_refused_with_status_2() {
    let cases: &[(&str, &[&str], &str)] = &[
        (PRODUCER, &["-p", "0"], "at least 0.001"),
        (PRODUCER, &["-p", "nan"], "not a number"),
        (PRODUCER, &["-p", "-1"], "too small"),
        (PRODUCER, &["--period", "inf"], "too large"),
        (PRODUCER, &["-s", "-2"], "too small"),
        (PRODUCER, &["-s", "nan"], "not a number"),
        (PRODUCER, &["--count", "0"], "not a whole number"),
        (PRODUCER, &["--priority", "5..1"], "empty"),
        (PRODUCER, &["--runtime", "3.."], "not a range"),
        (PRODUCER, &["--bus", "http://localhost"], "ws://"),
        (PRODUCER, &["--bus", "localhost:8101"], "ws://"),
        (PRODUCER, &["--what"], "--what"),
        (BUS, &["--listen", "nowhere"], "not an address"),
        (BUS, &["--max-frame", "0"], "not a number of bytes"),
        (BUS, &["stray"], "stray"),
    ];
    for (program, arguments, why) in cases {
        let refused = output(program, arguments);
        let stderr = text(&refused.stderr);
        assert_eq!(refused.status.code(), Some(2), "{arguments:?}: {stderr}");
        assert!(stderr.contains(why) && stderr.contains("--help"), "{arguments:?}: {stderr}");
        assert_eq!(text(&refused.stdout), "", "{arguments:?}");
    }
}

#[test]
fn the_bus_prints_its_address_on_one_line_and_nothing_else() {
    let (mut bus, url) = Program::bus();
    let address = url.strip_prefix("ws://").unwrap();
    TcpStream::connect(address).unwrap();
    bus.signal("TERM");
    assert_eq!(bus.status(), Some(0));
    assert_eq!(bus.rest(), "");
}

#[test]
fn an_address_that_is_taken_is_a_clear_error() {
    let (_bus, url) = Program::bus();
    let address = url.strip_prefix("ws://").unwrap();
    let second = output(BUS, &["--listen", address]);
    assert_eq!(second.status.code(), Some(1));
    let stderr = text(&second.stderr);
    assert!(stderr.contains(&format!("cannot listen on {address}")), "{stderr}");
}

#[test]
fn jobs_of_the_producer_arrive_through_the_bus() {
    let (mut bus, url) = Program::bus();
    let scheduler = BusClient::open(ClientConfig::new(url.parse().unwrap(), Role::Scheduler));
    bus.logs("0 producers, 1 schedulers");
    let arguments = ["--bus", &url, "-p", "0.01", "--count", "20", "--seed", "7"];
    let ranges = ["--priority", "2..4", "--runtime", "0.5..1.5"];
    let mut producer = Program::start(PRODUCER, &[&arguments[..], &ranges].concat());
    producer.logs("next in 0.010 s");
    producer.logs("ending after 20 jobs");
    assert_eq!(producer.status(), Some(0));
    bus.logs("1 producers, 1 schedulers");
    bus.logs("0 producers, 1 schedulers");
    for _ in 0..20 {
        let payload = smol::block_on(scheduler.next_payload()).unwrap();
        let job = TestJob::from_payload(&payload).unwrap();
        assert!((2..=4).contains(&job.priority.number()), "{payload}");
        assert!((0.5..=1.5).contains(&job.runtime.as_secs_f64()), "{payload}");
    }
    smol::block_on(scheduler.close());
    bus.signal("INT");
    bus.logs("stopped after 20 jobs");
    assert_eq!(bus.status(), Some(0));
}

#[test]
fn the_same_seed_gives_the_same_jobs() {
    let (_bus, url) = Program::bus();
    let run = || {
        let arguments = ["--gauss", "-p", "0.005", "-s", "0.003", "--count", "10", "--seed", "11"];
        let ended = output(PRODUCER, &[&["--bus", &url][..], &arguments].concat());
        assert_eq!(ended.status.code(), Some(0));
        // The time at the beginning of a line is never the same.
        let lines = text(&ended.stderr).lines().filter_map(|line| line.split_once("INFO"));
        lines.map(|(_, rest)| rest.to_owned()).collect::<Vec<_>>()
    };
    let first = run();
    assert!(first.iter().any(|line| line.contains("job 10: priority")), "{first:?}");
    assert_eq!(first, run());
}

#[test]
fn f19_the_producer_waits_for_a_bus_and_says_so() {
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("ws://{address}");
    let mut producer = Program::start(PRODUCER, &["--bus", &url, "--count", "1"]);
    producer.logs("no bus at");
    let _bus = Program::start(BUS, &["--listen", &address.to_string()]);
    producer.logs("connected to the bus");
    producer.logs("ending after 1 jobs");
    assert_eq!(producer.status(), Some(0));
}

#[test]
fn int_and_term_end_a_producer_that_waits_or_works() {
    let (_bus, url) = Program::bus();
    for signal in ["INT", "TERM"] {
        let mut waits = Program::start(PRODUCER, &["--bus", "ws://127.0.0.1:1"]);
        waits.logs("no bus at");
        waits.signal(signal);
        waits.logs("ending after 0 jobs");
        assert_eq!(waits.status(), Some(0));
        let mut works = Program::start(PRODUCER, &["--bus", &url, "-p", "3600"]);
        works.logs("job 1");
        works.signal(signal);
        works.logs("ending after 1 jobs");
        assert_eq!(works.status(), Some(0));
    }
}

#[test]
fn a_second_signal_ends_the_bus_at_once() {
    let (mut bus, url) = Program::bus();
    // A client that shakes hands and then neither reads nor closes holds an
    // orderly stop up, for a while.
    let mut silent = TcpStream::connect(url.strip_prefix("ws://").unwrap()).unwrap();
    let shake = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n\
                 Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                 Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    std::io::Write::write_all(&mut silent, shake.as_bytes()).unwrap();
    silent.read_exact(&mut [0; 12]).unwrap();
    bus.signal("INT");
    bus.logs("a second INT or TERM");
    bus.signal("INT");
    assert_eq!(bus.status(), Some(130));
}

#[test]
fn a_bus_without_descriptors_recovers_when_there_are_some_again() {
    let limited = format!("ulimit -n 24; exec {BUS} --listen 127.0.0.1:0");
    let mut bus = Program::spawn(Command::new("sh").args(["-c", &limited]));
    let url = bus.url();
    bus.logs("there is room for 0 connections and not for 4096");
    let address = url.strip_prefix("ws://").unwrap().to_owned();
    let crowd: Vec<_> = (0..30).map(|_| TcpStream::connect(&address).unwrap()).collect();
    bus.logs("cannot accept a connection");
    drop(crowd);
    let ended = output(PRODUCER, &["--bus", &url, "--count", "1"]);
    assert_eq!(ended.status.code(), Some(0), "{}", text(&ended.stderr));
    bus.signal("TERM");
    bus.logs("stopped after 1 jobs");
    assert_eq!(bus.status(), Some(0));
}
