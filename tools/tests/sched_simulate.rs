//! `sched simulate`, end to end, and beside the real scheduler.

#![expect(clippy::unwrap_used, reason = "this is how a test fails")]

mod support;

use std::fs;
use std::io::Write;
use std::num::NonZeroUsize;
use std::process::{Command, Stdio};
use std::time::Duration;

use sched_core::{JobSpec, OutcomeKind, Policy, Priority};
use sched_runtime_smol::{Command as Program, Scheduler};
use serde_json::Value;
use support::directory::Directory;
use support::{SCHED, output, text};
use tools::simulate::{self, Terms, Work};

/// The figures of each policy, as JSON.
fn simulate(arguments: &[&str]) -> Vec<Value> {
    let done = output(SCHED, &[&["simulate", "--json"], arguments].concat());
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    text(&done.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

const ARCHIVE: &str = "\
; Version: 2
1 100 0 10 4 -1 -1 4 20 -1 1 1 1 -1 3 -1 -1 -1
2 101 9 8 1 -1 -1 1 20 -1 1 1 1 -1 3 -1 -1 -1

3 102 8 4 1 -1 -1 1 2 -1 1 1 1 -1 1 -1 -1 -1
4 103 -1 -1 1 -1 -1 1 20 -1 5 1 1 -1 1 -1 -1 -1
";

#[test]
fn policies_stand_side_by_side_and_a_seed_repeats_a_run() {
    let arguments = ["--jobs", "500", "-s", "3", "--policy", "seed,durable:aging=off"];
    let all = simulate(&arguments);
    assert_eq!(all, simulate(&arguments));
    let names: Vec<_> = all.iter().map(|it| it["policy"].as_str().unwrap()).collect();
    assert_eq!(names, ["seed", "durable:aging=off"]);
    assert!(all[0]["outcomes"]["evicted"].as_u64() > Some(0));
    assert_eq!(all[1]["outcomes"], serde_json::json!({ "finished": 500 }));
    let table = output(SCHED, &[&["simulate"], &arguments[..]].concat());
    let table = text(&table.stdout);
    assert!(table.starts_with("500 jobs, load 0.9, seed 1, on 3 slots\n"), "{table}");
    for line in ["utilisation", "of it wasted", "wait p99", "bounded slowdown", "PRIO"] {
        assert!(table.contains(line), "{line}: {table}");
    }
}

#[test]
fn an_archive_is_read_and_what_did_not_run_is_left_out() {
    let directory = Directory::new("simulate-archive");
    let file = directory.file("archive.swf", ARCHIVE);
    let never = ["-s", "1", "--policy", "seed:preempt-delta=off", &file];
    let figures = &simulate(&never)[0];
    assert_eq!((figures["accepted"].as_u64(), figures["span_s"].as_f64()), (Some(3), Some(22.0)));
    let limited = &simulate(&[&["--limits"], &never[..]].concat())[0];
    assert_eq!(limited["outcomes"], serde_json::json!({ "finished": 2, "timed_out": 1 }));
    let title = output(SCHED, &["simulate", &file]);
    assert!(text(&title.stdout).contains("3 jobs, 1 left out that did not run to their end"));
}

#[test]
fn a_bad_line_is_named_and_skipped_only_if_that_is_wished() {
    let directory = Directory::new("simulate-bad");
    let file = directory.file("bad.swf", &format!("{ARCHIVE}5 104 what\n"));
    let refused = output(SCHED, &["simulate", &file]);
    let why = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(125), "{why}");
    assert!(why.contains("line 7: \"what\" is no number") && why.contains("skip"), "{why}");
    let skipped = output(SCHED, &["simulate", "--json", "--bad-lines", "skip", &file]);
    assert_eq!(skipped.status.code(), Some(0));
    assert!(text(&skipped.stderr).contains("line 7: \"what\" is no number"));
    for (content, why) in [("", "no job in it"), ("; nothing\n", "no job in it")] {
        let empty = directory.file("empty.swf", content);
        let refused = output(SCHED, &["simulate", &empty]);
        assert_eq!(refused.status.code(), Some(125));
        assert!(text(&refused.stderr).contains(why), "{}", text(&refused.stderr));
    }
    let endless = directory.file("endless.swf", &"1 ".repeat(1024 * 1024));
    let refused = output(SCHED, &["simulate", &endless]);
    assert_eq!(refused.status.code(), Some(125));
    assert!(text(&refused.stderr).contains("line 1: it is longer than"));
    let missing = output(SCHED, &["simulate", "/no/such/file"]);
    assert_eq!(missing.status.code(), Some(125));
}

#[test]
fn events_are_read_from_standard_input() {
    let events = r#"{"ev":"job","seq":1,"job":"j1","state":"pending","priority":5,"at":"2026-01-01T00:00:00.000Z"}
{"ev":"job","seq":2,"job":"j1","state":"finished","priority":5,"ran_ms":4000,"final":true,"at":"2026-01-01T00:00:09.000Z"}
"#;
    let mut child = Command::new(SCHED)
        .args(["simulate", "--json", "--policy", "seed", "/dev/stdin"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(events.as_bytes()).unwrap();
    let done = child.wait_with_output().unwrap();
    let figures: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!((figures["accepted"].as_u64(), figures["span_s"].as_f64()), (Some(1), Some(4.0)));
}

#[test]
fn a_chart_and_a_trace_are_written() {
    let directory = Directory::new("simulate-drawn");
    let (chart, trace) = (directory.path("chart.svg"), directory.path("trace.json"));
    simulate(&["--jobs", "300", "--chart", &chart, "--trace", &trace]);
    let picture = fs::read_to_string(&chart).unwrap();
    assert!(picture.starts_with("<svg") && picture.trim_end().ends_with("</svg>"));
    assert!(picture.contains("durable") && picture.contains("<polyline"));
    let trace: Value = serde_json::from_slice(&fs::read(&trace).unwrap()).unwrap();
    let events = trace["traceEvents"].as_array().unwrap();
    let names = events.iter().filter(|it| it["name"] == "process_name");
    assert_eq!(names.count(), 2, "a process for each policy");
    let full = output(SCHED, &["simulate", "--jobs", "300", "--trace", "/dev/full"]);
    assert_eq!(full.status.code(), Some(125));
    let stdout = fs::File::options().write(true).open("/dev/full").unwrap();
    let unread = Command::new(SCHED).args(["simulate", "--json"]).stdout(stdout).status().unwrap();
    assert_eq!(unread.code(), Some(0), "nobody reads it, which is no reason to panic");
}

#[test]
fn arguments_that_make_no_sense_are_refused_with_status_2() {
    for (arguments, why) in [
        (&["--policy", "best"][..], "neither seed nor durable"),
        (&["--policy", "seed:grace=now"], "not a number"),
        (&["--load", "0"], "no share"),
        (&["--runtime", "0"], "no load"),
        (&["--format", "csv"], "neither swf nor events"),
    ] {
        let refused = output(SCHED, &[&["simulate"], arguments].concat());
        assert_eq!(refused.status.code(), Some(2), "{arguments:?}");
        assert!(text(&refused.stderr).contains(why), "{}", text(&refused.stderr));
    }
}

/// The same jobs, as processes: who is evicted, how often, and how everybody
/// ends is what was foretold. The times between events are long enough for a
/// busy machine, and no time is compared.
#[test]
fn the_real_scheduler_does_what_the_simulation_foretells() {
    const TENTH: Duration = Duration::from_millis(100);
    // In tenths of a second: the urgent ones come while both slots are taken.
    let plan = [(0, 60, 9), (0, 60, 8), (10, 2, 1), (20, 2, 0), (30, 2, 9)];
    let works = plan.map(|(submitted, runtime, priority)| Work {
        submitted: TENTH * submitted,
        runtime: TENTH * runtime,
        priority,
        limit: None,
    });
    let slots = NonZeroUsize::MIN.saturating_add(1);
    let policy = Policy { aging: None, ..Policy::durable() };
    let terms = Terms { slots, policy: policy.clone(), dying: Duration::ZERO };
    let foretold = simulate::run(&works, &terms, None).unwrap();
    assert_eq!(foretold.outcomes.get(&OutcomeKind::Finished), Some(&5));

    let summary = smol::block_on(async {
        let scheduler = Scheduler::start(slots, policy).unwrap();
        let begun = std::time::Instant::now();
        let mut jobs = Vec::new();
        for work in works {
            let wait = work.submitted.saturating_sub(begun.elapsed());
            smol::Timer::after(wait).await;
            let command = Program::new("sleep").arg(work.runtime.as_secs_f64().to_string());
            let job = JobSpec::new(Priority::new(work.priority), command);
            jobs.push(scheduler.submit(job).await.unwrap());
        }
        for job in jobs {
            assert_eq!(job.ended().await.unwrap().outcome.kind(), OutcomeKind::Finished);
        }
        scheduler.stop().await
    });
    assert_eq!(summary.stats.evictions, foretold.evictions);
    assert_eq!(summary.stats.ended(OutcomeKind::Finished), 5);
}
