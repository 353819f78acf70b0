//! A process and its group, from outside: seeing it die, sending it signals.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::thread;

use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, WaitIdStatus, kill_process, kill_process_group,
    pidfd_open, pidfd_send_signal, waitid,
};
use sched_core::{ExitStatus, Stop};

/// A process of ours that leads a group of its own and is not reaped yet.
///
/// The number of the group is the leader's, and stays taken until the leader
/// is reaped. So every signal sent through here reaches the right group.
#[derive(Debug)]
pub(super) struct Group {
    leader: Pid,
    pidfd: OwnedFd,
}

/// What is known of the leader.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Leader {
    Alive,
    /// Dead and not reaped: the number is still its own.
    Zombie,
    /// Reaped by somebody else: the number may be anybody's by now.
    Gone,
}

impl Group {
    pub(super) fn new(leader: Pid) -> Result<Self, Errno> {
        Ok(Self { leader, pidfd: pidfd_open(leader, PidfdFlags::empty())? })
    }

    pub(super) fn pid(&self) -> u32 {
        self.leader.as_raw_pid().unsigned_abs()
    }

    /// It can be read when the leader is dead, with all its threads.
    pub(super) fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// Looks at the leader, and reaps nothing.
    pub(super) fn leader(&self) -> Leader {
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        loop {
            match waitid(WaitId::PidFd(self.pidfd.as_fd()), look) {
                Ok(None) => return Leader::Alive,
                Ok(Some(_)) => return Leader::Zombie,
                Err(Errno::INTR) => {}
                Err(why) => {
                    tracing::error!(pid = self.pid(), %why, "a process was reaped by others");
                    return Leader::Gone;
                }
            }
        }
    }

    /// Blocks until the leader is dead, and reaps nothing.
    pub(super) fn wait(&self) {
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while let Err(Errno::INTR) = waitid(WaitId::PidFd(self.pidfd()), look) {}
    }

    /// Reaps the leader, which is dead: its number is anybody's from now on.
    pub(super) fn reap(self) -> ExitStatus {
        loop {
            match waitid(WaitId::PidFd(self.pidfd()), WaitIdOptions::EXITED) {
                Ok(status) => return status.map_or(ExitStatus::Unknown, |it| status_of(&it)),
                Err(Errno::INTR) => {}
                Err(why) => {
                    tracing::error!(pid = self.pid(), %why, "how a process ended is not known");
                    return ExitStatus::Unknown;
                }
            }
        }
    }

    /// Sends the signal of `how` to the group. Only while the leader is not reaped.
    /// Whether it reached anybody: a process that has changed its user may not be
    /// ours to stop.
    pub(super) fn stop(&self, how: Stop) -> bool {
        match how {
            Stop::Terminate => {
                let is_sent = self.send(Signal::TERM);
                // A halted process acts on TERM only when it goes on.
                self.send(Signal::CONT);
                is_sent
            }
            Stop::Kill => {
                let is_sent = self.send(Signal::KILL);
                // The leader may have moved to another group.
                self.send_to_leader(Signal::KILL) || is_sent
            }
        }
    }

    /// Kills what is left of the group. Only while its leader is a zombie.
    pub(super) fn kill_stragglers(&self) {
        if let Err(why) = kill_process_group(self.leader, Signal::KILL) {
            tracing::debug!(pid = self.pid(), %why, "what is left of a group cannot be killed");
        }
    }

    fn send(&self, signal: Signal) -> bool {
        match kill_process_group(self.leader, signal) {
            // Nobody is in the group: the leader has moved to another one.
            Err(Errno::SRCH) => self.send_to_leader(signal),
            result => self.is_sent(signal, result),
        }
    }

    fn send_to_leader(&self, signal: Signal) -> bool {
        match pidfd_send_signal(&self.pidfd, signal) {
            Err(Errno::SRCH) => false,
            result => self.is_sent(signal, result),
        }
    }

    fn is_sent(&self, signal: Signal, result: Result<(), Errno>) -> bool {
        if let Err(why) = result {
            tracing::warn!(pid = self.pid(), ?signal, %why, "signal not sent");
        }
        result.is_ok()
    }
}

fn status_of(status: &WaitIdStatus) -> ExitStatus {
    let code = status.exit_status().map(ExitStatus::Code);
    code.or_else(|| status.terminating_signal().map(ExitStatus::Signal))
        .unwrap_or(ExitStatus::Unknown)
}

/// Kills the group of a process that nobody else knows of, and reaps it.
/// Blocks until that is done.
///
/// # Errors
///
/// It may not be killed, for it has changed its user. It runs on, and is reaped
/// by a thread of its own whenever it ends: nobody can wait for that here.
pub(super) fn kill_and_reap(leader: Pid) -> Result<(), Errno> {
    // Before its leader is reaped: see `Group`.
    let group = kill_process_group(leader, Signal::KILL);
    if let Err(why) = group {
        tracing::debug!(pid = leader.as_raw_pid(), %why, "a group cannot be killed");
    }
    // It may have moved to another group.
    let killed = kill_process(leader, Signal::KILL);
    match killed {
        // Reaped by others.
        Err(Errno::SRCH) => Ok(()),
        Err(why) => {
            let reaper = thread::Builder::new().name("sched-reaper".into());
            if let Err(why) = reaper.spawn(move || reap(leader)) {
                tracing::error!(pid = leader.as_raw_pid(), %why, "nobody will reap this process");
            }
            Err(why)
        }
        Ok(()) => {
            reap(leader);
            Ok(())
        }
    }
}

fn reap(leader: Pid) {
    while let Err(Errno::INTR) = waitid(WaitId::Pid(leader), WaitIdOptions::EXITED) {}
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::os::unix::process::CommandExt;
    use std::path::Path;
    use std::process::{Child, Command, Stdio};
    use std::time::{Duration, Instant};

    use rustix::process::geteuid;

    use super::*;

    /// A shell that leads a group, has said that it is there, and ends when its
    /// input does. Its user is another if it is told so by `wrapper`.
    fn shell(wrapper: &str) -> Child {
        let script = format!("exec {wrapper} sh -c 'echo up; read never'");
        let mut shell = Command::new("sh");
        shell.args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut shell = shell.process_group(0).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(shell.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "up\n");
        shell
    }

    fn is_there(process: &Child) -> bool {
        Path::new(&format!("/proc/{}", process.id())).exists()
    }

    #[test]
    fn what_nobody_knows_of_is_killed_and_reaped() {
        let mut shell = shell("");
        assert_eq!(kill_and_reap(Pid::from_child(&shell)), Ok(()));
        assert!(!is_there(&shell));
        shell.wait().expect_err("nobody to wait for");
    }

    #[test]
    fn what_may_not_be_killed_is_not_waited_for_and_reaped_when_it_ends() {
        const TEST: &str = "process::group::tests::\
                            what_may_not_be_killed_is_not_waited_for_and_reaped_when_it_ends";
        const MARK: &str = "SCHED_WITHOUT_KILL";
        if !geteuid().is_root() {
            eprintln!("SKIPPED: only root can start a process that is another user's");
            return;
        }
        if std::env::var_os(MARK).is_none() {
            // Without this right root may not send signals to others either.
            let mut again = Command::new("setpriv");
            again.arg("--bounding-set=-kill").arg(std::env::current_exe().unwrap());
            let again =
                again.args(["--exact", TEST, "--nocapture"]).env(MARK, "").output().unwrap();
            let text = String::from_utf8_lossy(&again.stdout);
            assert!(again.status.success() && text.contains("1 passed"), "{again:?}");
            return;
        }
        let mut shell = shell("setpriv --reuid=1 --clear-groups");
        assert_eq!(kill_and_reap(Pid::from_child(&shell)), Err(Errno::PERM));
        assert!(is_there(&shell));
        drop(shell.stdin.take());
        let since = Instant::now();
        while is_there(&shell) {
            assert!(since.elapsed() < Duration::from_secs(60), "nobody has reaped it");
            thread::yield_now();
        }
        shell.wait().expect_err("nobody to wait for");
    }
}
