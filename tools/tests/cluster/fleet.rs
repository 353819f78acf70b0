//! A bus in this process, schedulers beside it, and jobs that leave traces.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use futures_lite::FutureExt;
use sched_runtime_smol::StoreError;
use sched_runtime_smol::bus::{BindError, BusConfig, BusFailed, BusServer, BusStats};
use smol::{Task, Timer};

use crate::support::TEST_SCHEDULER;

/// Nothing here takes nearly as long; a test that does has failed.
const GUARD: Duration = Duration::from_secs(120);

/// Runs a test, and fails it when it hangs.
pub(crate) fn run(test: impl Future<Output = ()>) {
    let hangs = async {
        Timer::after(GUARD).await;
        panic!("the test hangs");
    };
    smol::block_on(test.or(hangs));
}

/// A bus that runs in this process. Killed or dropped, it closes its sockets
/// and tells nobody, as a process does that is killed.
pub(crate) struct Bus {
    pub(crate) address: SocketAddr,
    running: Task<Result<BusStats, BusFailed>>,
}

impl Bus {
    pub(crate) async fn with(terms: impl FnOnce(&mut BusConfig)) -> Self {
        let mut config = BusConfig::new(([127, 0, 0, 1], 0).into());
        terms(&mut config);
        Self::serve(BusServer::bind(config).await.unwrap())
    }

    pub(crate) async fn kill(self) -> SocketAddr {
        self.running.cancel().await;
        self.address
    }

    /// Another bus in the place of one that was killed, once that has let go
    /// of its address and its directory.
    pub(crate) async fn again(address: SocketAddr, terms: impl Fn(&mut BusConfig)) -> Self {
        let mut config = BusConfig::new(address);
        terms(&mut config);
        loop {
            match BusServer::bind(config.clone()).await {
                Ok(server) => return Self::serve(server),
                Err(BindError::Listen { .. } | BindError::Store(StoreError::InUse { .. })) => {
                    Timer::after(Duration::from_millis(5)).await;
                }
                Err(why) => panic!("{why}"),
            }
        }
    }

    fn serve(server: BusServer) -> Self {
        Self { address: server.local_addr(), running: smol::spawn(server.run()) }
    }

    /// With leases that are over soon.
    pub(crate) async fn with_lease(lease: Duration) -> Self {
        Self::with(|config| (config.lease, config.beat) = (lease, lease / 5)).await
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// A scheduler that runs what `sh` is given. Its log goes to the traces.
    pub(crate) fn scheduler(&self, traces: &Traces, name: &str, slots: u32) -> Scheduler {
        let (url, slots) = (self.url(), slots.to_string());
        let mut command = Command::new(TEST_SCHEDULER);
        command.args(["--bus", &url, "--name", name, "-s", &slots]);
        command.args(["-t", "100", "--allow", "sh"]).env_remove("RUST_LOG");
        let log = File::create(traces.path(&format!("{name}.log"))).unwrap();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        Scheduler(command.spawn().unwrap())
    }
}

/// A `test_scheduler`, which is killed when the test ends.
pub(crate) struct Scheduler(Child);

impl Scheduler {
    pub(crate) fn signal(&self, name: &str) {
        signal(self.0.id(), name);
    }

    /// Waits for it to end.
    pub(crate) async fn status(mut self) -> Option<i32> {
        smol::unblock(move || self.0.wait().unwrap().code()).await
    }
}

impl Drop for Scheduler {
    /// In order, so that it leaves nothing behind.
    fn drop(&mut self) {
        if self.0.try_wait().is_ok_and(|ended| ended.is_some()) {
            return;
        }
        for name in ["CONT", "TERM", "TERM"] {
            signal(self.0.id(), name);
        }
        let _reaped = self.0.wait();
    }
}

pub(crate) fn signal(pid: u32, name: &str) {
    let status = Command::new("kill").args(["-s", name, &pid.to_string()]).status().unwrap();
    assert!(status.success(), "{pid} is not there");
}

/// A directory in which jobs leave their traces, and which goes with the test.
pub(crate) struct Traces(PathBuf);

impl Traces {
    pub(crate) fn new(test: &str) -> Self {
        let name = format!("sched-{test}-{}-{}", std::process::id(), fastrand::u64(..));
        let dir = std::env::temp_dir().join(name);
        fs::create_dir(&dir).unwrap();
        Self(dir)
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// A pipe that a job waits at, by reading it to its end.
    pub(crate) fn pipe(&self, name: &str) -> String {
        let path = self.path(name);
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        path
    }

    /// The payload of a job that is this script; its working directory is the
    /// one for traces.
    pub(crate) fn job(&self, priority: i32, script: &str) -> String {
        let command = ["sh", "-c", script];
        serde_json::json!({ "priority": priority, "command": command, "cwd": self.0 }).to_string()
    }

    /// A job that is [`first_run_stays`].
    pub(crate) fn first_run_stays(&self, priority: i32, name: &str) -> String {
        self.job(priority, &first_run_stays(name))
    }

    /// The process of the first run of such a job, once it is there.
    pub(crate) async fn pid(&self, name: &str) -> u32 {
        loop {
            if let Ok(pid) = self.read(name).trim().parse() {
                return pid;
            }
            Timer::after(Duration::from_millis(2)).await;
        }
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        if thread::panicking() {
            for name in ["a.log", "b.log"] {
                println!("{name}:\n{}", self.read(name));
            }
        }
        let _best_effort = fs::remove_dir_all(&self.0);
    }
}

/// A script whose first run writes its process id to `name`, and would last for
/// ever; every other run ends at once.
pub(crate) fn first_run_stays(name: &str) -> String {
    format!("[ -e {name} ] && exit 0; echo $$ > {name}.new; mv {name}.new {name}; exec sleep 1000")
}

/// Whether a process is there and has not ended.
pub(crate) fn lives(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

/// Lets a job go on that waits at a pipe. Opening it waits for the job.
pub(crate) async fn release(pipe: String) {
    smol::unblock(move || fs::write(pipe, "")).await.unwrap();
}

pub(crate) async fn until_gone(pid: u32, within: Duration) {
    let since = Instant::now();
    while lives(pid) {
        assert!(since.elapsed() < within, "{pid} still lives");
        Timer::after(Duration::from_millis(2)).await;
    }
}
