//! `sched events`.

use std::process::Command;

use serde_json::Value;

use crate::kit::{events, events_after, scheduler, waited};
use crate::support::{BUS, Program, SCHED, submit, until};

#[test]
fn events_go_on_after_any_of_them() {
    let (_bus, url) = Program::bus();
    let _scheduler = scheduler(&url, "g1", "1");
    let job = submit(&url, &["--runtime", "0"]);
    let mut first = events(&url);
    let assigned = until(&mut first, &job, "assigned");
    let ended = until(&mut first, &job, "finished");
    first.signal("TERM");
    let since = assigned["seq"].to_string();
    let mut second = Program::start(SCHED, &["events", "--bus", &url, "--since", &since]);
    assert!(second.says(&job).contains("running"), "the first after it");
    assert!(second.says(&job).contains("finished"));
    // Nothing is known after an event that has not happened yet.
    let mut future = events_after(&url, "100000");
    let resync: Value = serde_json::from_str(&future.says("\"ev\"")).unwrap();
    assert_eq!((&resync["ev"], &resync["seq"]), (&"resync".into(), &ended["seq"]));
    let next = submit(&url, &["--runtime", "0"]);
    until(&mut future, &next, "finished");
}

#[test]
fn events_end_when_nobody_reads_them() {
    let (_bus, url) = Program::bus();
    submit(&url, &["--runtime", "0"]);
    let line = format!("{SCHED} events --bus {url} --since 0 | head -n 1");
    let mut shell = Program::spawn(Command::new("sh").args(["-c", &line]));
    assert!(shell.says("j1").contains("pending"));
    // The second event finds nobody, and the pipe ends with that.
    while shell.child.try_wait().unwrap().is_none() {
        submit(&url, &["--runtime", "0"]);
    }
    assert_eq!(shell.status(), Some(0));
}

#[test]
fn a_log_that_cannot_be_written_ends_nobody() {
    let full = || std::fs::File::options().write(true).open("/dev/full").unwrap();
    let mut bus = Command::new(BUS)
        .args(["--listen", "127.0.0.1:0"])
        .stdout(std::process::Stdio::piped())
        .stderr(full())
        .spawn()
        .unwrap();
    let mut address = String::new();
    let stdout = bus.stdout.take().unwrap();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut address).unwrap();
    let url = format!("ws://{}", address.trim());
    let mut scheduler = Command::new(SCHED)
        .args(["scheduler", "--bus", &url, "--allow", "sh"])
        .stderr(full())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let (status, _, why) = waited(&url, &[], &["sh", "-c", "exit 3"]);
    for program in [&mut scheduler, &mut bus] {
        let pid = program.id().to_string();
        assert!(Command::new("kill").args(["-s", "TERM", &pid]).status().unwrap().success());
        assert_eq!(program.wait().unwrap().code(), Some(0));
    }
    assert_eq!(status, Some(3), "{why}");
}
