//! Who starts, who is stopped for whom, and how a job ends.

use sched_core::{
    EventKind, Instant, JobId, JobTally, Mode, Outcome, RunId, RunInfo, SlotId, Stop, StopCause,
    TaskState,
};

use super::{Model, ModelJob, ModelRun, Order, Place};

/// A run that was stopping has left its slot.
#[derive(Clone, Copy, Debug)]
pub(super) struct Freed {
    /// For whom it was evicted, if it was.
    pub(super) by: Option<JobId>,
}

impl Model {
    /// The pending jobs in the order in which free slots take them.
    #[must_use]
    pub fn queue_order(&self) -> Vec<JobId> {
        let interval = self.policy.aging.map_or(0, |every| every.as_nanos() as i128);
        let key = |job: &ModelJob| {
            let aged = i128::from(job.priority) * interval + i128::from(job.submitted.as_nanos());
            let plain = i128::from(job.priority);
            (if interval > 0 { aged } else { plain }, job.id)
        };
        self.pending_by(key)
    }

    /// The pending jobs in the order in which they may evict.
    #[must_use]
    pub fn priority_order(&self) -> Vec<JobId> {
        self.pending_by(|job| (i128::from(job.priority), job.id))
    }

    /// The pending jobs that have a slot promised.
    #[must_use]
    pub fn reserved(&self) -> Vec<JobId> {
        self.priority_order().into_iter().take(self.reservations).collect()
    }

    /// The pending jobs that have none.
    #[must_use]
    pub fn unreserved(&self) -> Vec<JobId> {
        self.priority_order().into_iter().skip(self.reservations).collect()
    }

    fn pending_by(&self, key: impl Fn(&ModelJob) -> (i128, JobId)) -> Vec<JobId> {
        let mut pending: Vec<_> =
            self.jobs.iter().filter(|job| job.place == Place::Pending).map(key).collect();
        pending.sort_unstable();
        pending.into_iter().map(|(_, id)| id).collect()
    }

    /// Whether anything may start at all.
    #[must_use]
    pub fn starts_jobs(&self) -> bool {
        self.mode == Mode::Accepting && self.spawning_paused.is_none()
    }

    /// Rules 7, 6a and 6b, in this order.
    pub(super) fn settle(&mut self, freed: Option<Freed>) {
        if !self.starts_jobs() {
            return;
        }
        if let Some(freed) = freed {
            self.hand_over(freed);
        }
        while let (Some(slot), Some(first)) = (self.free_slot(), self.queue_order().first()) {
            self.start(*first, slot);
        }
        while self.make_room() {}
    }

    fn hand_over(&mut self, freed: Freed) {
        let waits = freed.by.is_some_and(|by| self.priority_order().contains(&by));
        let promised = freed.by.is_some() && self.reservations > 0;
        let kept = waits || promised || self.reservations > self.stopping();
        if let Some(slot) = self.free_slot().filter(|_| kept) {
            self.start(self.priority_order()[0], slot);
        }
    }

    /// Promises one more slot, if that is right. Returns whether it did.
    fn make_room(&mut self) -> bool {
        let (Some(first), Some(victim)) = (self.unreserved().first().copied(), self.victim())
        else {
            return false;
        };
        let Some(delta) = self.policy.preempt_delta else { return false };
        if self.job(first).priority + i64::from(delta.get()) > victim.level {
            return false;
        }
        if self.reservations >= self.stopping() {
            self.stop_run(victim.info.id, StopCause::Evicted { by: first });
        }
        self.reservations += 1;
        true
    }

    fn victim(&self) -> Option<ModelRun> {
        let awake = |run: &&ModelRun| {
            matches!(run.state, TaskState::Starting | TaskState::Running { .. }) && !run.shielded
        };
        self.runs.iter().filter(awake).max_by_key(|run| (run.level, run.info.id)).cloned()
    }

    /// How many runs are stopping, for whatever cause.
    #[must_use]
    pub fn stopping(&self) -> usize {
        let stops = |run: &&ModelRun| matches!(run.state, TaskState::Stopping { .. });
        self.runs.iter().filter(stops).count()
    }

    fn free_slot(&self) -> Option<SlotId> {
        (0..u32::try_from(self.slots).unwrap_or(u32::MAX))
            .map(SlotId::new)
            .find(|slot| self.runs.iter().all(|run| run.info.slot != *slot))
    }

    fn start(&mut self, id: JobId, slot: SlotId) {
        self.leave_queue(id);
        self.runs_given += 1;
        let now = self.now;
        let job = self.job_mut(id);
        let waited = now - job.waiting_since;
        job.place = Place::Slot;
        job.runs += 1;
        let job = self.job(id).clone();
        let run = RunId::new(self.bin, self.runs_given);
        let info = RunInfo { id: run, job: id, attempt: job.failed + 1, slot };
        self.runs.push(ModelRun {
            info,
            level: job.priority - self.gained(job.submitted),
            shielded: self.policy.max_evictions.is_some_and(|most| job.evictions >= most),
            began: now,
            state: TaskState::Starting,
            signalled: false,
        });
        self.totals.runs += 1;
        self.orders.push(Order::Spawn(info));
        self.events.push(EventKind::Starting { run: info, waited });
    }

    /// The levels gained by waiting since `submitted`.
    fn gained(&self, submitted: Instant) -> i64 {
        match self.policy.aging.map(|every| every.as_nanos()) {
            None | Some(0) => 0,
            Some(every) => {
                i64::try_from((self.now - submitted).as_nanos() / every).unwrap_or(i64::MAX)
            }
        }
    }

    pub(super) fn stop_run(&mut self, id: RunId, cause: StopCause) {
        let kill_at = self.now + self.policy.grace;
        let run = self.run_mut(id);
        let running = match run.state {
            TaskState::Running { since } => Some(since),
            _ => None,
        };
        run.state = TaskState::Stopping { cause, running, kill_at, killed: false };
        let job = run.info.job;
        self.orders.push(Order::Stop(id, Stop::Terminate));
        self.events.push(EventKind::Stopping { run: id, job, cause });
    }

    pub(super) fn change_cause(&mut self, id: RunId, to: StopCause) {
        if let TaskState::Stopping { cause, .. } = &mut self.run_mut(id).state {
            *cause = to;
        }
    }

    pub(super) fn kill_run(&mut self, id: RunId) {
        let now = self.now;
        let run = self.run_mut(id);
        let TaskState::Stopping { killed: killed @ false, kill_at, .. } = &mut run.state else {
            return;
        };
        *killed = true;
        *kill_at = now;
        let job = run.info.job;
        self.orders.retain(|order| *order != Order::Stop(id, Stop::Terminate));
        self.orders.push(Order::Stop(id, Stop::Kill));
        self.events.push(EventKind::Killing { run: id, job });
    }

    /// A pending job leaves the queue, and gives up the promise it may have.
    fn leave_queue(&mut self, id: JobId) {
        if self.reserved().contains(&id) {
            self.reservations -= 1;
        }
    }

    pub(super) fn end(&mut self, id: JobId, outcome: Outcome) {
        self.leave_queue(id);
        let job = self.job(id).clone();
        self.jobs.retain(|other| other.id != id);
        self.count(outcome.kind());
        let total = self.now - job.submitted;
        let tally = JobTally {
            total,
            waited: total - job.occupied,
            ran: job.ran,
            runs: job.runs,
            evictions: job.evictions,
        };
        self.events.push(EventKind::Ended { job: id, outcome, tally });
    }
}
