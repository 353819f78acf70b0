//! The program `sched run`, end to end.

#![expect(clippy::unwrap_used, reason = "this is how a test fails")]

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use support::directory::Directory;
use support::{SCHED, output, text};

/// `sched run` with a pipe at every end.
fn start(arguments: &[&str]) -> Child {
    let mut command = Command::new(SCHED);
    command.arg("run").args(arguments).env_remove("RUST_LOG");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Runs lines from a file.
fn run(name: &str, arguments: &[&str], lines: &str) -> Output {
    let directory = Directory::new(&format!("run-{name}"));
    let jobs = directory.file("jobs", lines);
    output(SCHED, &[&["run"], arguments, &[&jobs]].concat())
}

/// The same, told in JSON, in the order of the outcomes.
fn told(name: &str, arguments: &[&str], lines: &str) -> Vec<Value> {
    let done = run(name, &[arguments, &["--json"]].concat(), lines);
    text(&done.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn send_signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
}

/// Waits for a line on stderr that contains `what`.
fn reads_until(lines: &mut impl BufRead, what: &str) -> String {
    loop {
        let mut line = String::new();
        assert_ne!(lines.read_line(&mut line).unwrap(), 0, "no {what:?}");
        if line.contains(what) {
            return line;
        }
    }
}

#[test]
fn jobs_come_from_a_file_or_a_pipe_and_all_of_them_finish() {
    let done = run("file", &["-s", "2"], "echo 'a b'\n# nothing\n\nsh -c 'echo c; echo d >&2'\n");
    let mut lines: Vec<_> = text(&done.stdout).lines().collect();
    lines.sort_unstable();
    assert_eq!((done.status.code(), lines), (Some(0), vec!["a b", "c"]));
    let stderr = text(&done.stderr);
    assert!(stderr.contains("d\n") && stderr.contains("2 finished"), "{stderr}");
    let mut piped = start(&[]);
    piped.stdin.take().unwrap().write_all(b"echo piped").unwrap();
    let done = piped.wait_with_output().unwrap();
    assert_eq!((done.status.code(), text(&done.stdout)), (Some(0), "piped\n"));
}

#[test]
fn a_job_starts_before_the_pipe_ends() {
    let mut piped = start(&["-s", "1"]);
    let mut stdin = piped.stdin.take().unwrap();
    stdin.write_all(b"echo first\n").unwrap();
    let mut stdout = BufReader::new(piped.stdout.take().unwrap());
    reads_until(&mut stdout, "first");
    drop(stdin);
    assert!(piped.wait().unwrap().success());
}

#[test]
fn the_output_of_a_job_is_never_interleaved_and_none_of_it_is_lost() {
    let line = "sh -c 'i=0; while [ $i -lt 400 ]; do echo $SCHED_JOB; i=$((i+1)); done'\n";
    let done = run("together", &["-s", "4"], &line.repeat(8));
    let lines: Vec<_> = text(&done.stdout).lines().collect();
    assert_eq!(lines.len(), 3200);
    assert!(lines.chunks(400).all(|job| job.iter().all(|line| *line == job[0])));
    let big = run("big", &[], "head -c 3000000 /dev/zero\n");
    assert_eq!((big.status.code(), big.stdout.len()), (Some(0), 3_000_000));
}

#[test]
fn the_most_urgent_line_of_a_file_starts_first() {
    let told = told("urgent", &["-s", "1"], "9\ttrue\n1\ttrue\ntrue\n1\ttrue\n");
    let lines: Vec<_> = told.iter().map(|told| told["line"].as_u64().unwrap()).collect();
    assert_eq!(lines, [2, 4, 3, 1]);
}

#[test]
fn the_most_urgent_line_starts_first_however_many_before_it_are_no_jobs() {
    let lines = format!("{}{}0\ttrue\n", "'\n".repeat(255), "9\ttrue\n".repeat(300));
    let mut told = told("late", &["-s", "1"], &lines);
    told.retain(|told| told["outcome"] != "refused");
    assert_eq!((told.len(), &told[0]["line"]), (301, &556.into()));
    let evicted: Vec<_> = told.iter().filter(|told| told["evictions"] != 0).collect();
    assert!(evicted.is_empty(), "started before all was read: {evicted:?}");
}

#[test]
fn failures_are_told_by_line_and_the_status_is_1() {
    let lines = "true\nsh -c 'exit 3'\necho 'open\nno-such-program\n-1\ttrue\nsleep 60\n";
    let done = run("failures", &["-s", "2", "-t", "2"], lines);
    let stderr = text(&done.stderr);
    assert_eq!(done.status.code(), Some(1), "{stderr}");
    for told in [
        "line 2, sh -c 'exit 3': failed (exit code 3)",
        "line 3 is no job: a quote is not closed",
        "line 4, no-such-program: spawn_failed",
        "line 5 is no job: \"-1\" is no priority",
        "line 6, sleep 60: timed_out",
        "4 jobs in ",
        "1 finished, 1 failed, 1 timed_out, 1 spawn_failed, 2 lines refused",
    ] {
        assert!(stderr.contains(told), "no {told:?} in {stderr}");
    }
}

#[test]
fn json_has_a_line_for_every_outcome_with_what_the_job_wrote() {
    let lines = "3\tsh -c 'printf \"ä\\\\377\\\"\"; echo no >&2; exit 7'\n'\nsh -c 'kill -9 $$'\n";
    let mut told = told("json", &["-s", "1"], lines);
    told.sort_by_key(|told| told["line"].as_u64());
    let [failed, refused, killed] = &told[..] else { panic!("{told:?}") };
    assert_eq!((&failed["priority"], &failed["outcome"]), (&3.into(), &"failed".into()));
    assert_eq!((&failed["code"], &failed["signal"]), (&7.into(), &Value::Null));
    assert_eq!((&failed["stdout"], &failed["stderr"]), (&"ä\u{fffd}\"".into(), &"no\n".into()));
    assert_eq!((&refused["line"], &refused["outcome"]), (&2.into(), &"refused".into()));
    assert_eq!((&killed["outcome"], &killed["signal"]), (&"failed".into(), &9.into()));
}

/// A job that says it runs and then waits to be ended.
fn waits(fifo: &Fifo) -> String {
    format!("sh -c 'echo here > {}; exec sleep 3600'\n", fifo.0.display())
}

/// Tells when a job has come so far.
struct Fifo(PathBuf);

impl Fifo {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("sched-run-{}-{name}", std::process::id()));
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        Self(path)
    }

    fn wait(&self) {
        assert_eq!(fs::read_to_string(&self.0).unwrap(), "here\n");
    }
}

impl Drop for Fifo {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn a_later_more_urgent_line_evicts_and_the_victim_comes_back_or_not() {
    for (fate, outcome) in [("drop", "evicted"), ("requeue", "finished")] {
        let fifo = Fifo::new(fate);
        let mut piped = start(&["-s", "1", "--json", "--on-evict", fate]);
        let mut stdin = piped.stdin.take().unwrap();
        // At its second start it finds the mark of the first, and finishes.
        let mark = fifo.0.with_extension("mark");
        let victim = format!(
            "9\tsh -c '[ -e {0} ] && exit 0; touch {0}; echo here > {1}; exec sleep 3600'\n",
            mark.display(),
            fifo.0.display()
        );
        stdin.write_all(victim.as_bytes()).unwrap();
        fifo.wait();
        stdin.write_all(b"1\ttrue\n").unwrap();
        drop(stdin);
        let done = piped.wait_with_output().unwrap();
        fs::remove_file(mark).unwrap();
        let told: Vec<Value> =
            text(&done.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let victim = told.iter().find(|told| told["line"] == 1).unwrap();
        assert_eq!((&victim["outcome"], &victim["evictions"]), (&outcome.into(), &1.into()));
        assert_eq!(told.iter().find(|told| told["line"] == 2).unwrap()["outcome"], "finished");
        assert_eq!(done.status.code(), Some(i32::from(fate == "drop")));
    }
}

#[test]
fn the_first_signal_ends_what_runs_and_starts_nothing() {
    for signal in ["INT", "TERM"] {
        let fifo = Fifo::new(signal);
        let mut piped = start(&["-s", "1"]);
        let mut stdin = piped.stdin.take().unwrap();
        stdin.write_all(waits(&fifo).as_bytes()).unwrap();
        stdin.write_all(b"echo never\n").unwrap();
        fifo.wait();
        send_signal(&piped, signal);
        let done = piped.wait_with_output().unwrap();
        let stderr = text(&done.stderr);
        assert_eq!((done.status.code(), text(&done.stdout)), (Some(1), ""), "{stderr}");
        assert!(stderr.contains("cancelled") && stderr.contains("ended early"), "{stderr}");
        drop(stdin);
    }
}

#[test]
fn the_second_signal_kills_what_does_not_end() {
    let (fifo, termed) = (Fifo::new("stubborn"), Fifo::new("termed"));
    let mut piped = start(&["-s", "1", "--grace", "3600"]);
    let script = format!(
        "sh -c 'trap \"echo here > {}\" TERM; echo here > {}; while :; do sleep 1; done'\n",
        termed.0.display(),
        fifo.0.display()
    );
    piped.stdin.as_mut().unwrap().write_all(script.as_bytes()).unwrap();
    fifo.wait();
    send_signal(&piped, "INT");
    termed.wait();
    send_signal(&piped, "INT");
    assert_eq!(piped.wait_with_output().unwrap().status.code(), Some(1));
}

#[test]
fn what_runs_ends_with_a_run_that_is_killed() {
    let fifo = Fifo::new("killed");
    let mut piped = start(&["-s", "1"]);
    let script = format!("sh -c 'exec 3> {}; echo here >&3; sleep 3600'\n", fifo.0.display());
    piped.stdin.as_mut().unwrap().write_all(script.as_bytes()).unwrap();
    let mut said = String::new();
    let mut job = fs::File::open(&fifo.0).unwrap();
    send_signal(&piped, "KILL");
    assert_eq!(piped.wait().unwrap().code(), None);
    job.read_to_string(&mut said).unwrap();
    assert!(["here\n", ""].contains(&&*said), "{said}");
}

#[test]
fn a_reader_that_goes_away_ends_the_run_without_a_panic() {
    let mut piped = start(&["-s", "1"]);
    let mut stdin = piped.stdin.take().unwrap();
    drop(piped.stdout.take());
    stdin.write_all(b"echo nobody\n").unwrap();
    let mut stderr = String::new();
    // The input stays open: the run ends all the same.
    piped.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!(piped.wait().unwrap().code(), Some(1), "{stderr}");
    assert!(stderr.contains("cannot be written") && !stderr.contains("panic"), "{stderr}");
}

#[test]
fn more_lines_than_may_wait_are_all_read() {
    // The bound is in bytes as well, and this is more than that.
    let comment = "x".repeat(100_000);
    let line = format!("true '{comment}'\n");
    let done = run("many", &["-s", "4"], &line.repeat(200));
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    assert!(text(&done.stderr).contains("200 finished"));
}

#[test]
fn what_makes_no_sense_is_refused_with_2() {
    for arguments in [
        &["run", "-s", "0"][..],
        &["run", "-t", "nan"],
        &["run", "--on-evict", "eat"],
        &["run", "/nowhere/jobs"],
        &["run", "/"],
    ] {
        let refused = output(SCHED, arguments);
        assert_eq!(refused.status.code(), Some(2), "{arguments:?}: {}", text(&refused.stderr));
    }
    let help = output(SCHED, &["run", "--help"]);
    for said in ["--slots", "--timeout", "--grace", "--on-evict", "--json", "nobody takes"] {
        assert!(text(&help.stdout).contains(said), "{said}");
    }
}

#[test]
fn nothing_to_do_is_done() {
    let done = output(SCHED, &["run"]);
    assert_eq!((done.status.code(), text(&done.stdout)), (Some(0), ""));
}
