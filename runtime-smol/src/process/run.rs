//! One run, once there is a process, until it is reaped: a task that owns the
//! process.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::pin::pin;
use std::process;
use std::sync::Arc;

use async_channel::{Receiver, Sender};
use async_process::Child;
use sched_core::{Exit, ExitStatus, RunId, SpawnFailure, Stop};
use smol::future::{or, pending};

use super::capture::{Capture, CapturedOutput};
use super::group::{Group, Leader};
use super::spares::Spooling;
use super::spawner::Report;
use super::spool::SpooledOutput;
use super::start::Started;

/// How often a run can be told to stop: TERM, then KILL.
pub(super) const STOPS: usize = 2;

/// What a run's task holds of whoever started it.
#[derive(Debug)]
pub(super) struct Line {
    /// How it is told to stop.
    pub(super) stops: Receiver<Stop>,
    /// Its place among the runs that there may be at once: they are counted by
    /// the copies of this.
    pub(super) _place: Arc<()>,
}

/// A run that is under way.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) id: RunId,
    pub(super) line: Line,
    pub(super) reports: Sender<Report>,
}

impl Run {
    /// Whether nobody can stop it any more, so that it must not start.
    pub(super) fn is_abandoned(&self) -> bool {
        self.line.stops.is_closed()
    }

    /// Tells of its process until that is reaped. Once `stops` is closed nobody
    /// can stop the process any more, so it is killed.
    pub(super) async fn go(self, start: Result<Started, SpawnFailure>) {
        let run = self.id;
        let last = match start {
            Ok(started) => {
                let pid = started.group.pid();
                // A closed channel: nobody listens any more, and that is theirs to choose.
                let _ = self.reports.send(Report::Started { run, pid }).await;
                let (exit, output, spooled) = finish(started, &self.line.stops).await;
                Report::Exited { run, exit, output, spooled }
            }
            Err(why) => Report::SpawnFailed { run, why },
        };
        // Before the last report: who has read it finds the run's place free.
        drop(self.line);
        let _ = self.reports.send(last).await;
    }
}

async fn finish(
    started: Started,
    stops: &Receiver<Stop>,
) -> (Exit, Option<CapturedOutput>, Option<SpooledOutput>) {
    let Started { child, group, mut capture, spool } = started;
    let (leader, after_stop) = or(until_dead(&group, stops), pump(capture.as_mut())).await;
    if leader == Leader::Zombie {
        group.kill_stragglers();
    }
    let status = reap(child).await;
    (Exit { status, after_stop }, capture.map(Capture::finish), spool.map(Spooling::finish))
}

/// Carries out stops until the leader is dead. Returns whether a signal was
/// sent while it was alive.
async fn until_dead(group: &Group, stops: &Receiver<Stop>) -> (Leader, bool) {
    let mut after_stop = false;
    let mut dead = pin!(group.readable());
    let mut next = Next::Stop;
    loop {
        let wake = match next {
            Next::Stop => or(async { Wake::Dead(dead.as_mut().await) }, next_stop(stops)).await,
            Next::Nothing => Wake::Dead(dead.as_mut().await),
        };
        // Whatever woke us: the process may have been faster than the stop.
        let leader = group.leader();
        if leader != Leader::Alive {
            return (leader, after_stop);
        }
        match wake {
            Wake::Dead(Ok(())) => dead.set(group.readable()),
            Wake::Dead(Err(why)) => {
                tracing::error!(pid = group.pid(), %why, "killing what cannot be awaited");
                group.stop(Stop::Kill);
                return (Leader::Zombie, true);
            }
            Wake::Stop(how) => {
                group.stop(how);
                after_stop = true;
            }
            Wake::Abandoned => {
                group.stop(Stop::Kill);
                after_stop = true;
                next = Next::Nothing;
            }
        }
    }
}

enum Next {
    Stop,
    Nothing,
}

enum Wake {
    Dead(io::Result<()>),
    Stop(Stop),
    Abandoned,
}

async fn next_stop(stops: &Receiver<Stop>) -> Wake {
    stops.recv().await.map_or(Wake::Abandoned, Wake::Stop)
}

/// Never ends: only the process's death does.
async fn pump<T>(capture: Option<&mut Capture>) -> T {
    if let Some(capture) = capture {
        capture.pump().await;
    }
    pending().await
}

async fn reap(mut child: Child) -> ExitStatus {
    match child.status().await {
        Ok(status) => status_of(status),
        Err(why) => {
            tracing::error!(pid = child.id(), %why, "how a process ended is not known");
            ExitStatus::Unknown
        }
    }
}

fn status_of(status: process::ExitStatus) -> ExitStatus {
    let code = status.code().map(ExitStatus::Code);
    code.or_else(|| status.signal().map(ExitStatus::Signal)).unwrap_or(ExitStatus::Unknown)
}
