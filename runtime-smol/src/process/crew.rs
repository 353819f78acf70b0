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
//! Each watches what it has started, at a post of its own. A thread that is told of
//! the end of a process by whichever thread waits first is woken on the wrong
//! processor as often as not, which costs a tenth of the jobs that two slots can do.
//!
//! Starting a process blocks its thread for 0.1 to 0.6 ms. What becomes of its
//! others in that time it sees after that. What is to be started meanwhile is for the
//! second thread, once two starts have had to wait for each other and there is one.
//! A start may also take for ever, where a program is on a file system that has
//! gone. So there is a third thread, which looks now and then, and takes over what
//! is not starting at a post that hangs.

mod state;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use sched_core::SpawnFailure;

pub(super) use self::state::Launch;
use self::state::{NUMBERS_A_RUN, State, THE_BELL, number_of_output};
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
    /// The bell that is rung when there is something to start. Whoever has it at
    /// their post and waits there is woken.
    bell: Epoll,
    /// For each thread the pidfds of what it has started, and our ends of the pipes of
    /// those whose output is captured.
    posts: [Epoll; STARTS],
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
        let (bell, posts) = (Epoll::new()?, [Epoll::new()?, Epoll::new()?]);
        posts.iter().try_for_each(|post| post.add(&bell, THE_BELL, Told::Always))?;
        Ok(Self { bell, posts, state: Mutex::default(), start })
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
            self.bell.ring();
        } else if let Some(post) = state.free_post() {
            let name = "sched-crew".to_owned();
            match thread::Builder::new().name(name).spawn(move || self.work(post)) {
                Ok(_detached) => state.manned[post] = true,
                Err(why) if state.threads() == 0 => return Err(why),
                Err(why) => tracing::debug!(%why, "one thread less to start processes on"),
            }
        }
        Ok(())
    }

    /// The life of a thread.
    fn work(&'static self, post: usize) {
        let mut told = Found::at_most(EVENTS);
        while self.turn(post, &mut told) {}
    }

    /// Whether there will be another.
    fn turn(&'static self, post: usize, told: &mut Found) -> bool {
        let sleeps = self.state().fall_asleep();
        self.posts[post].wait(Some(if sleeps { IDLE } else { Duration::ZERO }), told);
        if sleeps && !self.state().wake_up(post, told.is_nothing()) {
            self.pass_on();
            return false;
        }
        // Ends first: they are what frees slots.
        self.handle_all(told);
        if told.numbers().any(|number| number == THE_BELL) {
            // It falls silent. Who was rung for looks for what waits, below.
            self.bell.wait(Some(Duration::ZERO), told);
        }
        if let Some(launch) = self.next_launch(post) {
            let _busy = Busy(self, post);
            self.start(launch, post);
        }
        self.pass_on();
        true
    }

    fn handle_all(&self, told: &Found) {
        told.numbers().for_each(|number| self.handle(number));
    }

    /// Of the post of a thread that hangs in a start.
    fn handle_post(&self, post: usize, told: &mut Found) {
        self.posts[post].wait(Some(Duration::ZERO), told);
        self.handle_all(told);
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
    fn next_launch(&'static self, post: usize) -> Option<Launch> {
        let mut state = self.state();
        let launch = state.waiting.pop_front()?;
        state.starts += 1;
        state.starting[post] = Some(state.starts);
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
        let (mut seen, mut quiet, mut starting) = (0, Duration::ZERO, [None; STARTS]);
        loop {
            thread::sleep(PATIENCE);
            if self.state().hangs_since(seen) {
                self.take_over(&mut told, seen);
            }
            let hanging = self.state().hanging(starting);
            hanging.for_each(|post| self.handle_post(post, &mut told));
            // Who has something to tell may hang in a start while the other sleeps.
            self.pass_on();
            let mut state = self.state();
            quiet = if state.starts == seen { quiet + PATIENCE } else { Duration::ZERO };
            seen = state.starts;
            starting = state.starting;
            if quiet >= IDLE && state.busy() == 0 {
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
            self.bell.wait(Some(PATIENCE), told);
            (0..STARTS).for_each(|post| self.handle_post(post, told));
            self.pass_on();
            // There may have been no thread to be had for what waits.
            let _ = self.call_for_help(&mut self.state());
        }
        // A ring that was meant for another may have come here. There is
        // another: it cannot fail.
        let _ = self.call_for_help(&mut self.state());
    }

    fn start(&self, launch: Launch, post: usize) {
        let Launch { run, command, vars, supplies } = launch;
        let started = if run.is_stopped() {
            Err(stopped(format!("{command} was stopped before its start")))
        } else {
            let start = || (self.start)(&command, &vars, &supplies);
            catch_unwind(AssertUnwindSafe(start))
                .unwrap_or_else(|_panic| Err(exhausted(format!("starting {command} panicked"))))
        };
        match started {
            Ok(started) => self.begin(run, started, post),
            Err(why) => self.tell(&run, Report::SpawnFailed { run: run.id, why }),
        }
    }

    /// Watched only when it has been told: its end is told after its start.
    fn begin(&self, run: Arc<Run>, started: Started, post: usize) {
        let pid = started.group.pid();
        run.begin(started);
        tracing::debug!(run = %run.id, pid, "process started");
        self.tell(&run, Report::Started { run: run.id, pid });
        let number = self.state().add(&run, post);
        let watch = &self.posts[post];
        let watched = run.with_process(|process| add(watch, process, number));
        if let Some(Err(why)) = watched {
            tracing::error!(pid, %why, "killing what cannot be watched");
            if let Some(process) = run.take_killed() {
                self.end(number, &run, process, watch);
            }
        }
    }

    fn handle(&self, number: u64) {
        let of = number - number % NUMBERS_A_RUN;
        // Not there: it has ended since.
        let Some((run, post)) = self.state().runs.get(&of).cloned() else { return };
        let watch = &self.posts[post];
        if number != of {
            run.with_process(|process| read(watch, process, number));
        } else if let Some(process) = run.take_dead() {
            self.end(of, &run, process, watch);
        }
    }

    fn end(&self, number: u64, run: &Run, process: Process, watch: &Epoll) {
        self.state().runs.remove(&number);
        // Before they are closed: a process that is just being started has copies of
        // all descriptors, and what somebody has open stays in the set.
        process.pipe().into_iter().for_each(|pipe| watch.remove(pipe));
        watch.remove(process.pidfd());
        let end = process.finish();
        let (output, spooled) = (end.output, end.spooled);
        self.tell(run, Report::Exited { run: run.id, exit: end.exit, output, spooled });
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn add(watch: &Epoll, process: &Process, number: u64) -> io::Result<()> {
    if let Some(pipe) = process.pipe() {
        watch.add(pipe, number_of_output(number), Told::Once)?;
    }
    watch.add(process.pidfd(), number, Told::Once)
}

fn read(watch: &Epoll, process: &mut Process, number: u64) {
    let more = process.read().unwrap_or_else(|why| {
        tracing::warn!(%why, "the rest of a process's output is lost");
        More::Never
    });
    if let (More::Now, Some(pipe)) = (more, process.pipe()) {
        if let Err(why) = watch.ask_again(pipe, number) {
            tracing::error!(%why, "some of a process's output is read only when it ends");
        }
    }
}

/// Somebody who starts something, at this post.
struct Busy(&'static Crew, usize);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.state().starting[self.1] = None;
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
