//! What owns the state machine and the processes: a step at a time, by whoever
//! has something to tell.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use sched_core::{
    EventKind, Instant, JobId, JobSpec, ProcessSpawner, RunId, RunInfo, SchedulerManager,
    SpawnFailure, Stop, SubmitError,
};
use smol::lock::OnceCell;

use super::news::{Listeners, News, Tell, Written};
use super::subscription::Subscriber;
use super::timekeeper::Alarm;
use super::{Ended, SchedulerGone, Summary};
use crate::clock::Clock;
use crate::process::{Command, Owner, Report, Runs};

/// A scheduler, for its handles, for the threads that tell what became of
/// processes, and for its timekeeper.
///
/// Each takes its step on its own thread, under the lock, and goes on. A step is
/// a decision and what follows from it; a start is not part of it, for that is
/// the crew's. So nobody waits for long, and nothing waits in a queue: between an
/// exit that is seen and the start of the next process no other thread is woken.
pub(super) struct Shared {
    clock: Clock,
    driver: Mutex<Driver>,
    /// Set when the scheduler has ended.
    summary: OnceCell<Summary>,
}

pub(super) struct Driver {
    manager: SchedulerManager<Command>,
    spawner: Spawner,
    waiters: BTreeMap<JobId, Waiter>,
    /// What is to be told.
    news: News,
    alarm: Alarm,
    has_ended: bool,
}

/// `core`'s port to the world.
struct Spawner {
    runs: Runs,
    /// The job of each run that is under way, for what its process wrote.
    jobs: BTreeMap<RunId, JobId>,
    /// Whom the runs tell.
    owner: Weak<Shared>,
    launched: bool,
}

/// Whoever wants to know how a job ends, and what the job's last run wrote.
struct Waiter {
    tell: Tell,
    written: Written,
}

/// What is left when a scheduler has ended. To be dropped without its lock: it
/// wakes those who wait for something that will not come.
struct Remains {
    summary: Summary,
    _waiters: BTreeMap<JobId, Waiter>,
    _listeners: Listeners,
    _alarm: Alarm,
}

impl Shared {
    /// For a manager whose bins have so many slots together.
    pub(super) fn new(manager: SchedulerManager<Command>, slots: usize, alarm: Alarm) -> Arc<Self> {
        Arc::new_cyclic(|owner| Self {
            clock: Clock::new(),
            driver: Mutex::new(Driver {
                manager,
                spawner: Spawner {
                    runs: Runs::new(slots),
                    jobs: BTreeMap::new(),
                    owner: owner.clone(),
                    launched: false,
                },
                waiters: BTreeMap::new(),
                news: News::default(),
                alarm,
                has_ended: false,
            }),
            summary: OnceCell::new(),
        })
    }

    /// One step. If it launches something, whoever listens is told after that is
    /// started, by the crew.
    pub(super) fn step<T>(&self, what: impl FnOnce(&mut Driver, Instant) -> T) -> T {
        let (done, launched) = self.decide(what);
        if !launched {
            self.pass_on();
        }
        done
    }

    /// A step of which nobody is told yet, and whether it launched something.
    fn decide<T>(&self, what: impl FnOnce(&mut Driver, Instant) -> T) -> (T, bool) {
        let driver = &mut *self.driver();
        // Under the lock: what comes later is later.
        let now = self.clock.now();
        let done = what(driver, now);
        driver.manager.dispatch(now, &mut driver.spawner);
        driver.collect();
        driver.see_to_alarm();
        (done, std::mem::take(&mut driver.spawner.launched))
    }

    /// One step of a caller's, unless the scheduler has ended. What a caller
    /// passes in may panic; that is the caller's loss.
    pub(super) fn act<T>(
        &self,
        what: impl FnOnce(&mut SchedulerManager<Command>, Instant) -> T,
    ) -> Result<T, SchedulerGone> {
        self.step(|driver, now| {
            if driver.has_ended {
                return Err(SchedulerGone);
            }
            let act = AssertUnwindSafe(|| what(&mut driver.manager, now));
            catch_unwind(act).map_err(|_panic| {
                tracing::error!("a caller's look at the scheduler panicked");
                SchedulerGone
            })
        })
    }

    /// When there is something to do even if nothing happens, and the time now.
    pub(super) fn due(&self) -> (Option<Instant>, Clock) {
        let mut driver = self.driver();
        (driver.set_alarm(), self.clock)
    }

    /// Waits until the scheduler has ended.
    pub(super) async fn ended(&self) -> Summary {
        self.summary.wait().await.clone()
    }

    fn driver(&self) -> MutexGuard<'_, Driver> {
        self.driver.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Owner for Shared {
    fn told(&self, report: Report) {
        self.decide(|driver, now| driver.handle_report(now, report));
    }

    /// Without the lock, for what is woken may do as it likes. One thread at a
    /// time, so that everybody is told in order: who comes meanwhile, or calls
    /// the scheduler because of what it was told, leaves its news to that one.
    fn pass_on(&self) {
        let mut driver = self.driver();
        while let Some(batch) = driver.news.take() {
            drop(driver);
            let listeners = batch.tell();
            driver = self.driver();
            driver.news.told(listeners);
        }
        let remains = driver.end_if_stopped(self.clock.now());
        drop(driver);
        if let Some(remains) = &remains {
            let _once = self.summary.set_blocking(remains.summary.clone());
        }
    }
}

impl Driver {
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.manager.handle_timeout(now);
    }

    pub(super) fn submit(
        &mut self,
        now: Instant,
        job: JobSpec<Command>,
        tell: Tell,
    ) -> Result<JobId, SubmitError<Command>> {
        let id = self.manager.submit(now, job)?;
        self.waiters.insert(id, Waiter { tell, written: Written::default() });
        // One of many, perhaps, and the machine keeps only so many events.
        self.collect();
        Ok(id)
    }

    /// `false`: it has ended, and nothing is told any more.
    pub(super) fn subscribe(&mut self, subscriber: Subscriber) -> bool {
        if !self.has_ended {
            self.news.subscribe(subscriber);
        }
        !self.has_ended
    }

    fn handle_report(&mut self, now: Instant, report: Report) {
        if report.is_last() {
            self.spawner.runs.forget(report.run());
        }
        match report {
            Report::Started { run, .. } => self.manager.handle_started(now, run),
            Report::SpawnFailed { run, why } => {
                self.spawner.jobs.remove(&run);
                self.manager.handle_spawn_failed(now, run, why);
            }
            Report::Exited { run, exit, output, spooled } => {
                let job = self.spawner.jobs.remove(&run);
                if let Some(waiter) = job.and_then(|job| self.waiters.get_mut(&job)) {
                    let written = Written { output, spooled };
                    self.news.discard(std::mem::replace(&mut waiter.written, written));
                }
                self.manager.handle_exit(now, run, exit);
            }
        }
    }

    /// Takes what has happened from the machine.
    fn collect(&mut self) {
        while let Some(event) = self.manager.poll_event() {
            if let EventKind::Ended { job, outcome, tally } = &event.kind {
                if let Some(Waiter { tell, written }) = self.waiters.remove(job) {
                    let Written { output, spooled } = written;
                    let ended = Ended { outcome: outcome.clone(), tally: *tally, output, spooled };
                    self.news.outcome(tell, *job, ended);
                }
            }
            self.news.event(event);
        }
    }

    /// Nothing that is due is late.
    fn see_to_alarm(&mut self) {
        if let Some(due) = self.manager.poll_timeout() {
            self.alarm.call_for(due);
        }
    }

    fn set_alarm(&mut self) -> Option<Instant> {
        let due = self.manager.poll_timeout();
        self.alarm.set(due);
        due
    }

    fn summary(&self, now: Instant) -> Summary {
        Summary {
            stats: self.manager.stats(),
            elapsed: now - Instant::ZERO,
            slots: self.manager.bins().map(|bin| bin.slots()).sum(),
        }
    }

    /// Not before everything is told.
    fn end_if_stopped(&mut self, now: Instant) -> Option<Remains> {
        if self.has_ended || !self.manager.is_stopped() || !self.news.is_told() {
            return None;
        }
        self.has_ended = true;
        Some(Remains {
            summary: self.summary(now),
            _waiters: std::mem::take(&mut self.waiters),
            _listeners: self.news.end(),
            _alarm: self.alarm.end(),
        })
    }
}

impl ProcessSpawner for Spawner {
    type Command = Command;

    fn spawn(&mut self, run: &RunInfo, command: &Command) -> Result<(), SpawnFailure> {
        let Some(owner) = self.owner.upgrade() else {
            return Err(SpawnFailure {
                kind: sched_core::SpawnFailureKind::Exhausted,
                message: "the scheduler has ended".to_owned(),
            });
        };
        self.runs.start_informed(run, owner, command)?;
        self.jobs.insert(run.id, run.job);
        self.launched = true;
        Ok(())
    }

    fn stop(&mut self, run: RunId, how: Stop) {
        self.runs.stop(run, how);
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("summary", &self.summary).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
