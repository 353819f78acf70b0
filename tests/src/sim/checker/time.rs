//! What time does: invariants 9, 14, 16, and half of 10.

use sched_core::{Event, EventKind, Instant, Mode, Outcome, RunInfo, StopCause, TimeBound};

use super::{Checker, Step};
use crate::sim::ledger::{JobPlace, JobRow, RunRow};
use crate::sim::twin::Input;
use crate::sim::{Verdict, ensure};

impl Checker {
    pub(super) fn inv_9_never_early(&self, step: &Step<'_>, event: &Event) -> Verdict {
        let (at, ledger) = (event.at, &self.ledger);
        let reached = |due: Option<Instant>| due.is_some_and(|due| at >= due);
        let holds = match &event.kind {
            EventKind::Ended { job, outcome: Outcome::Expired, .. } => {
                let row = ledger.jobs.get(job).ok_or("an unknown job expires")?;
                reached(row.expires()) || reached(row.deadline())
            }
            EventKind::Stopping { run, job, cause: StopCause::TimedOut(bound) } => {
                let row = ledger.jobs.get(job).ok_or("an unknown job is late")?;
                let run = ledger.runs.get(run).ok_or("an unknown run is late")?;
                match bound {
                    TimeBound::Deadline => reached(row.deadline()),
                    TimeBound::Run => reached(limit_of(run, row)),
                }
            }
            EventKind::Killing { run, .. } => {
                let run = ledger.runs.get(run).ok_or("an unknown run is killed")?;
                let due = run.stop.map(|(_, at)| at + self.policy.grace);
                reached(due) || matches!(step.input, Some((Input::Kill, _)))
            }
            EventKind::RetryDue { job } => match ledger.jobs.get(job).map(|row| row.at) {
                Some(JobPlace::BackingOff(until)) => at >= until,
                _ => false,
            },
            EventKind::SpawningResumed => reached(ledger.spawning_paused),
            _ => true,
        };
        ensure(holds, || format!("inv 9: {event:?} is too early"))
    }

    /// A timer acts as soon as the machine hears of a time after its own.
    pub(super) fn inv_9_nothing_is_overdue(&self, step: &Step<'_>) -> Verdict {
        let over = |due: Option<Instant>| due.is_some_and(|due| due < self.now);
        for (id, row) in &self.ledger.jobs {
            let late = match row.at {
                JobPlace::Pending => over(row.expires()) || over(row.deadline()),
                JobPlace::BackingOff(until) => over(Some(until)) || over(row.deadline()),
                JobPlace::Slot(run) => {
                    let run = self.ledger.runs.get(&run).ok_or("a job in no slot")?;
                    run.stop.is_none() && (over(row.deadline()) || over(limit_of(run, row)))
                }
                JobPlace::Ended => false,
            };
            ensure(!late, || format!("inv 9: the time of {id} is over: {row:?}"))?;
        }
        ensure(!over(self.ledger.spawning_paused), || "inv 9: spawning is still paused".into())?;
        let early = step.view.timeout.is_some_and(|at| at < self.now);
        ensure(!early, || "inv 9: a wake-up in the past".into())
    }

    pub(super) fn inv_10_kill_follows_term(&self) -> Verdict {
        let over = |run: &&RunRow| {
            let kill_at = run.stop.map(|(_, at)| at + self.policy.grace);
            run.killed.is_none() && kill_at.is_some_and(|at| at < self.now)
        };
        let spared = self.ledger.runs.values().find(over);
        ensure(spared.is_none(), || format!("inv 10: the grace period is over for {spared:?}"))
    }

    pub(super) fn inv_14_nothing_starts_after_stop(
        &self,
        step: &Step<'_>,
        run: &RunInfo,
    ) -> Verdict {
        let over = matches!(step.view.mode, Mode::Stopping | Mode::Stopped);
        ensure(!over, || format!("inv 14: {run:?} after stop"))
    }

    pub(super) fn inv_14_nothing_is_left(&self, step: &Step<'_>) -> Verdict {
        let over = self.ledger.runs.is_empty() && step.alive == 0 && step.view.jobs.is_empty();
        ensure(over || step.view.mode != Mode::Stopped, || {
            format!("inv 14: stopped, with {} processes", step.alive)
        })
    }

    pub(super) fn inv_16_all_slot_time_is_told(&self, step: &Step<'_>) -> Verdict {
        let totals = &step.view.totals;
        let told = totals.useful + totals.wasted + self.ledger.occupied_since(self.now);
        ensure(told == self.occupied, || {
            format!("inv 16: slots were in use for {:?}, told is {told:?}", self.occupied)
        })
    }
}

fn limit_of(run: &RunRow, row: &JobRow) -> Option<Instant> {
    Some(run.started? + row.spec.time_limit?)
}
