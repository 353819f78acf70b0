//! The program `sched`, end to end with a bus and schedulers.

#![expect(clippy::unwrap_used, reason = "this is how a test fails")]

mod support;

use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output};

use futures_lite::StreamExt;
use serde_json::Value;
use smol::Async;
use support::{BUS, PRODUCER, Program, SCHED, output, text};

/// Runs `sched VERB --bus URL …`.
fn sched(url: &str, verb: &str, arguments: &[&str]) -> Output {
    output(SCHED, &[&[verb, "--bus", url], arguments].concat())
}

/// What it prints, when it must succeed.
fn says(url: &str, verb: &str, arguments: &[&str]) -> String {
    let done = sched(url, verb, arguments);
    assert_eq!(done.status.code(), Some(0), "{verb} {arguments:?}: {}", text(&done.stderr));
    text(&done.stdout).to_owned()
}

/// Submits, and gives the id.
fn submit(url: &str, arguments: &[&str]) -> String {
    says(url, "submit", arguments).trim_end().to_owned()
}

/// Its lines of JSON.
fn json(url: &str, verb: &str, arguments: &[&str]) -> Vec<Value> {
    let told = says(url, verb, &[&["--json"], arguments].concat());
    told.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

/// The ids of the lines of one kind.
fn jobs(lines: &[Value], kind: &str) -> Vec<String> {
    let of_kind = lines.iter().filter(|line| line["kind"] == kind);
    of_kind.map(|line| line["job"].as_str().unwrap().to_owned()).collect()
}

/// A scheduler that may run `sh`, known to the bus.
fn scheduler(url: &str, name: &str, slots: &str) -> Program {
    let arguments = ["scheduler", "--bus", url, "--name", name, "-s", slots, "--allow", "sh"];
    let more = ["--allow", "no-such-program", "--allow", "/", "--grace", "0.2"];
    let mut scheduler = Program::start(SCHED, &[&arguments[..], &more].concat());
    scheduler.logs("speaks version 1");
    scheduler
}

/// Follows all events, from the first on.
fn events(url: &str) -> Program {
    events_after(url, "0")
}

fn events_after(url: &str, since: &str) -> Program {
    Program::start(SCHED, &["events", "--bus", url, "--json", "--since", since])
}

/// Waits until a job is in this state.
fn until(events: &mut Program, job: &str, state: &str) -> Value {
    loop {
        let line: Value = serde_json::from_str(&events.says("\"ev\"")).unwrap();
        if line["job"] == job && line["state"] == state {
            return line;
        }
    }
}

/// The exit status of a program that is submitted and waited for.
fn waited(url: &str, options: &[&str], program: &[&str]) -> (Option<i32>, String, String) {
    let all = [&["--wait", "--attempts", "1"], options, &["--"], program].concat();
    let done = sched(url, "submit", &all);
    (done.status.code(), text(&done.stdout).to_owned(), text(&done.stderr).to_owned())
}

#[test]
fn submit_and_wait_exits_as_the_job_does() {
    let (_bus, url) = Program::bus();
    let _scheduler = scheduler(&url, "g1", "1");
    let (status, stdout, stderr) = waited(&url, &[], &["sh", "-c", "echo hello; exit 0"]);
    assert_eq!((status, &*stdout), (Some(0), "j1\nhello\n"), "{stderr}");
    for (options, program, status, why) in [
        (&[][..], &["sh", "-c", "exit 3"][..], 3, "exit code 3"),
        (&[], &["sh", "-c", "kill -KILL $$"], 137, "signal 9"),
        (&["-t", "0.1"], &["sh", "-c", "sleep 60"], 124, "timed out"),
        (&["--deadline", "0.3"], &["sh", "-c", "sleep 60"], 124, "timed out"),
        (&[], &["no-such-program"], 127, "could not be started"),
        (&[], &["/"], 126, "could not be started"),
        (&["--expires", "0.2"], &["declined-by-everybody"], 122, "expired"),
    ] {
        let (told, stdout, stderr) = waited(&url, options, program);
        assert_eq!(told, Some(status), "{program:?}: {stderr}");
        assert!(stdout.starts_with('j') && stderr.contains(why), "{program:?}: {stderr}");
    }
}

#[test]
fn a_job_sees_its_place_its_variables_and_its_id() {
    let (_bus, url) = Program::bus();
    let _scheduler = scheduler(&url, "g1", "1");
    let script = "echo $(pwd) $WHAT $SCHED_JOB $SCHED_ATTEMPT";
    let options = ["--cwd", "/", "--env", "WHAT=a b"];
    let (status, stdout, stderr) = waited(&url, &options, &["sh", "-c", script]);
    assert_eq!((status, &*stdout), (Some(0), "j1\n/ a b j1 1\n"), "{stderr}");
}

#[test]
fn an_evicted_job_that_may_be_dropped_says_so() {
    let (_bus, url) = Program::bus();
    let _scheduler = scheduler(&url, "g1", "1");
    let mut events = events(&url);
    let arguments = ["submit", "--bus", &url, "--wait", "-p", "9", "--on-evict", "drop"];
    let mut victim = Program::start(SCHED, &[&arguments[..], &["--runtime", "3600"]].concat());
    until(&mut events, "j1", "running");
    let urgent = submit(&url, &["-p", "1", "--runtime", "0"]);
    let evicted = until(&mut events, "j1", "evicted");
    assert_eq!(evicted["by"], *urgent);
    victim.logs("evicted for j2");
    assert_eq!(victim.status(), Some(120));
    assert_eq!(sched(&url, "wait", &[&urgent]).status.code(), Some(0));
}

#[test]
fn a_bus_with_the_rules_of_the_prototype_drops_who_is_evicted() {
    let mut bus = Program::start(BUS, &["--listen", "127.0.0.1:0", "--policy", "seed"]);
    let url = bus.url();
    let _scheduler = scheduler(&url, "g1", "1");
    let mut events = events(&url);
    let victim = submit(&url, &["-p", "9", "--runtime", "3600"]);
    until(&mut events, &victim, "running");
    submit(&url, &["-p", "1", "--runtime", "0"]);
    assert_eq!(until(&mut events, &victim, "evicted")["final"], true);
    // Who says otherwise comes back.
    let kept = submit(&url, &["-p", "9", "--on-evict", "requeue", "--runtime", "3600"]);
    until(&mut events, &kept, "running");
    submit(&url, &["-p", "1", "--runtime", "0"]);
    until(&mut events, &kept, "pending");
    until(&mut events, &kept, "running");
}

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
fn an_ended_job_can_be_waited_for_and_shown() {
    let (_bus, url) = Program::bus();
    let _scheduler = scheduler(&url, "g1", "2");
    let (_, good, _) = waited(&url, &[], &["sh", "-c", "exit 0"]);
    let (_, bad, _) = waited(&url, &[], &["sh", "-c", "echo oh dear; exit 7"]);
    let (good, bad) = (good.trim_end(), bad.lines().next().unwrap());
    let one = sched(&url, "wait", &[bad]);
    assert_eq!(one.status.code(), Some(7));
    assert!(text(&one.stdout).contains(&format!("{bad} failed (exit code 7")));
    assert_eq!(sched(&url, "wait", &[good]).status.code(), Some(0));
    assert_eq!(sched(&url, "wait", &[good, bad]).status.code(), Some(1));
    let told = says(&url, "show", &[bad]);
    for part in ["failed (exit code 7", "pending", "assigned", "running", "on g1", "oh dear"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let life = json(&url, "show", &[bad]);
    let states: Vec<_> = life.iter().map(|line| line["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["pending", "assigned", "running", "failed"]);
    assert!(life.iter().all(|line| line["job"] == bad));
    for verb in ["wait", "show"] {
        let unknown = sched(&url, verb, &["j99"]);
        assert_eq!(unknown.status.code(), Some(125));
        assert!(text(&unknown.stderr).contains("knows no job j99"));
    }
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

/// The largest job that the bus takes reaches its scheduler, and one that is
/// larger is refused: nobody loses its connection over it.
#[test]
fn jobs_may_be_large_but_not_larger_than_the_bus_takes() {
    for more in [&[][..], &["--max-frame", "4000000"]] {
        let mut bus = Program::start(BUS, &[&["--listen", "127.0.0.1:0"], more].concat());
        let url = bus.url();
        let most = more.get(1).map_or(1 << 20, |most| most.parse().unwrap());
        let _scheduler = scheduler(&url, "g1", "1");
        // An argument has 128 KiB at most.
        let words = |size: usize| {
            let word = |at: usize| "x".repeat((size - at).min(100_000));
            (0..size).step_by(100_000).map(word).collect::<Vec<_>>()
        };
        let script = ["--wait", "--attempts", "1", "--", "sh", "-c", "echo $#", "sh"];
        let argue = |words: &[String]| {
            let words = words.iter().map(String::as_str);
            sched(&url, "submit", &script.iter().copied().chain(words).collect::<Vec<_>>())
        };
        let fits = words(most.min(1_900_000) - 1000);
        let done = argue(&fits);
        assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
        assert_eq!(text(&done.stdout), format!("j1\n{}\n", fits.len()));
        if most < 1_900_000 {
            for size in [most - 200, most + 1000] {
                let refused = argue(&words(size));
                let why = text(&refused.stderr);
                assert_eq!(refused.status.code(), Some(125), "{why}");
                assert!(why.contains("this bus takes 1048576"), "{why}");
            }
        }
    }
}

#[test]
fn a_program_with_an_endless_name_is_declined_in_few_words() {
    let (_bus, url) = Program::bus();
    let mut scheduler = scheduler(&url, "g1", "1");
    let name = "\\".repeat(100_000);
    let (status, stdout, why) = waited(&url, &["--expires", "1"], &[&name]);
    assert_eq!((status, &*stdout), (Some(122), "j1\n"));
    assert!(why.contains("j1 waits (on g1, this scheduler is not allowed"), "{why}");
    assert!(why.len() < 2000 && scheduler.logs("declined").len() < 2000);
    // It is still there.
    assert_eq!(waited(&url, &[], &["sh", "-c", "exit 3"]).0, Some(3));
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

#[test]
fn a_key_makes_two_submissions_one_job() {
    let (_bus, url) = Program::bus();
    let first = submit(&url, &["--key", "k", "--runtime", "0"]);
    assert_eq!(submit(&url, &["--key", "k", "--runtime", "0"]), first);
    assert_ne!(submit(&url, &["--runtime", "3600"]), first);
    let _scheduler = scheduler(&url, "g1", "1");
    assert_eq!(sched(&url, "wait", &[&first]).status.code(), Some(0));
    // The job of another session, which has ended long before.
    let again = sched(&url, "submit", &["--wait", "--key", "k", "--runtime", "0"]);
    assert_eq!((again.status.code(), text(&again.stdout).trim_end()), (Some(0), &*first));
}

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
    let folder = std::env::temp_dir().join(format!("sched-cli-{}", std::process::id()));
    let data = ["--data", folder.to_str().unwrap()];
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
    std::fs::remove_dir_all(&folder).unwrap();
}

/// A bus at this address, as soon as it listens.
fn bus_at(address: &str, arguments: &[&str]) -> Program {
    let mut bus = Program::start(BUS, &[&["--listen", address], arguments].concat());
    assert_eq!(bus.url(), format!("ws://{address}"));
    bus
}

fn until_resync(events: &mut Program) {
    while !events.says("\"ev\"").contains("resync") {}
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

#[test]
fn no_scheduler_is_no_error_but_a_job_may_expire() {
    let (_bus, url) = Program::bus();
    let arguments = ["--wait", "--expires", "0.1", "--runtime", "0"];
    let expired = sched(&url, "submit", &arguments);
    assert_eq!(expired.status.code(), Some(122));
    assert!(text(&expired.stderr).contains("expired"), "{}", text(&expired.stderr));
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

#[test]
fn the_producer_hears_what_becomes_of_its_jobs() {
    let (_bus, url) = Program::bus();
    let _scheduler = scheduler(&url, "g1", "4");
    let arguments = ["--submit", "--bus", &url, "--count", "20", "-p", "0.005", "--seed", "3"];
    let producer = output(PRODUCER, &[&arguments[..], &["--runtime", "0.01..0.05"]].concat());
    let (told, log) = (text(&producer.stdout), text(&producer.stderr));
    assert_eq!(producer.status.code(), Some(0), "{log}");
    for part in ["job 20: accepted as j20", "runs (on g1)", "finished", "ending after 20 jobs"] {
        assert!(log.contains(part), "{part}: {log}");
    }
    let rows: Vec<Vec<&str>> = told.lines().map(|line| line.split_whitespace().collect()).collect();
    assert!(rows.contains(&vec!["finished", "20"]), "{told}");
    assert!(rows.contains(&vec!["TIME", "P50", "P99"]), "{told}");
    assert!(told.contains("wait ") && told.contains("turnaround "), "{told}");
}

#[test]
fn the_producer_loses_no_job_when_the_bus_is_killed() {
    let folder = std::env::temp_dir().join(format!("producer-{}", std::process::id()));
    let data = ["--data", folder.to_str().unwrap()];
    let address = free_address();
    let url = format!("ws://{address}");
    let mut bus = bus_at(&address, &data);
    let _scheduler = scheduler(&url, "g1", "4");
    let arguments = ["--submit", "--bus", &url, "--count", "60", "-p", "0.005"];
    let runtime = ["--runtime", "0.01..0.05"];
    let mut producer = Program::start(PRODUCER, &[&arguments[..], &runtime].concat());
    producer.logs("job 20: accepted");
    bus.signal("KILL");
    bus.status();
    let _bus = bus_at(&address, &data);
    producer.logs("ending after 60 jobs");
    let told = producer.rest();
    assert!(told.contains("finished  60\n"), "{told}");
    assert_eq!(producer.status(), Some(0));
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn an_interrupted_producer_says_what_is_open() {
    let (_bus, url) = Program::bus();
    let arguments = ["--submit", "--bus", &url, "--count", "2", "-p", "0.001"];
    let mut producer = Program::start(PRODUCER, &arguments);
    producer.logs("job 2: accepted");
    producer.signal("INT");
    producer.says("(none yet)  2");
    assert_eq!(producer.status(), Some(0));
}

/// An address that nobody listens at.
fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// A bus that shakes hands, reads, and never says a word: that is all a
/// producer hears of one of version 0.
fn bus_of_version_0() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for tcp in listener.incoming() {
            let tcp = Async::new(tcp.unwrap()).unwrap();
            std::thread::spawn(move || smol::block_on(say_nothing(tcp)));
        }
    });
    url
}

async fn say_nothing(tcp: Async<TcpStream>) {
    let mut web_socket = async_tungstenite::accept_async(tcp).await.unwrap();
    while let Some(Ok(_)) = web_socket.next().await {}
}
