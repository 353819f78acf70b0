//! The driver of one process: the smallest scheduler there can be.

use std::time::Duration;

use async_channel::Receiver;
use sched_core::{BinIndex, Instant, Outcome, ProcessSpawner, ProcessTask};
use sched_core::{RunId, SpawnFailureKind, StopCause, TaskState};
use smol::future::{or, pending};

use super::command::Command;
use super::spawner::{Report, SmolSpawner};
use super::task::ProcessResult;
use crate::clock::Clock;

/// What is to be run, and within what limits.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) command: Command,
    pub(super) time_limit: Option<Duration>,
    pub(super) grace: Duration,
}

/// Drives one `ProcessTask` of `core`.
pub(super) struct Solo {
    clock: Clock,
    task: ProcessTask,
    run: RunId,
    spawner: SmolSpawner,
    reports: Receiver<Report>,
    /// `None` once nobody can give any more.
    orders: Option<Receiver<()>>,
}

enum Wake {
    Report(Report),
    Terminate,
    Abandoned,
    Time,
}

impl Solo {
    pub(super) fn new(orders: Receiver<()>, plan: &Plan) -> Self {
        let clock = Clock::new();
        let task = ProcessTask::new(clock.now(), plan.time_limit, plan.grace);
        let (spawner, reports) = SmolSpawner::for_one();
        let run = RunId::new(BinIndex::default(), 1);
        Self { clock, task, run, spawner, reports, orders: Some(orders) }
    }

    /// To the end.
    pub(super) async fn run(mut self, command: &Command) -> ProcessResult {
        if let Err(why) = self.spawner.spawn_plain(self.run, command) {
            self.task.handle_spawn_failed();
            return self.result(Outcome::SpawnFailed(why));
        }
        loop {
            let wake = self.wake().await;
            let now = self.clock.now();
            match wake {
                Wake::Report(report) => {
                    if let Some(result) = self.handle_report(now, report) {
                        return result;
                    }
                }
                Wake::Terminate => drop(self.task.stop(now, StopCause::Cancelled)),
                Wake::Abandoned => {
                    self.orders = None;
                    self.task.stop(now, StopCause::Cancelled);
                    self.task.kill(now);
                }
                Wake::Time => self.task.handle_timeout(now),
            }
            while let Some(how) = self.task.poll_stop() {
                self.spawner.stop(self.run, how);
            }
        }
    }

    /// What happens next. A report comes first: an exit that is known counts
    /// before a time limit or an order that came with it.
    async fn wake(&self) -> Wake {
        let report = async {
            match self.reports.recv().await {
                Ok(report) => Wake::Report(report),
                // Its task tells the end before it goes.
                Err(_closed) => pending().await,
            }
        };
        let order = async {
            match &self.orders {
                Some(orders) => orders.recv().await.map_or(Wake::Abandoned, |()| Wake::Terminate),
                None => pending().await,
            }
        };
        let time = async {
            self.clock.sleep_until(self.task.poll_timeout().unwrap_or(Instant::FAR_FUTURE)).await;
            Wake::Time
        };
        or(report, or(order, time)).await
    }

    fn handle_report(&mut self, now: Instant, report: Report) -> Option<ProcessResult> {
        match report {
            Report::Started { .. } => {
                self.task.handle_started(now);
                None
            }
            Report::SpawnFailed { why, .. } => {
                let cause = self.task.handle_spawn_failed();
                if why.kind == SpawnFailureKind::Stopped && cause.is_some() {
                    return Some(self.result(Outcome::Cancelled { exit: None }));
                }
                Some(self.result(Outcome::SpawnFailed(why)))
            }
            Report::Exited { exit, output, spooled, .. } => {
                let outcome = self.task.handle_exit(now, exit)?;
                Some(ProcessResult { output, spooled, ..self.result(outcome) })
            }
        }
    }

    fn result(&self, outcome: Outcome) -> ProcessResult {
        let ran = match self.task.state() {
            TaskState::Exited { ran } => ran,
            _ => Duration::ZERO,
        };
        ProcessResult { outcome, ran, output: None, spooled: None }
    }
}
