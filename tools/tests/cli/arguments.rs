//! What is said about arguments.

use crate::support::{Program, SCHED, output, text};
use std::process::Command;

#[test]
fn the_environment_says_where_the_bus_is() {
    let (_bus, url) = Program::bus();
    let with = |value: &str| {
        Command::new(SCHED).arg("list").env("SCHED_BUS", value).output().unwrap().status.code()
    };
    assert_eq!(with(&url), Some(0));
    assert_eq!(with("nowhere"), Some(2));
}

#[test]
fn arguments_that_make_no_sense_are_refused_with_status_2() {
    for (arguments, why) in [
        (&["submit"][..], "a program is needed"),
        (&["submit", "-p", "-1", "--", "true"], "no priority"),
        (&["submit", "--runtime", "1", "--", "true"], "not both"),
        (&["submit", "--bus", "http://x", "--", "true"], "ws://"),
        (&["wait"], "a job is needed"),
        (&["wait", "17"], "no job's id"),
        (&["show"], "JOB"),
        (&["cancel"], "a job is needed"),
        (&["events", "--since", "x"], "invalid digit"),
        (&["list", "--connect", "0"], "too small"),
        (&["scheduler", "-s", "0"], "whole number"),
    ] {
        let refused = output(SCHED, arguments);
        let stderr = text(&refused.stderr);
        assert_eq!(refused.status.code(), Some(2), "{arguments:?}: {stderr}");
        assert!(stderr.contains(why), "{arguments:?}: {stderr}");
    }
}

#[test]
fn every_verb_has_help_with_its_exit_statuses() {
    let verbs = ["submit", "list", "show", "wait", "cancel", "events", "pause", "resume", "drain"];
    for verb in verbs.iter().chain(&["scheduler"]) {
        let help = output(SCHED, &[verb, "--help"]);
        assert_eq!(help.status.code(), Some(0));
        let told = text(&help.stdout);
        assert!(told.contains("Error codes:") && told.contains("--bus"), "{told}");
    }
}
