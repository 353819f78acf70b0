//! Processes that this program starts, and ends.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use crate::cleanup::{Guard, undoing};
use crate::machine::{Place, at, children_time};
use crate::trouble::{Doing, Result, Trouble};

/// How long a process may take to end after TERM before it is killed.
const GRACE: Duration = Duration::from_secs(3);

/// How long a server may take until it listens: Erlang's need seconds.
const STARTUP: Duration = Duration::from_secs(60);

/// A process in a group of its own, which is ended when this is dropped.
pub(crate) struct Process {
    pid: u32,
    child: Arc<Mutex<Waited>>,
    _guard: Guard,
}

/// A child, and whether it was reaped: then its number may be another's.
struct Waited {
    child: Child,
    reaped: bool,
}

/// What a process that was waited for took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Took {
    /// From its start to its end, in seconds.
    pub(crate) wall: f64,
    /// Of the processor, with all that it waited for itself, in seconds.
    pub(crate) processor: f64,
}

impl Process {
    pub(crate) fn start(command: &mut Command, place: Place) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let ((pid, child), guard) = undoing(|| {
            let child = at(place, || command.process_group(0).spawn())?;
            let child = child.doing(&format!("start {name}"))?;
            let (pid, child) = (child.id(), Arc::new(Mutex::new(Waited { child, reaped: false })));
            let undo = child.clone();
            Ok(((pid, child), move || end(&undo)))
        })?;
        Ok(Self { pid, child, _guard: guard })
    }

    /// Its standard output, if that is a pipe and was not taken before.
    pub(crate) fn output(&self) -> Option<ChildStdout> {
        lock(&self.child).child.stdout.take()
    }

    /// Waits until it ends by itself.
    pub(crate) fn wait(self) -> Result<ExitStatus> {
        if let Some(pid) = as_pid(self.pid) {
            // It is left a zombie, so that its end is noticed under the lock.
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            waitid(WaitId::Pid(pid), options).doing("wait for a process")?;
        }
        let mut waited = lock(&self.child);
        waited.reaped = true;
        waited.child.wait().doing("wait for a process")
    }
}

/// Runs a program to its end, without its output.
pub(crate) fn run_to_end(command: &mut Command) -> Result<Took> {
    let name = command.get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let (before, began) = (children_time(), Instant::now());
    let status = Process::start(command, Place::Anywhere)?.wait()?;
    let wall = began.elapsed().as_secs_f64();
    if !status.success() {
        return Err(Trouble::wrong(format_args!("{name} ended with {status}")));
    }
    Ok(Took { wall, processor: children_time() - before })
}

/// A process that listens on a port of the loopback interface.
pub(crate) struct Server {
    process: Process,
    port: u16,
}

impl Server {
    /// Starts one that prints its address, or its port, as its first line.
    pub(crate) fn that_tells(command: &mut Command, place: Place) -> Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let process = Process::start(command, place)?;
        let output = process.output();
        let mut line = String::new();
        if let Some(output) = output {
            BufReader::new(output).read_line(&mut line).doing("read an address")?;
        }
        let port = line.trim().rsplit(':').next().and_then(|port| port.parse().ok());
        let port = port.ok_or_else(ended_early)?;
        Ok(Self { process, port })
    }

    /// Starts one that is told a free port, and waits until it listens there.
    pub(crate) fn told(place: Place, make: impl FnOnce(u16) -> Command) -> Result<Self> {
        let port = free_port()?;
        let mut command = make(port);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = Process::start(&mut command, place)?;
        let began = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            if as_pid(process.pid).is_some_and(has_ended) {
                return Err(ended_early());
            }
            if began.elapsed() > STARTUP {
                return Err(Trouble::wrong("a server does not listen"));
            }
            sleep(Duration::from_millis(20));
        }
        Ok(Self { process, port })
    }

    pub(crate) const fn pid(&self) -> u32 {
        self.process.pid
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }
}

fn ended_early() -> Trouble {
    Trouble::wrong("a server ended before it listened")
}

/// Finds a program where programs and servers are installed.
pub(crate) fn program(name: &str, package: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let servers = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
    let mut places = std::env::split_paths(&path).chain(servers).map(|place| place.join(name));
    places
        .find(|path| path.is_file())
        .ok_or_else(|| Trouble::missing(name, format!("package {package}")))
}

/// A directory that goes with its guard.
pub(crate) fn directory(path: &Path) -> Result<Guard> {
    let ((), guard) = undoing(|| {
        std::fs::create_dir_all(path).doing("make a directory")?;
        let path = path.to_owned();
        Ok(((), move || drop(std::fs::remove_dir_all(path))))
    })?;
    Ok(guard)
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).doing("find a free port")?;
    Ok(listener.local_addr().doing("find a free port")?.port())
}

/// Ends a process and what is left in its group, unless it has been waited for.
fn end(child: &Mutex<Waited>) {
    let mut waited = lock(child);
    let Some(group) = as_pid(waited.child.id()).filter(|_| !waited.reaped) else {
        return;
    };
    let _gone = kill_process_group(group, Signal::TERM);
    let began = Instant::now();
    while !has_ended(group) && began.elapsed() < GRACE {
        sleep(Duration::from_millis(2));
    }
    // Its number is the group's until it is reaped, and nobody else's.
    let _gone = kill_process_group(group, Signal::KILL);
    waited.reaped = true;
    let _status = waited.child.wait();
}

/// Whether a child has ended. It is left a zombie.
fn has_ended(child: Pid) -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    !matches!(waitid(WaitId::Pid(child), options), Ok(None))
}

fn as_pid(id: u32) -> Option<Pid> {
    i32::try_from(id).ok().and_then(Pid::from_raw)
}

fn lock(child: &Mutex<Waited>) -> MutexGuard<'_, Waited> {
    child.lock().unwrap_or_else(PoisonError::into_inner)
}
