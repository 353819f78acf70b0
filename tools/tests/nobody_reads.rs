//! What the programs do while nobody reads what they tell.

#![expect(clippy::unwrap_used, reason = "this is how a test fails")]

mod support;
#[path = "top/terminal.rs"]
mod terminal;

use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::time::Duration;
use std::{fs, thread};

use support::directory::Directory;
use support::{BUS, Program, SCHED, TEST_SCHEDULER};
use terminal::Terminal;

/// More than anything here takes.
const GUARD: Duration = Duration::from_secs(120);

/// A program that is killed if it is not done in time: so a test fails that
/// would wait for ever.
struct Guarded {
    child: Child,
    _done: Sender<()>,
}

impl Guarded {
    fn start(command: &mut Command) -> Self {
        let child = command.env_remove("RUST_LOG").stdin(Stdio::null()).spawn().unwrap();
        let (_done, ended) = mpsc::channel();
        let pid = child.id().to_string();
        thread::spawn(move || {
            if ended.recv_timeout(GUARD) == Err(RecvTimeoutError::Timeout) {
                Command::new("kill").args(["-s", "KILL", &pid]).status().unwrap();
            }
        });
        Self { child, _done }
    }

    fn terminate(&self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", "TERM", &pid]).status().unwrap().success());
    }

    /// Its exit status; none if it had to be killed.
    fn status(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Something to write to that is full, of empty lines, and who could read it.
fn full() -> (BufReader<UnixStream>, Stdio) {
    let (reader, mut writer) = UnixStream::pair().unwrap();
    writer.set_nonblocking(true).unwrap();
    while writer.write(&[b'\n'; 1024]).is_ok() {}
    writer.set_nonblocking(false).unwrap();
    (BufReader::new(reader), OwnedFd::from(writer).into())
}

/// The status of `sched submit --wait` with these arguments.
fn waited(url: &str, arguments: &[&str]) -> Option<i32> {
    let mut command = Command::new(SCHED);
    command.args(["submit", "--bus", url, "--wait"]).args(arguments);
    Guarded::start(command.stdout(Stdio::null()).stderr(Stdio::null())).status()
}

/// Reads until there is a line with these words.
fn reads_until(lines: &mut impl BufRead, words: &str) {
    let found = lines.lines().map(Result::unwrap).find(|line| line.contains(words));
    assert!(found.is_some(), "no {words:?}");
}

fn rest(mut lines: impl Read) -> String {
    let mut rest = String::new();
    lines.read_to_string(&mut rest).unwrap();
    rest
}

#[test]
fn a_scheduler_keeps_time_limits_and_hears_term() {
    let (mut bus, url) = Program::bus();
    let ((told, stdout), (logged, stderr)) = (full(), full());
    let mut command = Command::new(TEST_SCHEDULER);
    command.args(["--bus", &url, "-s", "1", "-t", "1", "-d"]).stdout(stdout).stderr(stderr);
    let mut scheduler = Guarded::start(&mut command);
    drop(command);
    assert_eq!(waited(&url, &["--attempts", "1", "--runtime", "3600"]), Some(124));
    assert_eq!(waited(&url, &["--runtime", "0"]), Some(0));
    scheduler.terminate();
    assert_eq!(scheduler.status(), Some(0));
    bus.logs("0 schedulers");
    assert_eq!((rest(told).trim(), rest(logged).trim()), ("", ""));
}

#[test]
fn a_scheduler_tells_the_rest_to_a_reader_that_comes_back() {
    let (_bus, url) = Program::bus();
    let ((told, stdout), (mut logged, stderr)) = (full(), full());
    let mut command = Command::new(SCHED);
    command.args(["scheduler", "--bus", &url, "-s", "1"]).stdout(stdout).stderr(stderr);
    let mut scheduler = Guarded::start(&mut command);
    drop(command);
    let limit = ["--attempts", "1", "-t", "0.5", "--runtime", "3600"];
    assert_eq!(waited(&url, &limit), Some(124));
    assert_eq!(waited(&url, &["--runtime", "0"]), Some(0));
    for words in ["connected to the bus", "j1 (priority 5) starts", "j1 (priority 5) timed_out"] {
        reads_until(&mut logged, words);
    }
    let told = thread::spawn(move || rest(told));
    scheduler.terminate();
    for words in ["j2 (priority 5) finished", "stopping; a second INT or TERM"] {
        reads_until(&mut logged, words);
    }
    let last = rest(logged);
    assert!(!last.contains("dropped"), "{last}");
    assert_eq!(scheduler.status(), Some(0));
    let told = told.join().unwrap();
    assert!(told.trim().starts_with("2 jobs in ") && told.contains("timed_out      1"), "{told}");
}

#[test]
fn a_bus_serves_and_hears_term() {
    let (logged, stderr) = full();
    let mut command = Command::new(BUS);
    command.args(["--listen", "127.0.0.1:0"]).stdout(Stdio::piped()).stderr(stderr);
    let mut bus = Guarded::start(&mut command);
    drop(command);
    let mut address = String::new();
    BufReader::new(bus.child.stdout.take().unwrap()).read_line(&mut address).unwrap();
    let url = format!("ws://{}", address.trim());
    let _scheduler = Program::start(TEST_SCHEDULER, &["--bus", &url]);
    assert_eq!(waited(&url, &["--runtime", "0"]), Some(0));
    bus.terminate();
    assert_eq!(bus.status(), Some(0));
    assert_eq!(rest(logged).trim(), "");
}

#[test]
fn a_run_whose_output_nobody_takes_hears_term() {
    let directory = Directory::new("run-nobody-reads");
    let (told, stdout) = full();
    let fifo = directory.path("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    // Of those that come before it the output waits, and it is ended.
    let echoes = "echo unheard\n".repeat(20);
    let last = format!("sh -c 'echo here > {fifo}; exec sleep 3600'\n");
    let jobs = directory.file("jobs", &format!("{echoes}{last}{echoes}"));
    let mut command = Command::new(SCHED);
    command.args(["run", "-s", "1", &jobs]).stdout(stdout).stderr(Stdio::piped());
    let mut run = Guarded::start(&mut command);
    drop(command);
    assert_eq!(fs::read_to_string(&fifo).unwrap(), "here\n");
    run.terminate();
    assert_eq!(run.status(), Some(1));
    let said = rest(run.child.stderr.take().unwrap());
    assert!(said.contains("nobody takes the output: that of 20 jobs is lost"), "{said}");
    assert!(said.contains("20 finished, 21 cancelled"), "{said}");
    assert_eq!(rest(told).trim(), "");
}

#[test]
fn the_demo_plays_to_its_end() {
    let ((told, stdout), (_logged, stderr)) = (full(), full());
    let mut command = Command::new(SCHED);
    command.args(["demo", "--seconds", "0.2", "--period", "0.05", "--size", "4", "--seed", "1"]);
    let mut demo = Guarded::start(command.stdout(stdout).stderr(stderr));
    drop(command);
    assert_eq!(demo.status(), Some(0));
    assert_eq!(rest(told).trim(), "");
}

#[test]
fn the_demo_runs_jobs_behind_a_terminal_that_is_halted() {
    let arguments = "demo --seconds 3600 --period 0.4 --size 6 --seed 1";
    let Some(demo) = Terminal::start(arguments, true) else { return };
    let before = String::from_utf8_lossy(&demo.glass.written).into_owned();
    let url = before.split("bus at ").nth(1).unwrap().split(',').next().unwrap();
    demo.halt();
    // So many that more is drawn meanwhile than a terminal keeps.
    for n in 0..50 {
        assert_eq!(waited(url, &["-p", "0", "--runtime", "0.1"]), Some(0), "after {n} jobs");
    }
    demo.go_on();
    demo.press("q");
    let (written, status) = demo.end();
    assert_eq!(status, Some(0), "{written}");
    assert!(written.contains("wasted time"), "{written}");
}
