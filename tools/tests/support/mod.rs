//! Programs under test. Not every test uses all of it.
#![allow(dead_code, reason = "every test file is a crate of its own")]
#![allow(clippy::unwrap_used, reason = "this is how a test fails")]

pub(crate) mod directory;
pub(crate) mod http;

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStderr, ChildStdout, Command, Output, Stdio};

use serde_json::Value;

pub(crate) const BUS: &str = env!("CARGO_BIN_EXE_bus");
pub(crate) const PRODUCER: &str = env!("CARGO_BIN_EXE_producer");
pub(crate) const TEST_SCHEDULER: &str = env!("CARGO_BIN_EXE_test_scheduler");
pub(crate) const TEST_PROCESS: &str = env!("CARGO_BIN_EXE_test_process");
pub(crate) const SCHED: &str = env!("CARGO_BIN_EXE_sched");

/// A program that runs, and is killed when the test ends.
pub(crate) struct Program {
    pub(crate) child: Child,
    stdout: BufReader<ChildStdout>,
    stderr: BufReader<ChildStderr>,
}

impl Program {
    pub(crate) fn start(program: &str, arguments: &[&str]) -> Self {
        Self::spawn(Command::new(program).args(arguments))
    }

    pub(crate) fn spawn(command: &mut Command) -> Self {
        let command = command.env_remove("RUST_LOG").stdin(Stdio::null());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let stderr = BufReader::new(child.stderr.take().unwrap());
        Self { child, stdout, stderr }
    }

    /// A bus on a free port, and the URL of it.
    pub(crate) fn bus() -> (Self, String) {
        let mut bus = Self::start(BUS, &["--listen", "127.0.0.1:0"]);
        let url = bus.url();
        (bus, url)
    }

    pub(crate) fn url(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        format!("ws://{}", line.trim_end())
    }

    /// Waits for a line of the log that contains `text`.
    pub(crate) fn logs(&mut self, text: &str) -> String {
        wait_for(&mut self.stderr, text)
    }

    /// Waits for a line on stdout that contains `text`.
    pub(crate) fn says(&mut self, text: &str) -> String {
        wait_for(&mut self.stdout, text)
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn status(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }

    /// Everything that is left of stdout; ends when the program does.
    pub(crate) fn rest(&mut self) -> String {
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        rest
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

pub(crate) fn output(program: &str, arguments: &[&str]) -> Output {
    Command::new(program).args(arguments).stdin(Stdio::null()).output().unwrap()
}

/// Submits to this bus, and gives what is said: the id of the job.
pub(crate) fn submit(url: &str, arguments: &[&str]) -> String {
    let done = output(SCHED, &[&["submit", "--bus", url], arguments].concat());
    assert_eq!(done.status.code(), Some(0), "{arguments:?}: {}", text(&done.stderr));
    text(&done.stdout).trim_end().to_owned()
}

/// Waits until a job is in this state, as `sched events --json` tells it.
pub(crate) fn until(events: &mut Program, job: &str, state: &str) -> Value {
    loop {
        let line: Value = serde_json::from_str(&events.says("\"ev\"")).unwrap();
        if line["job"] == job && line["state"] == state {
            return line;
        }
    }
}

pub(crate) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn wait_for(lines: &mut impl BufRead, text: &str) -> String {
    let mut before = String::new();
    loop {
        let mut line = String::new();
        assert_ne!(lines.read_line(&mut line).unwrap(), 0, "no {text:?} in {before}");
        if line.contains(text) {
            return line;
        }
        before.push_str(&line);
    }
}

/// The children of a process, zombies too.
pub(crate) fn children(pid: u32) -> Vec<u32> {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let lists = threads.flatten().map(|thread| thread.path().join("children"));
    let lists = lists.filter_map(|list| std::fs::read_to_string(list).ok());
    lists
        .flat_map(|list| {
            list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()
        })
        .collect()
}

/// How many descriptors a process has open.
pub(crate) fn descriptors(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}
