//! What becomes of a job: invariants 1, 8, 11 and 12.

use sched_core::{
    Event, EventKind, ExitStatus, Instant, JobId, Outcome, Requeue, RunInfo, StopCause,
};

use super::{Checker, Step};
use crate::sim::ledger::{JobPlace, JobRow, RunRow};
use crate::sim::processes::Report;
use crate::sim::twin::Input;
use crate::sim::view::JobLine;
use crate::sim::{Verdict, ensure};

impl Checker {
    pub(super) fn inv_1_one_outcome(&self, event: &Event) -> Verdict {
        let EventKind::Ended { job, outcome, .. } = &event.kind else { return Ok(()) };
        let row = self.ledger.jobs.get(job).ok_or("an unknown job ends")?;
        ensure(row.outcome.is_none(), || {
            format!("inv 1: {job} ends as {outcome} after {:?}", row.outcome)
        })
    }

    pub(super) fn inv_1_every_job_is_somewhere(&self, step: &Step<'_>) -> Verdict {
        let open = |(id, row): (&JobId, &JobRow)| row.outcome.is_none().then_some(*id);
        let ought: Vec<_> = self.ledger.jobs.iter().filter_map(open).collect();
        let is: Vec<_> = step.view.jobs.iter().map(|job| job.id).collect();
        ensure(is == ought, || format!("inv 1: jobs without outcome {ought:?}, shown {is:?}"))?;
        let told = self.ledger.jobs.len() - ought.len();
        let counted: u64 = step.view.totals.outcomes.iter().sum();
        ensure(counted == told as u64, || format!("inv 1: {told} outcomes told, {counted} counted"))
    }

    /// Nothing that no event is about may look different.
    pub(super) fn inv_8_no_other_record_changes(&self, step: &Step<'_>) -> Verdict {
        let Some(before) = &self.before else { return Ok(()) };
        let record = |job: &JobLine| {
            (job.submitted, job.attempt, job.evictions, std::mem::discriminant(&job.state))
        };
        let told: Vec<_> = step.events.iter().filter_map(|event| job_of(&event.kind)).collect();
        let changed = before.jobs.iter().find(|old| {
            let new = step.view.jobs.iter().find(|new| new.id == old.id);
            !told.contains(&old.id) && new.is_none_or(|new| record(new) != record(old))
        });
        ensure(changed.is_none(), || format!("inv 8: nobody said why {changed:?} has changed"))
    }

    pub(super) fn inv_11_what_ended_it(
        &self,
        step: &Step<'_>,
        run: &RunRow,
        job: JobId,
        later: &[Event],
    ) -> Verdict {
        let Some((Input::Report(Report::Exit(_, exit)), _)) = step.input else {
            return Err("inv 11: an exit that nobody reported".into());
        };
        let row = self.ledger.jobs.get(&job).ok_or("an unknown job exits")?;
        let stopped = run.stop.map(|(cause, _)| cause).filter(|_| exit.after_stop);
        let fits = |kind: &EventKind| match (stopped, kind) {
            (None, EventKind::Requeued { why: Requeue::Retry { .. }, .. }) => {
                !exit.status.is_success() && exit.status != ExitStatus::Unknown && !row.cancelled
            }
            (None, EventKind::Ended { outcome, .. }) => *outcome == natural(exit.status),
            (Some(StopCause::Evicted { .. }), EventKind::Requeued { why, .. }) => {
                matches!(why, Requeue::Evicted { .. }) && self.ledger.comes_back(row)
            }
            (Some(cause), EventKind::Ended { outcome, .. }) => {
                *outcome == caused(cause, exit.status)
                    && !(matches!(cause, StopCause::Evicted { .. }) && self.ledger.comes_back(row))
            }
            _ => false,
        };
        let fate = later.iter().map(|event| &event.kind).find(|kind| {
            matches!(kind, EventKind::Requeued { job: other, .. }
                | EventKind::Ended { job: other, .. } if *other == job)
        });
        ensure(fate.is_some_and(fits), || format!("inv 11: {exit:?} of {run:?}, and then {fate:?}"))
    }

    pub(super) fn inv_12_what_is_over_never_starts(&self, run: &RunInfo) -> Verdict {
        let row = self.ledger.jobs.get(&run.job).ok_or("an unknown job starts")?;
        let at_its_submission = self.now == row.submitted;
        let over = |due: Option<Instant>| due.is_some_and(|due| due <= self.now);
        let expired = (over(row.expires()) || over(row.deadline())) && !at_its_submission;
        let waits = row.at == JobPlace::Pending;
        ensure(waits && !row.cancelled && !expired, || {
            format!("inv 12: {} starts at {:?}: {row:?}", run.job, self.now)
        })
    }
}

fn natural(exit: ExitStatus) -> Outcome {
    match exit {
        ExitStatus::Code(0) => Outcome::Finished,
        ExitStatus::Unknown => Outcome::Lost,
        other => Outcome::Failed(other),
    }
}

fn caused(cause: StopCause, exit: ExitStatus) -> Outcome {
    match cause {
        StopCause::Evicted { by } => Outcome::Evicted { by, exit },
        StopCause::TimedOut(limit) => Outcome::TimedOut { limit, exit },
        StopCause::Cancelled => Outcome::Cancelled { exit: Some(exit) },
    }
}

fn job_of(kind: &EventKind) -> Option<JobId> {
    match kind {
        EventKind::Accepted { job, .. }
        | EventKind::Started { job, .. }
        | EventKind::SpawnFailed { job, .. }
        | EventKind::Stopping { job, .. }
        | EventKind::Killing { job, .. }
        | EventKind::Exited { job, .. }
        | EventKind::Requeued { job, .. }
        | EventKind::RetryDue { job }
        | EventKind::Ended { job, .. } => Some(*job),
        EventKind::Starting { run, .. } => Some(run.job),
        _ => None,
    }
}
