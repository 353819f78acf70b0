//! Plain threads and `std::sync::mpsc`: one thread owns the machine and waits
//! in `recv_timeout`, another one plays everything outside of it.
//!
//! Real time is late by an unknown amount, and two threads are late by two of
//! them. So that this cannot change the story, the two take turns:
//! - the driver, when it has nothing more to do, tells how far it may sleep;
//! - the world answers exactly once: with the next thing that happens, when its
//!   time has come; or, when the driver has woken up first and asks, with what
//!   happens before that wake-up, or that nothing does.
//!
//! Both sleep in real time, and the instant that goes with a message is the
//! scripted one.

use sched_core::{Instant, ProcessSpawner, RunId, RunInfo, SpawnFailure, Stop};
use sched_tests::sim::processes::{Processes, Script, World};
use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use crate::script::{Ask, Happening, asks, give, machine};
use crate::{Story, drain};

/// Scripted seconds in a second.
const SPEED: u32 = 100;

/// From the driver to the world.
enum ToWorld {
    Spawn(Instant, RunInfo, Script),
    Stop(Instant, RunId, Stop),
    /// The driver sleeps until then; `None`: until something happens.
    Asleep(Option<Instant>),
    /// The driver has woken up.
    Awake,
}

/// From the world to the driver.
enum ToDriver {
    Happens(Instant, Happening),
    /// Nothing before the wake-up that was told.
    Nothing,
}

/// The spawner is the other thread.
struct Remote {
    world: Sender<ToWorld>,
    now: Instant,
}

impl ProcessSpawner for Remote {
    type Command = Script;

    fn spawn(&mut self, run: &RunInfo, script: &Script) -> Result<(), SpawnFailure> {
        self.world.send(ToWorld::Spawn(self.now, *run, script.clone())).unwrap();
        Ok(())
    }

    fn stop(&mut self, run: RunId, how: Stop) {
        self.world.send(ToWorld::Stop(self.now, run, how)).unwrap();
    }
}

/// A clock that runs [`SPEED`] times too fast.
#[derive(Clone, Copy)]
struct Clock(std::time::Instant);

impl Clock {
    fn until(self, at: Instant) -> Duration {
        (at.since(Instant::ZERO) / SPEED).saturating_sub(self.0.elapsed())
    }
}

pub(crate) fn drive() -> Story {
    let clock = Clock(std::time::Instant::now());
    let (to_world, from_driver) = channel();
    let (to_driver, from_world) = channel();
    let outside =
        Outside { processes: Processes::default(), asks: asks().into(), clock, driver: to_driver };
    let world = thread::spawn(move || outside.live(&from_driver));
    let story = schedule(clock, to_world, &from_world);
    world.join().unwrap();
    story
}

/// The driver: what an embedding in plain threads looks like.
fn schedule(clock: Clock, world: Sender<ToWorld>, inbox: &Receiver<ToDriver>) -> Story {
    let mut bin = machine();
    let mut remote = Remote { world, now: Instant::ZERO };
    let mut events = Vec::new();
    loop {
        bin.dispatch(remote.now, &mut remote);
        drain(&mut bin, &mut events);
        let due = bin.poll_timeout();
        match (sleep(clock, &remote.world, inbox, due), due) {
            (ToDriver::Happens(at, what), _) => {
                remote.now = at;
                give(&mut bin, at, what);
            }
            (ToDriver::Nothing, Some(due)) => {
                remote.now = due;
                bin.handle_timeout(due);
            }
            (ToDriver::Nothing, None) => return Story::new(&bin, events),
        }
    }
}

fn sleep(
    clock: Clock,
    world: &Sender<ToWorld>,
    inbox: &Receiver<ToDriver>,
    due: Option<Instant>,
) -> ToDriver {
    world.send(ToWorld::Asleep(due)).unwrap();
    let Some(due) = due else { return inbox.recv().unwrap() };
    match inbox.recv_timeout(clock.until(due)) {
        Ok(told) => told,
        Err(RecvTimeoutError::Timeout) => {
            world.send(ToWorld::Awake).unwrap();
            inbox.recv().unwrap()
        }
        Err(RecvTimeoutError::Disconnected) => panic!("the world has gone"),
    }
}

/// Everything outside of the machine.
struct Outside {
    processes: Processes,
    asks: VecDeque<(Instant, Ask)>,
    clock: Clock,
    driver: Sender<ToDriver>,
}

impl Outside {
    fn live(mut self, inbox: &Receiver<ToWorld>) {
        while let Ok(told) = inbox.recv() {
            match told {
                ToWorld::Spawn(now, run, script) => {
                    self.processes.set_time(now);
                    self.processes.spawn(&run, &script).unwrap();
                }
                ToWorld::Stop(now, run, how) => {
                    self.processes.set_time(now);
                    self.processes.stop(run, how);
                }
                ToWorld::Asleep(until) => self.take_turn(inbox, until),
                // It woke up just when it was told what happens.
                ToWorld::Awake => {}
            }
        }
    }

    /// Answers the driver, once.
    fn take_turn(&mut self, inbox: &Receiver<ToWorld>, until: Option<Instant>) {
        let next = self.next().filter(|next| until.is_none_or(|until| *next < until));
        match (next, until) {
            (Some(next), _) => {
                // Until its time has come, or the driver has woken up too early.
                let _ = inbox.recv_timeout(self.clock.until(next));
                let what = self.happen(next);
                self.driver.send(ToDriver::Happens(next, what)).unwrap();
            }
            (None, Some(_)) => {
                // The driver wakes up by itself.
                assert!(matches!(inbox.recv(), Ok(ToWorld::Awake)));
                self.driver.send(ToDriver::Nothing).unwrap();
            }
            (None, None) => self.driver.send(ToDriver::Nothing).unwrap(),
        }
    }

    fn next(&self) -> Option<Instant> {
        let ask = self.asks.front().map(|(at, _)| *at);
        ask.into_iter().chain(self.processes.next_report()).min()
    }

    fn happen(&mut self, now: Instant) -> Happening {
        if self.asks.front().is_some_and(|(at, _)| *at == now) {
            return Happening::Ask(self.asks.pop_front().unwrap().1);
        }
        self.processes.set_time(now);
        let mut dice = fastrand::Rng::with_seed(0);
        Happening::Report(self.processes.take_report(&mut dice).unwrap())
    }
}
