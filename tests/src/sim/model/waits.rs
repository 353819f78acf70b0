//! What a job waits for: its one timer, and the acts of time.

use sched_core::{EventKind, Instant, JobId, OnEvict, Outcome, StopCause, TaskState, TimeBound};

use super::{Model, ModelJob, Place};

/// What a timer does when it is due.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Act {
    /// First, so that it wins where both are due at the same instant.
    Deadline,
    Expire,
    Retry,
    TimeLimit,
    Kill,
}

impl Model {
    /// When time acts next.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        let jobs = self.jobs.iter().filter_map(|job| self.timer_of(job)).map(|(at, _)| at);
        jobs.chain(self.spawning_paused).min()
    }

    /// Lets everything act that is due, in the order of (time, job).
    pub(super) fn act_on_time(&mut self) {
        if self.spawning_paused.is_some_and(|until| until <= self.now) {
            self.spawning_paused = None;
            self.events.push(EventKind::SpawningResumed);
        }
        while let Some((_, id, act)) = self.earliest_due() {
            match act {
                Act::Deadline if self.job(id).place == Place::Slot => self.overdue(id),
                Act::Deadline | Act::Expire => self.end(id, Outcome::Expired),
                Act::Retry => self.end_back_off(id),
                Act::TimeLimit => {
                    let run = self.run_of(id).info.id;
                    self.stop_run(run, StopCause::TimedOut(TimeBound::Run));
                }
                Act::Kill => self.kill_run(self.run_of(id).info.id),
            }
        }
    }

    fn earliest_due(&self) -> Option<(Instant, JobId, Act)> {
        self.jobs
            .iter()
            .filter_map(|job| self.timer_of(job).map(|(at, act)| (at, job.id, act)))
            .filter(|(at, ..)| *at <= self.now)
            .min()
    }

    fn end_back_off(&mut self, id: JobId) {
        let now = self.now;
        let job = self.job_mut(id);
        job.place = Place::Pending;
        job.waiting_since = now;
        self.events.push(EventKind::RetryDue { job: id });
    }

    /// The one wake-up of a job: the earliest of what applies in its state.
    fn timer_of(&self, job: &ModelJob) -> Option<(Instant, Act)> {
        let deadline = job.deadline.map(|whole| (job.submitted + whole, Act::Deadline));
        let expiry = job.expiry.map(|wait| (job.submitted + wait, Act::Expire));
        let applies = match job.place {
            Place::Pending => vec![deadline, expiry.filter(|_| job.runs == 0)],
            Place::BackingOff(until) => vec![deadline, Some((until, Act::Retry))],
            Place::Slot => match self.run_of(job.id).state {
                TaskState::Starting => vec![deadline],
                TaskState::Running { since } => {
                    let limit = job.time_limit.map(|limit| (since + limit, Act::TimeLimit));
                    vec![deadline, limit]
                }
                TaskState::Stopping { cause, kill_at, killed, .. } => {
                    let comes_back = matches!(cause, StopCause::Evicted { .. })
                        && job.on_evict == OnEvict::Requeue;
                    let kill = Some((kill_at, Act::Kill)).filter(|_| !killed);
                    vec![deadline.filter(|_| comes_back), kill]
                }
                TaskState::Exited { .. } => vec![],
            },
        };
        applies.into_iter().flatten().min()
    }
}
