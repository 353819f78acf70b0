//! Whose turn it is to be started.
//!
//! Starting a process blocks its thread, so it is done on threads that do
//! nothing else. They are this module's own, and not those of smol's pool,
//! because there are two of them and no more: what each keeps open from one
//! start to the next stays bounded. One that has started a process goes on with
//! the next that waits, if there is one: a thread is woken once a burst and not
//! several times a process.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use sched_core::SpawnFailure;

use super::command::Command;
use super::error::{bad_command, failed};
use super::run::Run;
use super::spares::Spares;
use super::start::{Started, Starter, Variables};

/// How many starts go on at once in this program. A second thread gains 30 %
/// to 40 % on two processors, more of them next to nothing.
pub(super) const STARTS: usize = 2;

/// After so long without a start a thread ends, and what it keeps is closed.
const IDLE: Duration = Duration::from_secs(10);

/// What is to be started.
#[derive(Debug)]
pub(super) struct Launch {
    pub(super) run: Run,
    pub(super) command: Command,
    pub(super) vars: Variables,
    /// For its output.
    pub(super) spares: Arc<Spares>,
}

/// What the threads share.
struct Queue {
    /// Those that wait for their turn. As many as there are runs: bounded by
    /// the places of their spawners.
    waiting: VecDeque<Launch>,
    threads: usize,
    /// How many of them have nothing to do.
    idle: usize,
}

static QUEUE: Mutex<Queue> = Mutex::new(Queue { waiting: VecDeque::new(), threads: 0, idle: 0 });
static NEWS: Condvar = Condvar::new();

/// Starts it when it is its turn; its task begins then.
pub(super) fn launch(launch: Launch) {
    let mut queue = lock();
    queue.waiting.push_back(launch);
    if queue.waiting.len() <= queue.idle {
        drop(queue);
        NEWS.notify_one();
    } else if queue.threads < STARTS {
        queue.add_thread();
    }
}

impl Queue {
    /// Without any thread nothing that waits can be started, and it is told so.
    fn add_thread(&mut self) {
        let started = thread::Builder::new().name("starter".into()).spawn(start_all);
        match started {
            Ok(_) => self.threads += 1,
            Err(why) if self.threads == 0 => {
                for launch in self.waiting.drain(..) {
                    launch.go(Err(failed("no thread to start processes on", &why)));
                }
            }
            Err(why) => tracing::debug!(%why, "one thread less to start processes on"),
        }
    }
}

/// The life of a thread.
fn start_all() {
    let _counted = Counted;
    let mut starter = Starter::default();
    while let Some(launch) = next() {
        launch.start(&mut starter);
    }
}

/// `None`: nothing has come for a while.
fn next() -> Option<Launch> {
    let mut queue = lock();
    if queue.waiting.is_empty() {
        queue.idle += 1;
        let waited = NEWS.wait_timeout_while(queue, IDLE, |queue| queue.waiting.is_empty());
        queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        queue.idle -= 1;
    }
    queue.waiting.pop_front()
}

/// One of the threads.
struct Counted;

impl Drop for Counted {
    /// What has come since this thread looked for the last time, and found
    /// nobody idle and no room for one thread more, goes to another.
    fn drop(&mut self) {
        let mut queue = lock();
        queue.threads -= 1;
        if queue.waiting.len() > queue.idle {
            queue.add_thread();
        }
    }
}

fn lock() -> MutexGuard<'static, Queue> {
    QUEUE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Launch {
    fn start(self, starter: &mut Starter) {
        let started = if self.run.is_abandoned() {
            let command = &self.command;
            Err(bad_command(format!("{command} was abandoned before its start")))
        } else {
            starter.start(&self.command, &self.vars, &self.spares)
        };
        self.go(started);
    }

    fn go(self, started: Result<Started, SpawnFailure>) {
        smol::spawn(self.run.go(started)).detach();
    }
}
