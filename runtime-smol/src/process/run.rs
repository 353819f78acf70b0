//! One run, from its launch until its process is reaped.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sched_core::{Exit, RunId, Stop};

use super::capture::{Capture, CapturedOutput, More};
use super::group::{Group, Leader};
use super::spares::Spooling;
use super::spawner::Report;
use super::spool::SpooledOutput;
use super::start::Started;

/// Whoever is told what becomes of a run.
pub(crate) trait Owner: Send + Sync {
    /// Called on a thread of the crew, which does nothing else meanwhile: it
    /// must not block. What it launches, that thread may start next.
    fn told(&self, report: Report);

    /// Called soon after that, when the thread has started what was launched:
    /// now is the time to wake others, who would be in the way before.
    fn pass_on(&self) {}
}

/// A run that is under way.
///
/// Whoever has started it stops it; the crew starts, watches and reaps it.
/// The lock stands between a signal and the end: once the process has been
/// [taken out](Self::take_dead) to be reaped, nobody can send it a signal that
/// might reach a stranger with its number.
pub(super) struct Run {
    pub(super) id: RunId,
    owner: Arc<dyn Owner>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// At most this has been asked for. None is sent twice, and no TERM after KILL.
    asked: Option<Stop>,
    /// `None`: there is none yet, or it has been taken out.
    process: Option<Process>,
}

/// A process that was started and is not reaped.
#[derive(Debug)]
pub(super) struct Process {
    group: Group,
    capture: Option<Capture>,
    spool: Option<Spooling>,
    /// Whether a signal was sent while its leader was alive.
    after_stop: bool,
}

/// How a process ended, and what it wrote.
pub(super) struct End {
    pub(super) exit: Exit,
    pub(super) output: Option<CapturedOutput>,
    pub(super) spooled: Option<SpooledOutput>,
}

impl Run {
    pub(super) fn new(id: RunId, owner: Arc<dyn Owner>) -> Self {
        Self { id, owner, state: Mutex::default() }
    }

    /// Asks its process to end, or ends it; or keeps it from being started.
    pub(super) fn stop(&self, how: Stop) {
        let mut state = self.state();
        let is_news = match state.asked {
            None => true,
            Some(Stop::Terminate) => how == Stop::Kill,
            Some(Stop::Kill) => false,
        };
        if is_news {
            state.asked = Some(how);
            if let Some(process) = &mut state.process {
                process.stop(how);
            }
        }
    }

    /// Whether it must not be started any more: whatever it is to be ended for,
    /// it need not run for that.
    pub(super) fn is_stopped(&self) -> bool {
        self.state().asked.is_some()
    }

    /// There is a process. What was asked for meanwhile is done to it now.
    pub(super) fn begin(&self, started: Started) {
        let Started { group, capture, spool } = started;
        let mut process = Process { group, capture, spool, after_stop: false };
        let mut state = self.state();
        if let Some(how) = state.asked {
            process.stop(how);
        }
        state.process = Some(process);
    }

    /// Its process, if that is dead; nobody can send it a signal from now on.
    pub(super) fn take_dead(&self) -> Option<Process> {
        let mut state = self.state();
        let is_dead = |process: &Process| process.group.leader() != Leader::Alive;
        if state.process.as_ref().is_some_and(is_dead) { state.process.take() } else { None }
    }

    /// Kills its process, and takes it out once it is dead: for one that cannot
    /// be watched. Blocks until then.
    pub(super) fn take_killed(&self) -> Option<Process> {
        let mut state = self.state();
        let process = state.process.as_mut()?;
        process.stop(Stop::Kill);
        process.group.wait();
        state.process.take()
    }

    /// Does `what` to its process, if there is one.
    pub(super) fn with_process<T>(&self, what: impl FnOnce(&mut Process) -> T) -> Option<T> {
        self.state().process.as_mut().map(what)
    }

    pub(super) fn tell(&self, report: Report) {
        self.owner.told(report);
    }

    pub(super) fn owner(&self) -> &Arc<dyn Owner> {
        &self.owner
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Process {
    /// The process may have been faster than the stop: then nothing is sent.
    fn stop(&mut self, how: Stop) {
        if self.group.leader() == Leader::Alive {
            self.after_stop |= self.group.stop(how);
        }
    }

    /// What can be read when it is dead.
    pub(super) fn pidfd(&self) -> BorrowedFd<'_> {
        self.group.pidfd()
    }

    /// What can be read when it has written something, if that is captured.
    pub(super) fn pipe(&self) -> Option<BorrowedFd<'_>> {
        self.capture.as_ref().map(Capture::pipe)
    }

    /// Reads some of what it has written.
    pub(super) fn read(&mut self) -> io::Result<More> {
        self.capture.as_mut().map_or(Ok(More::Never), Capture::read)
    }

    /// Ends what it left behind, and reaps it. Only when it is dead.
    pub(super) fn finish(self) -> End {
        let Self { group, capture, spool, after_stop } = self;
        // Where others have reaped it, its number may be a stranger's by now.
        if group.leader() == Leader::Zombie {
            group.kill_stragglers();
        }
        let exit = Exit { status: group.reap(), after_stop };
        let output = capture.map(Capture::finish);
        End { exit, output, spooled: spool.map(Spooling::finish) }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group};
    use rustix::process::{pidfd_open, test_kill_process_group};
    use sched_core::{BinIndex, ExitStatus};

    use super::*;

    struct Nobody;

    impl Owner for Nobody {
        fn told(&self, _report: Report) {}
    }

    #[test]
    fn a_group_whose_leader_was_reaped_by_others_is_let_be() {
        let mut shell = Command::new("sh");
        let mut shell = shell.args(["-c", "sleep 600 & exit 0"]).process_group(0).spawn().unwrap();
        let pid = Pid::from_child(&shell);
        let group = Group::new(pid, pidfd_open(pid, PidfdFlags::empty()).unwrap());
        let run = Run::new(RunId::new(BinIndex::default(), 1), Arc::new(Nobody));
        run.begin(Started { group, capture: None, spool: None });
        shell.wait().unwrap();
        // From here on the number could be anybody's.
        run.stop(Stop::Kill);
        let end = run.take_dead().unwrap().finish();
        assert_eq!(end.exit, Exit::natural(ExitStatus::Unknown));
        test_kill_process_group(pid).expect("what is in the group lives");
        kill_process_group(pid, Signal::KILL).unwrap();
    }
}
