//! The program `sched demo`, end to end.

#![expect(clippy::unwrap_used, reason = "this is how a test fails")]

mod support;
#[path = "top/terminal.rs"]
mod terminal;

use support::{Program, SCHED, http, output, text};
use terminal::{CURSOR, LEAVE, Terminal, assert_same_settings};

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
    assert!(told.starts_with("page at http://127.0.0.1:"), "{told}");
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

#[test]
fn on_a_terminal_it_is_the_view_of_top_with_the_page_named_first() {
    let arguments = "demo --seconds 3600 --period 0.02 --size 2 --seed 1";
    let Some(mut demo) = Terminal::start(arguments, true) else { return };
    let before = String::from_utf8_lossy(&demo.glass.written).into_owned();
    let page = before.split_once("page at http://").unwrap().1.split('/').next().unwrap();
    assert_eq!(http::get(page, "/healthz").body, "alive\n");
    // The bus knows of evictions, and of what waits.
    demo.glass.shows(&[page, "SCHEDULERS", "of 2 slots", "running on demo", "q quit"]);
    let figure = |picture: &str, name: &str| -> Option<u32> {
        picture.split_once(name)?.1.split_whitespace().next()?.parse().ok()
    };
    let so = |picture: &str| figure(picture, "evicted ") > Some(0);
    demo.glass.shows_that(so).unwrap();
    demo.glass.shows_that(|picture| figure(picture, "pending ") > Some(9)).unwrap();
    demo.press("q");
    let (written, status) = demo.end();
    assert_eq!(status, Some(0), "{written}");
    let after = written.split_once(LEAVE).unwrap().1;
    assert!(after.contains("wasted time") && written.contains(CURSOR), "{written:?}");
    assert!(!written.contains("\x1b[38;5;"), "colours, with NO_COLOR: {written:?}");
    assert_same_settings(&written);
}

#[test]
fn on_a_terminal_it_ends_by_itself_when_all_is_done() {
    let arguments = "demo --seconds 0.3 --period 0.1 --size 4 --seed 2";
    let Some(demo) = Terminal::start(arguments, false) else { return };
    let (written, status) = demo.end();
    assert_eq!(status, Some(0), "{written}");
    assert!(written.split_once(LEAVE).unwrap().1.contains("finished"), "{written:?}");
    assert_same_settings(&written);
}
