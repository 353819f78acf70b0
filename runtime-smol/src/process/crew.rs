//! The threads that start, watch and reap processes.
//!
//! There are two of them at most, for the whole program. Both do the same: who
//! is told that a process is dead reaps it, tells its owner, and then starts
//! what the owner launched because of that. So between the end of one process
//! and the start of the next nobody is woken, and no other thread can be late.
//! Whoever listens to the owner is woken only after the start: it would take the
//! processor at once, and the system then has the new process begin on another
//! one and lets it run to its end before this thread hears that it has begun.
//!
//! Starting a process blocks its thread for 0.1 to 0.6 ms. What becomes of the
//! others in that time is told to the second thread, once two starts have had to
//! wait for each other and there is one. If both start processes, it
//! waits until one of them has done so: each looks for news after every start.
//! A start may also take for ever, where a program is on a file system that has
//! gone. So there is a third thread, which looks now and then, and takes over what
//! is not starting when nobody else is left.

mod state;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use sched_core::SpawnFailure;

pub(super) use self::state::Launch;
use self::state::{NUMBERS_A_RUN, State, number_of_output};
use super::capture::More;
use super::command::Command;
use super::error::{exhausted, failed, stopped};
use super::run::{Process, Run};
use super::spawner::Report;
use super::start::{Started, Supplies, Variables, start};
use crate::epoll::{Epoll, Found, Told};

/// How many threads there are. A second one gains 30 % to 40 % on two
/// processors, more of them next to nothing.
pub(super) const STARTS: usize = 2;

/// Events that a thread takes at once: the rest is for the other one, if it is free.
const EVENTS: usize = 8;

/// After so long without anything to do a thread ends, if nothing runs. And so
/// long a start may hang before that is told.
const IDLE: Duration = Duration::from_secs(10);

/// After so long the same starts are taken to hang.
const PATIENCE: Duration = Duration::from_millis(100);

/// What the threads share.
struct Crew {
    /// All pidfds, and our ends of the pipes of those whose output is captured. What
    /// is there to read is told to one of the threads, which acts on it.
    watch: Epoll,
    state: Mutex<State>,
    start: Start,
}

/// How a process is started.
type Start = fn(&Command, &Variables, &Supplies) -> Result<Started, SpawnFailure>;

static CREW: OnceLock<Crew> = OnceLock::new();

/// Makes sure that processes can be watched.
pub(super) fn check() -> io::Result<()> {
    crew().map(drop)
}

/// Starts it when it is its turn, and tells its owner; after that the owner is
/// called to [pass on](Owner::pass_on) what it has to tell.
///
/// # Errors
///
/// There is no thread to start processes on, and none can be made. The owner is
/// told nothing.
pub(super) fn launch(launch: Launch) -> Result<(), SpawnFailure> {
    crew().and_then(|crew| crew.launch(launch)).map_err(|why| no_thread(&why))
}

fn crew() -> io::Result<&'static Crew> {
    if let Some(crew) = CREW.get() {
        return Ok(crew);
    }
    let crew = Crew::new(start)?;
    Ok(CREW.get_or_init(|| crew))
}

impl Crew {
    fn new(start: Start) -> io::Result<Self> {
        Ok(Self { watch: Epoll::new()?, state: Mutex::default(), start })
    }

    fn launch(&'static self, launch: Launch) -> io::Result<()> {
        let mut state = self.state();
        let owner = Arc::clone(launch.run.owner());
        state.waiting.push_back(launch);
        let called = self.call_for_help(&mut state);
        match called {
            Ok(()) => state.has_news(&owner),
            // Without any thread there was nothing before it.
            Err(_) => drop(state.waiting.pop_back()),
        }
        called
    }

    /// Sees to it that somebody starts what waits.
    fn call_for_help(&'static self, state: &mut State) -> io::Result<()> {
        if state.waiting.len() <= state.looking() {
            return Ok(());
        }
        if state.asleep > 0 {
            self.watch.ring();
        } else if state.threads < STARTS {
            let name = "sched-crew".to_owned();
            match thread::Builder::new().name(name).spawn(|| self.work()) {
                Ok(_detached) => state.threads += 1,
                Err(why) if state.threads == 0 => return Err(why),
                Err(why) => tracing::debug!(%why, "one thread less to start processes on"),
            }
        }
        Ok(())
    }

    /// The life of a thread.
    fn work(&'static self) {
        let mut told = Found::at_most(EVENTS);
        while self.turn(&mut told) {}
    }

    /// Whether there will be another.
    fn turn(&'static self, told: &mut Found) -> bool {
        let sleeps = self.state().fall_asleep();
        self.watch.wait(Some(if sleeps { IDLE } else { Duration::ZERO }), told);
        if sleeps && !self.state().wake_up(told.is_nothing()) {
            self.pass_on();
            return false;
        }
        // Ends first: they are what frees slots.
        self.handle_all(told);
        if let Some(launch) = self.next_launch() {
            let _busy = Busy(self);
            self.start(launch);
        }
        self.pass_on();
        true
    }

    fn handle_all(&self, told: &Found) {
        told.numbers().for_each(|number| self.handle(number));
    }

    /// Also for the other thread, whose start may hang.
    fn pass_on(&self) {
        let owners = std::mem::take(&mut self.state().news);
        owners.iter().for_each(|owner| unharmed(|| owner.pass_on()));
    }

    fn tell(&self, run: &Run, report: Report) {
        unharmed(|| run.tell(report));
        self.state().has_news(run.owner());
    }

    /// What comes after it may be for the other thread.
    fn next_launch(&'static self) -> Option<Launch> {
        let mut state = self.state();
        let launch = state.waiting.pop_front()?;
        state.busy += 1;
        state.starts += 1;
        // This thread is there: it cannot fail.
        let _ = self.call_for_help(&mut state);
        if !state.has_relief {
            let relief = thread::Builder::new().name("sched-relief".to_owned());
            match relief.spawn(|| self.stand_by()) {
                Ok(_detached) => state.has_relief = true,
                Err(why) => tracing::debug!(%why, "nobody is there for starts that hang"),
            }
        }
        Some(launch)
    }

    /// The life of the thread that takes over, which starts nothing itself.
    fn stand_by(&'static self) {
        let mut told = Found::at_most(EVENTS);
        let (mut seen, mut quiet) = (0, Duration::ZERO);
        loop {
            thread::sleep(PATIENCE);
            if self.state().hangs_since(seen) {
                self.take_over(&mut told, seen);
            }
            // Who has something to tell may hang in a start while the other sleeps.
            self.pass_on();
            let mut state = self.state();
            quiet = if state.starts == seen { quiet + PATIENCE } else { Duration::ZERO };
            seen = state.starts;
            if quiet >= IDLE && state.busy == 0 {
                state.has_relief = false;
                return;
            }
        }
    }

    /// Does all but start, until somebody else can.
    fn take_over(&'static self, told: &mut Found, starts: u64) {
        let (since, mut is_known) = (Instant::now(), false);
        while self.state().hangs_since(starts) {
            if !is_known && since.elapsed() >= IDLE {
                tracing::warn!("the start of a process hangs: is a file system gone?");
                is_known = true;
            }
            self.watch.wait(Some(PATIENCE), told);
            self.handle_all(told);
            self.pass_on();
            // There may have been no thread to be had for what waits.
            let _ = self.call_for_help(&mut self.state());
        }
        // A ring that was meant for another may have come here. There is
        // another: it cannot fail.
        let _ = self.call_for_help(&mut self.state());
    }

    fn start(&self, launch: Launch) {
        let Launch { run, command, vars, supplies } = launch;
        let started = if run.is_stopped() {
            Err(stopped(format!("{command} was stopped before its start")))
        } else {
            let start = || (self.start)(&command, &vars, &supplies);
            catch_unwind(AssertUnwindSafe(start))
                .unwrap_or_else(|_panic| Err(exhausted(format!("starting {command} panicked"))))
        };
        match started {
            Ok(started) => self.begin(run, started),
            Err(why) => self.tell(&run, Report::SpawnFailed { run: run.id, why }),
        }
    }

    /// Watched only when it has been told: its end is told after its start.
    fn begin(&self, run: Arc<Run>, started: Started) {
        let pid = started.group.pid();
        run.begin(started);
        tracing::debug!(run = %run.id, pid, "process started");
        self.tell(&run, Report::Started { run: run.id, pid });
        let number = self.state().add(&run);
        let watched = run.with_process(|process| self.add(process, number));
        if let Some(Err(why)) = watched {
            tracing::error!(pid, %why, "killing what cannot be watched");
            if let Some(process) = run.take_killed() {
                self.end(number, &run, process);
            }
        }
    }

    fn add(&self, process: &Process, number: u64) -> io::Result<()> {
        if let Some(pipe) = process.pipe() {
            self.watch.add(pipe, number_of_output(number), Told::Once)?;
        }
        self.watch.add(process.pidfd(), number, Told::Once)
    }

    fn handle(&self, number: u64) {
        let of = number - number % NUMBERS_A_RUN;
        // Not there: it has ended since.
        let Some(run) = self.state().runs.get(&of).cloned() else { return };
        if number != of {
            run.with_process(|process| self.read(process, number));
        } else if let Some(process) = run.take_dead() {
            self.end(of, &run, process);
        }
    }

    fn read(&self, process: &mut Process, number: u64) {
        let more = process.read().unwrap_or_else(|why| {
            tracing::warn!(%why, "the rest of a process's output is lost");
            More::Never
        });
        if let (More::Now, Some(pipe)) = (more, process.pipe()) {
            if let Err(why) = self.watch.ask_again(pipe, number) {
                tracing::error!(%why, "some of a process's output is read only when it ends");
            }
        }
    }

    fn end(&self, number: u64, run: &Run, process: Process) {
        self.state().runs.remove(&number);
        // Before they are closed: a process that is just being started has copies of
        // all descriptors, and what somebody has open stays in the set.
        process.pipe().into_iter().for_each(|pipe| self.watch.remove(pipe));
        self.watch.remove(process.pidfd());
        let end = process.finish();
        let (output, spooled) = (end.output, end.spooled);
        self.tell(run, Report::Exited { run: run.id, exit: end.exit, output, spooled });
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody who starts something.
struct Busy(&'static Crew);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.state().busy -= 1;
    }
}

/// An owner is others' code, or calls it. If that panics, the thread goes on: it
/// serves every owner there is.
fn unharmed(act: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(act)).is_err() {
        tracing::error!("whoever was told of a process panicked");
    }
}

fn no_thread(why: &io::Error) -> SpawnFailure {
    failed("no thread to start processes on", why)
}

#[cfg(test)]
mod tests;
