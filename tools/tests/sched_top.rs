//! The program `sched top`: as plain text, and in a pseudo-terminal.

#![expect(clippy::unwrap_used, reason = "this is how a test fails")]

mod support;
#[path = "top/terminal.rs"]
mod terminal;

use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use support::directory::Directory;
use support::{BUS, PRODUCER, Program, SCHED, output, submit, text, until};
use terminal::{CURSOR, LEAVE, Terminal, assert_same_settings};
use tools::sched::{Patience, Seen, Since, Snapshot, Talk, Watch};

fn scheduler(url: &str) -> Program {
    let arguments = ["scheduler", "--bus", url, "--name", "g1", "-s", "1", "--allow", "sh"];
    let mut scheduler = Program::start(SCHED, &[&arguments[..], &["--grace", "0.2"]].concat());
    scheduler.logs("speaks version 1");
    scheduler
}

/// A bus where j1 finished, j2 was evicted by j3, which runs, and j4 waits.
fn busy_bus() -> (Program, String, Program) {
    let (bus, url) = Program::bus();
    let scheduler = scheduler(&url);
    let mut events = Program::start(SCHED, &["events", "--bus", &url, "--json", "--since", "0"]);
    submit(&url, &["--wait", "--", "sh", "-c", "exit 0"]);
    submit(&url, &["-p", "5", "--runtime", "3600"]);
    until(&mut events, "j2", "running");
    submit(&url, &["-p", "1", "--runtime", "3600"]);
    until(&mut events, "j2", "pending");
    until(&mut events, "j3", "running");
    submit(&url, &["-p", "7", "--runtime", "3600"]);
    until(&mut events, "j4", "pending");
    (bus, url, scheduler)
}

#[test]
fn one_picture_is_plain_text_that_tells_it_all() {
    let (_bus, url, _scheduler) = busy_bus();
    // Where stdout is no terminal it is one picture anyway.
    for arguments in [&["top", "--bus", &url, "--once"][..], &["top", "--bus", &url]] {
        let mut top = Command::new(SCHED);
        let top = top.args(arguments).env("NO_COLOR", "1").stdin(Stdio::null()).output().unwrap();
        assert_eq!(top.status.code(), Some(0), "{}", text(&top.stderr));
        let told = text(&top.stdout);
        assert!(!told.contains('\x1b'), "control sequences in plain text: {told}");
        let address = url.trim_start_matches("ws://");
        for expected in [
            address,
            "in memory",
            "connected",
            "1 scheduler",
            "accepting",
            "pending 2",
            "running 1 of 1 slots",
            "finished 1",
            "failed 0",
            "evicted 1",
            "running on g1",
            "j1 finished",
            "evicted for j3",
            "j3 runs (on g1)",
            "outranked by j3",
        ] {
            assert!(told.contains(expected), "no {expected:?} in\n{told}");
        }
        let queue = told.split_once("PENDING").unwrap().1.split_once("LAST EVENTS").unwrap().0;
        let jobs: Vec<_> = queue.lines().filter(|line| line.starts_with('j')).collect();
        assert_eq!(jobs.len(), 2, "{queue}");
        assert!(jobs[0].starts_with("j2 ") && jobs[1].starts_with("j4 "), "{queue}");
    }
}

#[test]
fn an_empty_and_durable_bus_says_so() {
    let directory = Directory::new("top");
    let data = directory.path("data");
    let mut bus = Program::start(BUS, &["--listen", "127.0.0.1:0", "--data", &data]);
    let url = bus.url();
    let top = output(SCHED, &["top", "--bus", &url, "--once"]);
    assert_eq!(top.status.code(), Some(0), "{}", text(&top.stderr));
    for expected in ["durable", "0 schedulers", "pending 0", "running 0 of 0 slots", "none"] {
        assert!(text(&top.stdout).contains(expected), "{}", text(&top.stdout));
    }
}

#[test]
fn a_snapshot_beside_neither_loses_nor_repeats_an_event() {
    const JOBS: usize = 60;
    let directory = Directory::new("look");
    let data = directory.path("data");
    let mut bus = Program::start(BUS, &["--listen", "127.0.0.1:0", "--data", &data]);
    let url = bus.url();
    let _scheduler = scheduler(&url);
    let jobs = JOBS.to_string();
    let arguments = ["--submit", "--bus", &url, "--count", &jobs, "-p", "0.001"];
    let arguments = [&arguments[..], &["--runtime", "0..0", "--seed", "5"]].concat();
    let _producer = Program::start(PRODUCER, &arguments);
    smol::block_on(async {
        let patience = Patience::Always(Duration::from_secs(30));
        let talk = Talk::open(url.parse().unwrap(), patience, "observer").await.unwrap();
        let mut watch = Watch::start(talk, Since::Event(0), true).await.unwrap();
        let (mut told, mut finished, mut snapshots) = (0, 0, 0);
        while finished < JOBS || snapshots == 0 {
            match watch.next().await.unwrap() {
                Seen::Event(text) => {
                    let event: Value = serde_json::from_str(&text).unwrap();
                    assert_eq!(event["seq"], told + 1, "{text}");
                    told += 1;
                    finished += usize::from(event["state"] == "finished");
                    watch.look_again().await.unwrap();
                }
                Seen::Snapshot(text) => {
                    assert_eq!(Snapshot::parse(&text).unwrap().seq, told);
                    snapshots += 1;
                }
                other => panic!("{other:?}"),
            }
        }
    });
}

#[test]
fn without_a_bus_it_says_where_it_looked() {
    let (bus, url) = Program::bus();
    drop(bus);
    let top = output(SCHED, &["top", "--once", "--bus", &url, "--connect", "0.2"]);
    assert_eq!((top.status.code(), text(&top.stdout)), (Some(125), ""));
    assert!(text(&top.stderr).contains("no bus at"), "{}", text(&top.stderr));
}

#[test]
fn keys_scroll_steer_and_end_it_in_a_terminal() {
    let (_bus, url, _scheduler) = busy_bus();
    for _ in 0..40 {
        submit(&url, &["-p", "9", "--runtime", "3600"]);
    }
    let Some(mut top) = Terminal::start(&format!("top --bus {url}"), false) else { return };
    let all =
        ["connected", "pending 42", "running 1 of 1 slots", "accepting", "j3 ", "j2 ", "q quit"];
    let picture = top.glass.shows(&all);
    assert!(picture.contains("(lines 1 to"), "{picture}");
    assert!(picture.find("SCHEDULERS") < picture.find("RUNNING"), "{picture}");
    // To the end of the queue, which is then all there is to see.
    top.press("\x1b[F");
    top.glass.shows(&["j44 "]);
    top.press("\x1b[H");
    top.glass.shows(&["(lines 1 to", "j2 "]);
    top.press("p");
    top.glass.shows(&["pause the whole bus? y/n", "accepting"]);
    top.press("n");
    top.glass.shows(&["q quit", "accepting"]);
    top.press("p");
    top.glass.shows(&["pause the whole bus? y/n"]);
    top.press("y");
    top.glass.shows(&["pause: done", "   paused   "]);
    top.press("r");
    top.glass.shows(&["resume the whole bus? y/n"]);
    top.press("y");
    top.glass.shows(&["resume: done", "   accepting   "]);
    submit(&url, &["-p", "9", "--runtime", "3600"]);
    top.glass.shows(&["pending 43", "j45 waits"]);
    top.press("q");
    let (written, status) = top.end();
    assert_eq!(status, Some(0), "{written}");
    assert!(written.contains(LEAVE) && written.contains(CURSOR), "{written:?}");
    assert!(written.contains("\x1b[38;5;"), "colours where they are welcome: {written:?}");
    assert_same_settings(&written);
}

#[test]
fn a_bus_that_is_lost_leaves_what_it_said_with_its_age() {
    let (mut bus, url) = Program::bus();
    let Some(mut top) = Terminal::start(&format!("top --bus {url}"), true) else { return };
    top.glass.shows(&["connected", "accepting"]);
    bus.signal("KILL");
    bus.status();
    top.glass.shows(&["STALE for", "the bus is gone"]);
    let grown = top.glass.shows_that(|picture| age(picture).is_some_and(|seconds| seconds >= 2));
    grown.unwrap();
    top.press("d");
    top.glass.shows(&["drain the whole bus? y/n"]);
    top.press("y");
    top.glass.shows(&["drain: not sent, there is no connection"]);
    let address = url.trim_start_matches("ws://");
    let _bus = Program::start(BUS, &["--listen", address]);
    top.glass.shows(&["connected", "the bus was started anew", "accepting"]);
    let pid = top.pid();
    let kill = Command::new("kill").args(["-s", "TERM", &pid.to_string()]).status();
    assert!(kill.unwrap().success());
    let (written, status) = top.end();
    assert_eq!(status, Some(0), "{written}");
    assert!(written.contains(LEAVE) && written.contains(CURSOR), "{written:?}");
    assert!(!written.contains("\x1b[38;5;") && !written.contains("\x1b[31m"), "{written:?}");
    assert_same_settings(&written);
}

/// How old what is shown is said to be, in seconds.
fn age(picture: &str) -> Option<u64> {
    picture.split_once("STALE for ")?.1.split(' ').next()?.parse().ok()
}
