//! The program `test_scheduler`, end to end.

#![expect(clippy::unwrap_used, reason = "this is how a test fails")]

mod support;

use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{fs, thread};

use sched_core::Priority;
use sched_core::bus::{Role, TestJob};
use sched_runtime_smol::bus::{BusClient, ClientConfig};
use support::directory::Directory;
use support::{BUS, PRODUCER, Program, SCHED, TEST_SCHEDULER, children, descriptors, output, text};

fn job(priority: i32, millis: u64) -> TestJob {
    TestJob { priority: Priority::new(priority), runtime: Duration::from_millis(millis) }
}

/// A producer that has submitted these jobs.
fn submit(url: &str, jobs: impl IntoIterator<Item = TestJob>) -> BusClient {
    let producer = BusClient::open(ClientConfig::new(url.parse().unwrap(), Role::Producer));
    smol::block_on(async {
        for job in jobs {
            producer.send_job(&job).await.unwrap();
        }
    });
    producer
}

fn scheduler(bus: &mut Program, url: &str, arguments: &[&str]) -> Program {
    let scheduler = Program::start(TEST_SCHEDULER, &[&["--bus", url][..], arguments].concat());
    bus.logs("1 schedulers");
    scheduler
}

#[test]
fn help_version_and_bad_arguments() {
    let help = output(TEST_SCHEDULER, &["--help"]);
    assert_eq!(help.status.code(), Some(0));
    for option in
        ["-s, --size", "-t, --timeout", "-d, --debug", "--on-evict", "--grace", "--policy"]
    {
        assert!(text(&help.stdout).contains(option), "{option}");
    }
    assert!(text(&output(TEST_SCHEDULER, &["--version"]).stdout).starts_with("test_scheduler "));
    let bad: &[(&[&str], &str)] = &[
        (&["-s", "0"], "from 1"),
        (&["-s", "-3"], "from 1"),
        (&["-s", "many"], "whole number"),
        (&["-t", "0"], "too small"),
        (&["-t", "nan"], "not a number"),
        (&["--on-evict", "eat"], "neither drop nor requeue"),
        (&["--policy", "none"], "neither seed nor durable"),
        (&["--grace", "-1"], "too small"),
        (&["--bus", "nowhere"], "ws://"),
    ];
    for (arguments, why) in bad {
        let refused = output(TEST_SCHEDULER, arguments);
        let stderr = text(&refused.stderr);
        assert_eq!(refused.status.code(), Some(2), "{arguments:?}: {stderr}");
        assert!(stderr.contains(why), "{arguments:?}: {stderr}");
    }
}

#[test]
fn f20_more_slots_than_this_machine_has_room_for_are_a_clear_error() {
    let refused = output(TEST_SCHEDULER, &["-s", "4000000000"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("descriptors"), "{}", text(&refused.stderr));
}

/// The three commands as everybody types them first. The port that they take by
/// default may be another program's here: then only that part is left out.
#[test]
fn the_three_commands_do_what_they_say() {
    let mut bus = Program::start(BUS, &[]);
    let mut url = bus.url();
    let by_default = url == "ws://127.0.0.1:8101";
    if !by_default {
        println!("port 8101 is taken here; the programs are told another");
        (bus, url) = Program::bus();
    }
    let told = if by_default { vec![] } else { vec!["--bus", &url] };
    let mut scheduler = Program::start(TEST_SCHEDULER, &[&["-s", "5"], &told[..]].concat());
    scheduler.logs("5 slots, a time limit of 10s a job");
    bus.logs("0 producers, 1 schedulers");
    let mut producer = Program::start(PRODUCER, &[&["--gauss"], &told[..]].concat());
    bus.logs("1 producers, 1 schedulers");
    let line = producer.logs("job 1: priority");
    assert!(line.contains("next in"), "{line}");
    scheduler.logs("j1 (priority");
    for program in [&mut producer, &mut scheduler, &mut bus] {
        program.signal("INT");
        assert_eq!(program.status(), Some(0));
    }
    assert!(scheduler.rest().starts_with("1 jobs in "));
}

#[test]
fn the_three_programs_run_jobs_evict_and_time_out_and_end_in_order() {
    let (mut bus, url) = Program::bus();
    let mut scheduler = scheduler(&mut bus, &url, &["-s", "2", "-t", "0.4"]);
    let arguments = ["--gauss", "-p", "0.05", "-s", "0.02", "--seed", "3"];
    let shape = ["--bus", &url, "--count", "40", "--runtime", "0.1..0.6"];
    let mut producer = Program::start(PRODUCER, &[&arguments[..], &shape].concat());
    for story in ["starts in slot", "is queued", "evicted by", "timed_out", "finished"] {
        scheduler.logs(story);
    }
    producer.logs("ending after 40 jobs");
    assert_eq!(producer.status(), Some(0));
    scheduler.signal("INT");
    scheduler.logs("stopping");
    assert_eq!(scheduler.status(), Some(0));
    let summary = scheduler.rest();
    for line in ["jobs in", "on 2 slots", "finished", "evictions", "useful time", "wasted time"] {
        assert!(summary.contains(line), "{line}: {summary}");
    }
    bus.signal("TERM");
    assert_eq!(bus.status(), Some(0));
}

#[test]
fn ten_thousand_jobs_leave_no_child_no_zombie_and_no_descriptor_behind() {
    const JOBS: usize = 10_000;
    const FIRST: usize = 200;
    const SLOTS: usize = 8;
    let (mut bus, url) = Program::bus();
    let mut scheduler = scheduler(&mut bus, &url, &["-s", "8"]);
    let pid = scheduler.pid();
    // Some jobs first, so that everything is open that stays open: whatever
    // starts processes keeps something from one start to the next.
    let producer = submit(&url, vec![job(5, 0); FIRST]);
    (0..FIRST).for_each(|_| drop(scheduler.logs("finished")));
    let open = descriptors(pid);
    let done = AtomicBool::new(false);
    let peak = thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let (mut peak, mut before) = (0, Vec::<u32>::new());
            while !done.load(Ordering::Relaxed) {
                // A look takes a while, and what it finds may have lived one
                // after the other. Who is there in two looks was there between.
                let now = children(pid);
                peak = peak.max(now.iter().filter(|child| before.contains(child)).count());
                before = now;
                thread::yield_now();
            }
            peak
        });
        smol::block_on(async {
            for count in FIRST..JOBS {
                let priority = i32::try_from(count % 11).unwrap();
                producer.send_job(&job(priority, 0)).await.unwrap();
            }
        });
        let outcomes = ["finished:", "evicted by"];
        let mut ended = FIRST;
        while ended < JOBS {
            let line = scheduler.logs(": waited");
            assert!(outcomes.iter().any(|outcome| line.contains(outcome)), "{line}");
            // What was evicted comes back.
            ended += usize::from(line.contains("finished:"));
        }
        done.store(true, Ordering::Relaxed);
        watch.join().unwrap()
    });
    assert!((1..=SLOTS).contains(&peak), "{peak} live children in {SLOTS} slots");
    assert_eq!(children(pid), [0_u32; 0], "left behind");
    let left = descriptors(pid);
    assert!(left <= open, "{left} descriptors are open, and {open} were at the beginning");
    scheduler.signal("TERM");
    assert_eq!(scheduler.status(), Some(0));
    let summary = scheduler.rest();
    assert!(summary.contains("finished       10000"), "{summary}");
    smol::block_on(producer.close());
}

#[test]
fn f8_a_payload_that_is_no_job_is_refused_and_the_scheduler_goes_on() {
    let (mut bus, url) = Program::bus();
    let mut scheduler = scheduler(&mut bus, &url, &[]);
    let producer = submit(&url, []);
    let payloads = [
        "{}",
        "null",
        "[1,2]",
        r#"{"runtime":1}"#,
        r#"{"priority":"high","runtime":1}"#,
        r#"{"priority":-1,"runtime":1}"#,
        r#"{"priority":1,"runtime":-1}"#,
        r#"{"priority":1e400,"runtime":1}"#,
        r#"{"priority":1,"runtime":1e300}"#,
        r#"{"priority":1,"runtime":true}"#,
    ];
    smol::block_on(async {
        for payload in payloads {
            let request = format!(r#"{{"cmd":"job_request","payload":{payload}}}"#);
            producer.send_text(request).await.unwrap();
        }
        producer
            .send_text(r#"{"cmd":"job_request","payload":{"priority":NaN}}"#.into())
            .await
            .unwrap();
        producer.send_job(&job(1, 0)).await.unwrap();
    });
    // What has no priority the bus keeps from its schedulers; the rest they decline.
    for _ in 0..3 {
        scheduler.logs("declined:");
    }
    scheduler.logs("finished");
    bus.logs("job passed on, but not usable");
    scheduler.signal("INT");
    scheduler.logs("3 jobs were declined");
    assert_eq!(scheduler.status(), Some(0));
    smol::block_on(producer.close());
}

#[test]
fn f19_the_scheduler_waits_for_a_bus_and_comes_back_to_it() {
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (url, listen) = (format!("ws://{address}"), address.to_string());
    let mut scheduler = Program::start(TEST_SCHEDULER, &["--bus", &url]);
    scheduler.logs("no bus at");
    let mut bus = Program::start(BUS, &["--listen", &listen]);
    scheduler.logs("connected to the bus");
    bus.logs("1 schedulers");
    bus.signal("KILL");
    bus.status();
    let mut bus = Program::start(BUS, &["--listen", &listen]);
    scheduler.logs("connected to the bus");
    bus.logs("1 schedulers");
    let producer = submit(&url, [job(1, 0)]);
    scheduler.logs("finished");
    smol::block_on(producer.close());
}

#[test]
fn f12_stopping_ends_the_children_and_starts_none() {
    let (mut bus, url) = Program::bus();
    let mut scheduler = scheduler(&mut bus, &url, &["-s", "1", "-t", "600", "-d"]);
    let producer = submit(&url, [job(1, 600_000), job(1, 600_000)]);
    scheduler.logs("has a process");
    scheduler.signal("TERM");
    scheduler.logs("cancelled");
    assert_eq!(scheduler.status(), Some(0));
    let summary = scheduler.rest();
    assert!(summary.starts_with("1 jobs in ") && summary.contains("cancelled      1"), "{summary}");
    smol::block_on(producer.close());
}

#[test]
fn a_second_signal_kills_what_ignores_the_first() {
    // A `sleep` that says it is there, and ignores TERM.
    let directory = Directory::new("stubborn");
    let ready = directory.path("ready");
    assert!(Command::new("mkfifo").arg(&ready).status().unwrap().success());
    let script = format!("#!/bin/sh\ntrap '' TERM\necho $$ > {ready}\nexec /bin/sleep \"$@\"\n");
    let program = directory.file("sleep", &script);
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();

    let (mut bus, url) = Program::bus();
    let path = format!("{}:{}", directory.0.display(), std::env::var("PATH").unwrap());
    let arguments = ["--bus", &url, "-t", "600", "--grace", "600"];
    let mut scheduler =
        Program::spawn(Command::new(TEST_SCHEDULER).args(arguments).env("PATH", path));
    bus.logs("1 schedulers");
    let producer = submit(&url, [job(1, 600_000)]);
    let child: u32 = fs::read_to_string(&ready).unwrap().trim().parse().unwrap();
    scheduler.signal("INT");
    scheduler.logs("is stopped: cancelled");
    assert_eq!(children(scheduler.pid()), [child]);
    scheduler.signal("INT");
    scheduler.logs("cancelled (signal 9)");
    assert_eq!(scheduler.status(), Some(0));
    assert!(!fs::exists(format!("/proc/{child}")).unwrap());
    smol::block_on(producer.close());
}

#[test]
fn an_evicted_job_comes_back_and_finishes() {
    let (mut bus, url) = Program::bus();
    let mut scheduler = scheduler(&mut bus, &url, &["-s", "1", "-d"]);
    let producer = submit(&url, [job(9, 300)]);
    scheduler.logs("j1 has a process");
    smol::block_on(producer.send_job(&job(0, 100))).unwrap();
    scheduler.logs("j1 (priority 9) evicted by j2");
    scheduler.logs("j2 (priority 0) finished");
    // The bus has kept it, and assigns it again.
    scheduler.logs("j1 (priority 9) starts in slot 0");
    scheduler.logs("j1 (priority 9) finished");
    scheduler.signal("INT");
    assert_eq!(scheduler.status(), Some(0));
    assert!(scheduler.rest().contains("finished       2\n  evicted        1\n  evictions      1"));
    smol::block_on(producer.close());
}

#[test]
fn it_has_a_name_runs_the_programs_it_may_and_old_jobs_that_were_queued() {
    let mut bus = Program::start(BUS, &["--listen", "127.0.0.1:0", "--queue-job-requests"]);
    let url = bus.url();
    let producer = submit(&url, [job(3, 0)]);
    let mut scheduler = scheduler(&mut bus, &url, &["--name", "g7", "--allow", "echo"]);
    scheduler.logs("g7: 5 slots");
    scheduler.logs("j1 (priority 3) finished");
    let run = |program| {
        let arguments = ["submit", "--bus", &url, "--wait", "--expires", "1", "--", program, "hi"];
        let done = output(SCHED, &arguments);
        (done.status.code(), text(&done.stdout).to_owned())
    };
    assert_eq!(run("echo"), (Some(0), "j2\nhi\n".to_owned()));
    assert_eq!(run("printf"), (Some(122), "j3\n".to_owned()));
    smol::block_on(producer.close());
}
