//! A process and its group, from outside: seeing it die, sending it signals.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitIdStatus, kill_process_group, pidfd_send_signal, waitid,
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
    /// Of a process with the descriptor that it was made with.
    pub(super) const fn new(leader: Pid, pidfd: OwnedFd) -> Self {
        Self { leader, pidfd }
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
