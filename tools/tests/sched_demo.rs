//! The program `sched demo`, end to end.

mod support;

use support::{Program, SCHED, output, text};

#[test]
fn help_version_and_bad_arguments() {
    let help = output(SCHED, &["--help"]);
    assert_eq!(help.status.code(), Some(0));
    assert!(text(&help.stdout).contains("demo"));
    let help = output(SCHED, &["demo", "-h"]);
    assert_eq!(help.status.code(), Some(0));
    for option in ["--size", "--period", "--seconds", "--seed"] {
        assert!(text(&help.stdout).contains(option), "{option}");
    }
    for arguments in [&[][..], &["fly"], &["demo", "--size", "0"], &["demo", "--seconds", "nan"]] {
        assert_eq!(output(SCHED, arguments).status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn the_demo_plays_to_its_end_in_plain_lines() {
    let arguments = ["demo", "--seconds", "0.5", "--period", "0.05", "--size", "2", "--seed", "1"];
    let demo = output(SCHED, &arguments);
    let told = text(&demo.stdout);
    assert_eq!(demo.status.code(), Some(0), "{}", text(&demo.stderr));
    for line in ["bus at ws://127.0.0.1:", "starts in slot", "is queued", "finished", "wasted time"]
    {
        assert!(told.contains(line), "{line}: {told}");
    }
    assert!(!told.contains('\x1b'), "no terminal, and yet control sequences");
}

#[test]
fn the_demo_stops_when_it_is_asked_to() {
    let mut demo = Program::start(SCHED, &["demo", "--seconds", "3600", "--period", "0.05"]);
    demo.says("starts in slot");
    demo.signal("INT");
    assert_eq!(demo.status(), Some(0));
    assert!(demo.rest().contains("wasted time"));
}
