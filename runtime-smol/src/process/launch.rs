//! Whose turn it is to be started.
//!
//! Starting a process blocks its thread, so it is done on smol's pool for
//! blocking work. A thread of the pool that has started one process goes on
//! with the next that waits, if there is one: a thread, and this program's
//! other threads, are woken once a burst and not several times a process.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Mutex, PoisonError};

use super::command::Command;
use super::error::bad_command;
use super::run::Run;
use super::start::{Variables, start};

/// How many starts go on at once in this program. A second thread gains 30 %
/// to 40 % on two processors, more of them next to nothing.
pub(super) const STARTS: usize = 2;

/// What is to be started.
#[derive(Debug)]
pub(super) struct Launch {
    pub(super) run: Run,
    pub(super) command: Command,
    pub(super) vars: Variables,
}

/// Those that wait for their turn. As many as there are runs: bounded by the
/// places of their spawners.
static WAITING: Mutex<VecDeque<Launch>> = Mutex::new(VecDeque::new());
/// How many threads start processes now.
static LAUNCHERS: AtomicUsize = AtomicUsize::new(0);

/// Starts it when it is its turn; its task begins then.
pub(super) fn launch(launch: Launch) {
    WAITING.lock().unwrap_or_else(PoisonError::into_inner).push_back(launch);
    if let Some(turn) = Turn::take() {
        smol::unblock(move || turn.start_all()).detach();
    }
}

/// The right to start processes; there are [`STARTS`].
struct Turn;

impl Turn {
    fn take() -> Option<Self> {
        let another = |launchers| (launchers < STARTS).then_some(launchers + 1);
        // Made only if it was taken: a turn that is dropped is given back.
        LAUNCHERS.fetch_update(SeqCst, SeqCst, another).ok().map(|_before| Self)
    }

    /// Until nothing waits. What was put there while this turn was being given
    /// back, by somebody who found no turn to take, is seen by the second look.
    fn start_all(self) {
        let mut turn = Some(self);
        while let Some(held) = turn {
            while let Some(launch) = next() {
                launch.start();
            }
            drop(held);
            turn = if is_idle() { None } else { Self::take() };
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        LAUNCHERS.fetch_sub(1, SeqCst);
    }
}

impl Launch {
    fn start(self) {
        let Self { run, command, vars } = self;
        let started = if run.is_abandoned() {
            Err(bad_command(format!("{command} was abandoned before its start")))
        } else {
            start(&command, &vars)
        };
        smol::spawn(run.go(started)).detach();
    }
}

fn next() -> Option<Launch> {
    WAITING.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
}

fn is_idle() -> bool {
    WAITING.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
}
