//! A bus that is not there, not yet there, or gone.

use std::net::TcpListener;
use std::time::Duration;

use crate::kit::{
    bus_at, bus_of_version_0, bus_that_is_late, events, free_address, jobs, json, sched, scheduler,
};
use crate::support::directory::Directory;
use crate::support::{BUS, PRODUCER, Program, SCHED, output, submit, text, until};

#[test]
fn in_memory_jobs_are_gone_with_their_bus_and_whoever_follows_hears_so() {
    let address = free_address();
    let url = format!("ws://{address}");
    let mut bus = bus_at(&address, &[]);
    let mut following = events(&url);
    let arguments = ["submit", "--bus", &url, "--wait", "--runtime", "3600"];
    let mut waiting = Program::start(SCHED, &arguments);
    let job = waiting.says("j").trim_end().to_owned();
    until(&mut following, &job, "pending");
    bus.signal("KILL");
    bus.status();
    following.logs("the bus is gone");
    let _bus = bus_at(&address, &[]);
    following.logs("started anew");
    until_resync(&mut following);
    waiting.logs("has kept no jobs");
    assert_eq!(waiting.status(), Some(125));
    // Another job may have the same id now.
    assert_eq!(submit(&url, &["--runtime", "3600"]), job);
    until(&mut following, &job, "pending");
}

#[test]
fn on_disk_jobs_outlive_their_bus_and_whoever_follows_hears_how_they_end() {
    let directory = Directory::new("sched-cli");
    let data = ["--data", &directory.path("data")];
    let address = free_address();
    let url = format!("ws://{address}");
    let mut bus = bus_at(&address, &data);
    let arguments = ["submit", "--bus", &url, "--wait", "--attempts", "1", "--"];
    let mut waiting = Program::start(SCHED, &[&arguments[..], &["sh", "-c", "exit 5"]].concat());
    let job = waiting.says("j").trim_end().to_owned();
    bus.signal("KILL");
    bus.status();
    waiting.logs("the bus is gone");
    let _bus = bus_at(&address, &data);
    waiting.logs("is there again");
    let _scheduler = scheduler(&url, "g1", "1");
    waiting.logs(&format!("{job} failed (exit code 5"));
    assert_eq!(waiting.status(), Some(5));
}

#[test]
fn an_interrupted_wait_leaves_its_job_alone() {
    let (_bus, url) = Program::bus();
    let arguments = ["submit", "--bus", &url, "--wait", "--runtime", "3600"];
    let mut waiting = Program::start(SCHED, &arguments);
    let job = waiting.says("j").trim_end().to_owned();
    waiting.signal("INT");
    waiting.logs(&format!("{job} goes on"));
    assert_eq!(waiting.status(), Some(130));
    assert_eq!(jobs(&json(&url, "list", &[]), "pending"), [job]);
}

#[test]
fn no_bus_is_a_clear_error_after_a_while() {
    let url = format!("ws://{}", free_address());
    for (verb, arguments) in [("list", &[][..]), ("wait", &["j1"]), ("submit", &["--", "true"])] {
        let more = [&["--connect", "0.2"], arguments].concat();
        let failed = sched(&url, verb, &more);
        let stderr = text(&failed.stderr);
        assert_eq!(failed.status.code(), Some(125), "{verb}: {stderr}");
        assert!(stderr.contains(&format!("no bus at {url}")), "{verb}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
}

#[test]
fn a_bus_may_come_a_little_later() {
    let address = free_address();
    let url = format!("ws://{address}");
    let arguments = ["submit", "--bus", &url, "--connect", "60", "--runtime", "0"];
    let mut early = Program::start(SCHED, &arguments);
    let _bus = Program::start(BUS, &["--listen", &address]);
    early.says("j1");
    assert_eq!(early.status(), Some(0));
}

#[test]
fn a_bus_of_version_0_is_a_clear_error() {
    let url = bus_of_version_0();
    let failed = sched(&url, "list", &[]);
    assert_eq!(failed.status.code(), Some(125));
    assert!(text(&failed.stderr).contains("this bus speaks version 0"), "{}", text(&failed.stderr));
    let failed = output(PRODUCER, &["--submit", "--bus", &url, "--count", "1"]);
    assert_eq!(failed.status.code(), Some(1));
    assert!(text(&failed.stderr).contains("this bus speaks version 0"));
}

#[test]
fn a_bus_that_is_late_with_its_welcome_when_it_is_back_is_still_of_version_1() {
    // More than the two seconds of the protocol.
    const LATE: Duration = Duration::from_secs(3);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut following = events(&format!("ws://{}", listener.local_addr().unwrap()));
    let said = smol::block_on(bus_that_is_late(&listener, LATE));
    assert!(said.contains("subscribe"), "{said}");
    following.logs("is there again");
}

fn until_resync(events: &mut Program) {
    while !events.says("\"ev\"").contains("resync") {}
}
