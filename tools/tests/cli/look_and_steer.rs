//! What is shown of jobs and schedulers, and how they are steered.

use crate::kit::{events, jobs, json, says, sched, scheduler};
use crate::support::{Program, SCHED, submit, text, until};

#[test]
fn the_list_is_in_true_order_and_says_why() {
    let (_bus, url) = Program::bus();
    let low = submit(&url, &["-p", "7", "--runtime", "3600"]);
    let high = submit(&url, &["-p", "2", "--runtime", "3600"]);
    let middle = submit(&url, &["-p", "5", "--runtime", "3600"]);
    let lines = json(&url, "list", &[]);
    assert_eq!(jobs(&lines, "pending"), [&*high, &*middle, &*low]);
    assert!(
        lines
            .iter()
            .filter(|line| line["kind"] == "pending")
            .all(|line| { line["why"].as_str().unwrap().contains("no scheduler is connected") })
    );
    let mut events = events(&url);
    let _scheduler = scheduler(&url, "g1", "1");
    until(&mut events, &high, "running");
    let lines = json(&url, "list", &[]);
    assert_eq!(jobs(&lines, "running"), [&*high]);
    assert_eq!(jobs(&lines, "pending"), [&*middle, &*low]);
    assert_eq!((&lines[0]["kind"], &lines[0]["mode"]), (&"bus".into(), &"accepting".into()));
    assert_eq!((&lines[1]["name"], &lines[1]["slots"]), (&"g1".into(), &1.into()));
    let told = says(&url, "list", &[]);
    for part in ["1 running in 1 slots, 2 pending", "running on g1", "outranked by"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(told.find(&middle) < told.find(&low), "{told}");
    assert!(told.lines().all(|line| line.chars().count() <= 80), "{told}");
}

#[test]
fn a_job_is_shown_while_it_waits_and_while_it_runs() {
    let (_bus, url) = Program::bus();
    let job = submit(&url, &["--runtime", "3600"]);
    let told = says(&url, "show", &[&job]);
    assert!(told.contains("no scheduler is connected"), "{told}");
    let _scheduler = scheduler(&url, "g1", "1");
    until(&mut events(&url), &job, "running");
    assert!(says(&url, "show", &[&job]).starts_with(&format!("{job} runs on g1")));
}

#[test]
fn what_waits_and_what_runs_can_be_cancelled() {
    let (_bus, url) = Program::bus();
    let _scheduler = scheduler(&url, "g1", "1");
    let mut events = events(&url);
    let runs = submit(&url, &["--runtime", "3600"]);
    let waits = submit(&url, &["--runtime", "3600"]);
    until(&mut events, &runs, "running");
    let mut waiting = Program::start(SCHED, &["wait", "--bus", &url, &runs]);
    says(&url, "cancel", &[&waits, &runs]);
    waiting.says("was cancelled");
    assert_eq!(waiting.status(), Some(121));
    assert_eq!(sched(&url, "wait", &[&waits]).status.code(), Some(121));
    let again = sched(&url, "cancel", &[&runs]);
    assert_eq!(again.status.code(), Some(125));
    assert!(text(&again.stderr).contains(&format!("no job {runs}")), "{}", text(&again.stderr));
}

#[test]
fn pause_drain_and_resume() {
    let (_bus, url) = Program::bus();
    let _scheduler = scheduler(&url, "g1", "1");
    assert!(says(&url, "pause", &["g1"]).contains("g1 is paused"));
    let job = submit(&url, &["--runtime", "0"]);
    let lines = json(&url, "list", &[]);
    assert_eq!((&lines[1]["name"], &lines[1]["mode"]), (&"g1".into(), &"paused".into()));
    assert_eq!(jobs(&lines, "pending"), [&*job]);
    says(&url, "pause", &[]);
    says(&url, "resume", &["g1"]);
    let lines = json(&url, "list", &[]);
    assert_eq!((&lines[0]["mode"], &lines[1]["mode"]), (&"paused".into(), &"accepting".into()));
    assert!(lines[2]["why"].as_str().unwrap().contains("the bus is paused"), "{}", lines[2]);
    assert!(says(&url, "drain", &[]).contains("takes nothing new"));
    let refused = sched(&url, "submit", &["--runtime", "0"]);
    assert_eq!(refused.status.code(), Some(125));
    assert!(text(&refused.stderr).contains("the bus is draining"), "{}", text(&refused.stderr));
    assert!(says(&url, "resume", &[]).contains("the bus goes on"));
    assert_eq!(sched(&url, "wait", &[&job]).status.code(), Some(0));
    let unknown = sched(&url, "pause", &["g9"]);
    assert_eq!(unknown.status.code(), Some(125));
    assert!(text(&unknown.stderr).contains("no scheduler \"g9\""));
}
