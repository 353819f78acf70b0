//! `sched trace`, and the bus's own trace: of what real processes did.

#![expect(clippy::unwrap_used, reason = "this is how a test fails")]

#[path = "trace/format.rs"]
mod format;
mod support;

use std::fs;
use std::io::Write;
use std::process::{Command, Output, Stdio};

use format::Trace;
use support::directory::Directory;
use support::{Program, SCHED, http, output, submit, text, until};

/// A bus with two slots, where j1 was evicted by j3 and had to be killed, j2 was
/// evicted by j4 at once, and came back; j1 and j2 run in the end.
fn busy_bus() -> (Program, String, Program) {
    let (bus, url) = Program::bus();
    let arguments = ["scheduler", "--bus", &url, "--name", "g1", "-s", "2", "--allow", "sh"];
    let mut scheduler = Program::start(SCHED, &[&arguments[..], &["--grace", "0.5"]].concat());
    scheduler.logs("speaks version 1");
    let mut events = Program::start(SCHED, &["events", "--bus", &url, "--json", "--since", "0"]);
    let stubborn = "trap '' TERM; while :; do sleep 1; done";
    submit(&url, &["-p", "9", "--", "sh", "-c", stubborn]);
    until(&mut events, "j1", "running");
    submit(&url, &["-p", "8", "--runtime", "3600"]);
    until(&mut events, "j2", "running");
    submit(&url, &["-p", "1", "--", "sh", "-c", "exit 0"]);
    until(&mut events, "j3", "finished");
    until(&mut events, "j1", "running");
    submit(&url, &["-p", "0", "--runtime", "0", "--key", "k"]);
    until(&mut events, "j4", "finished");
    until(&mut events, "j1", "running");
    submit(&url, &["-p", "0", "--attempts", "1", "--", "sh", "-c", "exit 3"]);
    until(&mut events, "j5", "failed");
    until(&mut events, "j1", "running");
    (bus, url, scheduler)
}

fn traced(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(SCHED)
        .arg("trace")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // One that does not read it says why on stderr.
    let _refused = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

#[test]
fn evictions_of_a_real_scheduler_are_drawn_however_they_are_asked_for() {
    let (_bus, url, _scheduler) = busy_bus();
    let directory = Directory::new("trace-real");
    let path = directory.file("trace.json", "");
    let by_bus = output(SCHED, &["trace", "--bus", &url, "-o", &path]);
    assert_eq!(by_bus.status.code(), Some(0), "{}", text(&by_bus.stderr));
    assert_eq!((text(&by_bus.stdout), text(&by_bus.stderr)), ("", ""));
    let address = url.trim_start_matches("ws://");
    let events = http::get(address, "/events.jsonl").body;
    let by_file = traced(&["-"], &events);
    assert_eq!(by_file.status.code(), Some(0), "{}", text(&by_file.stderr));
    let by_http = http::get(address, "/trace.json");
    assert_eq!((by_http.status, by_http.header("content-type")), (200, Some("application/json")));

    let by_bus = fs::read_to_string(path).unwrap();
    for told in [&*by_bus, text(&by_file.stdout), &*by_http.body] {
        let trace = Trace::read(told);
        assert_eq!(trace.processes.values().collect::<Vec<_>>(), ["g1"]);
        assert_eq!(trace.tracks.values().collect::<Vec<_>>(), ["slot 0", "slot 1"]);
        let outcomes = |job: &str| -> Vec<String> {
            let runs = trace.runs(job).into_iter();
            runs.map(|run| run.args["outcome"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(outcomes("j1"), ["evicted", "evicted", "evicted", "running"]);
        assert_eq!(outcomes("j2"), ["running"]);
        assert_eq!(
            (outcomes("j3"), outcomes("j4")),
            (vec!["finished".into()], vec!["finished".into()])
        );
        assert_eq!(outcomes("j5"), ["failed"]);
        assert_eq!(trace.arrows.len(), 3);
        for (victim, evictor) in trace.runs("j1").into_iter().zip(["j3", "j4", "j5"]) {
            assert_eq!(victim.args["evicted_by"], evictor);
            assert_eq!(
                (&victim.args["priority"], &victim.args["exit"]),
                (&9.into(), &"signal 9".into())
            );
            let by = trace.runs(evictor)[0];
            assert_eq!(by.track, victim.track, "it runs where there was made room");
            assert!(victim.end <= by.begin);
        }
        let kills: Vec<_> = trace.stops.iter().filter(|it| it.name == "TERM to KILL").collect();
        // A bus that is not given the processor may hear of TERM and of the end
        // at once, and then there is nothing between them.
        assert!(!kills.is_empty() && kills.len() <= 3, "{:?}", trace.stops);
        assert_eq!(trace.about["earlier_events"], 0);
    }
}

#[test]
fn what_was_forgotten_is_said() {
    let (_bus, url, _scheduler) = busy_bus();
    let address = url.trim_start_matches("ws://");
    let events = http::get(address, "/events.jsonl").body;
    let lines: Vec<_> = events.lines().collect();
    // The first run of j1 is told from its end on, and one line is lost.
    let known = lines.iter().position(|line| line.contains("\"by\":\"j3\"")).unwrap();
    let lost = [&lines[known..known + 3], &lines[known + 4..]].concat().join("\n");
    let done = traced(&["-"], &lost);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    let trace = Trace::read(text(&done.stdout));
    assert_eq!(trace.about["earlier_events"], known);
    assert_eq!(trace.about["missing_events"], 1);
    assert_eq!(
        trace.remarks,
        [format!("{known} earlier events are not here"), "1 events are missing".into()]
    );
    let told = text(&done.stderr);
    assert!(told.contains(&format!("{known} events before the first are not here")), "{told}");
    assert!(told.contains("1 events in between are missing"), "{told}");
}

#[test]
fn a_simulation_is_drawn_by_the_same_rules() {
    let directory = Directory::new("trace-simulated");
    let path = directory.file("trace.json", "");
    let arguments = ["simulate", "--jobs", "400", "-s", "3", "--dying", "20", "--trace", &path];
    let done = output(SCHED, &[&arguments[..], &["--policy", "seed,durable"]].concat());
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    let trace = Trace::read(&fs::read_to_string(path).unwrap());
    assert_eq!(trace.processes.values().collect::<Vec<_>>(), ["seed", "durable"]);
    assert_eq!(trace.tracks.len(), 6);
    let evicted = trace.bars.iter().filter(|bar| bar.evicted).count();
    assert!(evicted > 10 && trace.arrows.len() <= evicted, "{evicted}");
    assert!(trace.arrows.len() * 10 > evicted * 9, "{} of {evicted}", trace.arrows.len());
    for kind in ["TERM to KILL", "TERM to exit"] {
        assert!(trace.stops.iter().any(|stop| stop.name == kind), "{kind}");
    }
}

#[test]
fn a_bad_line_is_named_and_skipped_only_if_that_is_wished() {
    let directory = Directory::new("trace-bad");
    let good = r#"{"ev":"job","seq":1,"job":"j1","state":"running","priority":5,"on":"g1","at":"2026-01-01T00:00:00.000Z"}"#;
    let path = directory.file("events.jsonl", &format!("{good}\n\n{{\"ev\":\"job\",\"seq\":2\n"));
    let refused = output(SCHED, &["trace", &path]);
    let why = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(125), "{why}");
    assert!(why.contains(&path) && why.contains("line 3: ") && why.contains("skip"), "{why}");
    let skipped = output(SCHED, &["trace", "--bad-lines", "skip", &path]);
    assert_eq!(skipped.status.code(), Some(0));
    assert!(text(&skipped.stderr).contains("line 3: "), "{}", text(&skipped.stderr));
    assert_eq!(Trace::read(text(&skipped.stdout)).bars.len(), 1);
}

#[test]
fn what_cannot_be_done_is_said_with_what_to_do() {
    let directory = Directory::new("trace-errors");
    let path = directory.file("events.jsonl", "");
    let (bus, url) = Program::bus();
    let empty = output(SCHED, &["trace", "--bus", &url]);
    assert_eq!(empty.status.code(), Some(0), "{}", text(&empty.stderr));
    assert!(Trace::read(text(&empty.stdout)).bars.is_empty());
    drop(bus);
    for (arguments, status, why) in [
        (&["trace", "/no/such/file"][..], 125, "/no/such/file"),
        (&["trace", &path, "-o", "/no/such/folder/trace.json"], 125, "/no/such/folder"),
        (&["trace", &path, "-o", &path], 125, "name another file with -o"),
        (&["trace", &path, "-o", "/dev/full"], 125, "cannot write /dev/full"),
        (&["trace", &path, "--bus", &url], 2, "not both"),
        (&["trace", "--bad-lines", "keep"], 2, "neither fail nor skip"),
        (&["trace", "--bus", &url, "--connect", "0.1"], 125, "no bus at"),
    ] {
        let refused = output(SCHED, arguments);
        let told = text(&refused.stderr);
        assert_eq!(refused.status.code(), Some(status), "{arguments:?}: {told}");
        assert!(told.contains(why), "{arguments:?}: {told}");
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), "", "it was not overwritten");
    let help = output(SCHED, &["trace", "--help"]);
    for word in ["--output", "--bus", "--bad-lines", "Perfetto", "125"] {
        assert!(text(&help.stdout).contains(word), "{}", text(&help.stdout));
    }
}

#[test]
fn it_ends_when_nobody_reads_it() {
    let good = r#"{"ev":"job","seq":1,"job":"j1","state":"running","priority":5,"on":"g1","at":"2026-01-01T00:00:00.000Z"}"#;
    let lines: Vec<_> = (1..=20_000)
        .map(|n| good.replace("\"seq\":1", &format!("\"seq\":{n}")).replace("j1", &format!("j{n}")))
        .collect();
    let directory = Directory::new("trace-unread");
    let path = directory.file("events.jsonl", &lines.join("\n"));
    let line = format!("({SCHED} trace {path}; echo \"status $?\" >&2) | head -n 1");
    let done = output("sh", &["-c", &line]);
    assert_eq!(text(&done.stderr), "status 0\n");
}
