//! How the jobs of `sched submit` end, and with what exit status.

use crate::kit::{events, json, says, sched, scheduler, waited};
use crate::support::{BUS, Program, SCHED, submit, text, until};

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
fn no_scheduler_is_no_error_but_a_job_may_expire() {
    let (_bus, url) = Program::bus();
    let arguments = ["--wait", "--expires", "0.1", "--runtime", "0"];
    let expired = sched(&url, "submit", &arguments);
    assert_eq!(expired.status.code(), Some(122));
    assert!(text(&expired.stderr).contains("expired"), "{}", text(&expired.stderr));
}
