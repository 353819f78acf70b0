//! For tests with real processes: a spawner with its reports, commands that
//! say when they are ready, and what /proc knows of a process.

mod fifo;

use std::ffi::OsString;
use std::fs;
use std::future::Future;
use std::num::NonZeroUsize;
use std::path::Path;
use std::process;
use std::time::Duration;

use async_channel::Receiver;
use rustix::process::{Pid, Signal, kill_process};
use sched_core::{
    BinIndex, Exit, JobId, ProcessSpawner, RunId, RunInfo, SlotId, SpawnFailure, Stop,
};
use sched_runtime_smol::{CapturedOutput, Command, Report, SmolSpawner};
use smol::Timer;

pub use fifo::{Fifo, FifoLines};

/// After this long a test has failed: what it waits for does not happen.
const GUARD: Duration = Duration::from_secs(60);

/// Runs a test to its end.
///
/// # Panics
///
/// It takes longer than a minute.
pub fn within_a_minute<T>(test: impl Future<Output = T>) -> T {
    let guard = async {
        Timer::after(GUARD).await;
        panic!("what this test waits for has not happened within {GUARD:?}");
    };
    smol::block_on(smol::future::or(test, guard))
}

/// A command for the shell.
#[must_use]
pub fn sh(script: &str) -> Command {
    Command::new("sh").args(["-c", script])
}

/// A command that runs for far longer than any test.
#[must_use]
pub fn sleeper() -> Command {
    Command::new("sleep").arg("600")
}

/// A spawner with its reports.
#[derive(Debug)]
pub struct Bench {
    /// The spawner.
    pub spawner: SmolSpawner,
    /// Its reports, in order.
    pub reports: Receiver<Report>,
    made: u64,
}

impl Bench {
    /// A spawner for `max_runs` runs.
    ///
    /// # Panics
    ///
    /// It cannot be made.
    #[must_use]
    pub fn new(max_runs: usize) -> Self {
        let max_runs = NonZeroUsize::new(max_runs).expect("a bench for at least one run");
        let (spawner, reports) = SmolSpawner::new(max_runs).expect("room for the test's runs");
        Self { spawner, reports, made: 0 }
    }

    /// What the spawner is told of the next run: j`n`, r`n`, attempt 3, slot 7.
    pub fn next_info(&mut self) -> RunInfo {
        self.made += 1;
        let bin = BinIndex::default();
        let (id, job) = (RunId::new(bin, self.made), JobId::new(bin, self.made));
        RunInfo { id, job, attempt: 3, slot: SlotId::new(7) }
    }

    /// Spawns `command`.
    ///
    /// # Errors
    ///
    /// It was refused at once.
    pub fn try_spawn(&mut self, command: &Command) -> Result<RunId, SpawnFailure> {
        let info = self.next_info();
        self.spawner.spawn(&info, command)?;
        Ok(info.id)
    }

    /// Spawns `command`.
    ///
    /// # Panics
    ///
    /// It was refused at once.
    pub fn spawn(&mut self, command: &Command) -> RunId {
        self.try_spawn(command).expect("the spawner has room")
    }

    /// Spawns `command` and waits until it has a process, whose number is returned.
    pub async fn start(&mut self, command: &Command) -> (RunId, u32) {
        let run = self.spawn(command);
        (run, self.started(run).await)
    }

    /// Stops `run`.
    pub fn stop(&mut self, run: RunId, how: Stop) {
        self.spawner.stop(run, how);
    }

    /// The next report.
    ///
    /// # Panics
    ///
    /// There will never be one.
    pub async fn report(&self) -> Report {
        self.reports.recv().await.expect("the spawner lives")
    }

    /// Expects that the next report is the start of `run`.
    ///
    /// # Panics
    ///
    /// It is another.
    pub async fn started(&self, run: RunId) -> u32 {
        match self.report().await {
            Report::Started { run: of, pid } if of == run => pid,
            other => panic!("expected the start of {run}, got {other:?}"),
        }
    }

    /// Expects that the next report is the end of `run`.
    ///
    /// # Panics
    ///
    /// It is another.
    pub async fn exited(&self, run: RunId) -> (Exit, Option<CapturedOutput>) {
        match self.report().await {
            Report::Exited { run: of, exit, output, .. } if of == run => (exit, output),
            other => panic!("expected the exit of {run}, got {other:?}"),
        }
    }

    /// Runs `command` from its start to its end.
    pub async fn complete(&mut self, command: &Command) -> (Exit, Option<CapturedOutput>) {
        let (run, _) = self.start(command).await;
        self.exited(run).await
    }

    /// Expects that the spawner has nothing more to say, now and, since it has
    /// no run left, ever.
    ///
    /// # Panics
    ///
    /// It has.
    pub fn assert_silent(&self) {
        assert_eq!(self.reports.try_recv().ok(), None, "a report too many");
    }
}

/// What /proc says under `name` in the status of process `pid` (`self` for ours).
///
/// # Panics
///
/// There is no such process or no such line.
#[must_use]
pub fn proc_status(pid: impl std::fmt::Display, name: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).expect("a process with a status");
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.expect("the line is in the status").trim().to_owned()
}

/// Sends `signal` to process `pid`, past the spawner.
///
/// # Panics
///
/// There is no such process.
pub fn send(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("the number of a process");
    kill_process(pid, signal).expect("a process of ours");
}

/// Whether there is a process `pid`, be it a zombie.
#[must_use]
pub fn exists(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

/// The numbers of the open descriptors of process `pid` (`self` for ours).
///
/// # Panics
///
/// There is no such process.
#[must_use]
pub fn descriptors(pid: impl std::fmt::Display) -> Vec<u32> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).expect("a process with descriptors");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    let mut numbers: Vec<u32> =
        names.filter_map(|name| name.to_str().and_then(|name| name.parse().ok())).collect();
    numbers.sort_unstable();
    numbers
}

/// The children of this process, zombies too. Of all tests that run in it.
///
/// # Panics
///
/// /proc does not tell.
#[must_use]
pub fn children() -> Vec<u32> {
    let threads = fs::read_dir("/proc/self/task").expect("the threads of this process");
    let lists = threads.filter_map(|thread| {
        // A thread may end while we look.
        fs::read_to_string(thread.ok()?.path().join("children")).ok()
    });
    lists
        .flat_map(|list| list.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .filter_map(|pid| pid.parse().ok())
        .collect()
}

/// Runs `body` in a process of its own: the test called `name`, alone. For
/// tests that change or count what all threads of a process share.
///
/// # Panics
///
/// It fails there.
pub fn alone(name: &str, body: impl FnOnce()) {
    alone_under(&[], name, body);
}

/// As [`alone`], in a process that is started by the command `wrapper`.
///
/// # Panics
///
/// It fails there.
pub fn alone_under(wrapper: &[&str], name: &str, body: impl FnOnce()) {
    const MARK: &str = "SCHED_TESTS_ALONE";
    if std::env::var_os(MARK).is_some_and(|marked| marked == name) {
        return body();
    }
    let program = std::env::current_exe().expect("this test's own program");
    let mut words = wrapper.iter().map(OsString::from).chain([program.into()]);
    let mut command = process::Command::new(words.next().unwrap_or_default());
    command.args(words);
    command.args(["--exact", name, "--nocapture", "--test-threads=1"]).env(MARK, name);
    let output = command.output().expect("it can be run again");
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {}\n{text}\n{errors}", output.status);
    assert!(text.contains("1 passed"), "no test is called {name}:\n{text}");
    println!("{text}");
}
