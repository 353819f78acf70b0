//! What the checker knows: its own books, kept from events alone.

use sched_core::{
    Duration, Event, EventKind, Instant, JobId, JobSpec, OnEvict, Outcome, Policy, Requeue, RunId,
    RunInfo, StopCause, TimeBound,
};
use std::collections::BTreeMap;

use super::processes::Script;

/// The books.
#[derive(Debug)]
pub struct Ledger {
    policy: Policy,
    slots: usize,
    /// Every job ever accepted.
    pub jobs: BTreeMap<JobId, JobRow>,
    /// Every run that has a slot.
    pub runs: BTreeMap<RunId, RunRow>,
    /// Until when the machine is exhausted.
    pub spawning_paused: Option<Instant>,
    /// Slots freed in this step by runs that were stopping.
    pub freed: Vec<Freed>,
    /// Counts everything that is written down.
    pub clock: u64,
    /// When the promises of slots were last taken back.
    pub promises_void: u64,
}

/// A slot that a stopping run has left.
#[derive(Clone, Copy, Debug)]
pub struct Freed {
    /// The run that left it.
    pub run: RunRow,
    /// For whom it was stopped, if it was evicted.
    pub by: Option<JobId>,
    /// Whether `by` still waits, and was promised this slot, the only free one.
    pub awaited: bool,
}

/// A job.
#[derive(Clone, Debug)]
pub struct JobRow {
    /// As it was submitted.
    pub spec: JobSpec<Script>,
    /// When.
    pub submitted: Instant,
    /// Where it is.
    pub at: JobPlace,
    /// How often it was given a slot.
    pub runs: u32,
    /// How often it was evicted and came back.
    pub evictions: u32,
    /// Since when it is no longer wanted.
    pub cancelled: bool,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// When (on the ledger's clock) it last left the queue.
    pub left_queue: u64,
}

/// Where a job is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum JobPlace {
    /// In the queue.
    Pending,
    /// Between two attempts.
    BackingOff(Instant),
    /// In a slot.
    Slot(RunId),
    /// It has its outcome.
    Ended,
}

/// A run that has a slot.
#[derive(Clone, Copy, Debug)]
pub struct RunRow {
    /// Its id, job, attempt and slot.
    pub info: RunInfo,
    /// When it was given the slot.
    pub began: Instant,
    /// Since when it has a process.
    pub started: Option<Instant>,
    /// Why it is stopped, and since when.
    pub stop: Option<(StopCause, Instant)>,
    /// When (on the ledger's clock) it was stopped.
    pub stop_tick: u64,
    /// When it was killed.
    pub killed: Option<Instant>,
    /// Whether the spawner was asked to start it.
    pub spawn_asked: bool,
    /// Whether the spawner was asked to terminate it.
    pub term_asked: bool,
    /// Whether the spawner was asked to kill it.
    pub kill_asked: bool,
    /// Its level.
    pub level: i64,
    /// Whether it is spared from eviction.
    pub shielded: bool,
}

impl Ledger {
    /// Empty books for a bin with so many slots and this policy.
    #[must_use]
    pub const fn new(slots: usize, policy: Policy) -> Self {
        Self {
            policy,
            slots,
            jobs: BTreeMap::new(),
            runs: BTreeMap::new(),
            spawning_paused: None,
            freed: Vec::new(),
            clock: 0,
            promises_void: 0,
        }
    }

    /// Writes down one event. What makes no sense is an error here already.
    ///
    /// # Errors
    ///
    /// The event is about a job or a run that it cannot be about.
    pub fn write(&mut self, event: &Event, spec: Option<&JobSpec<Script>>) -> Result<(), String> {
        self.clock += 1;
        let at = event.at;
        match &event.kind {
            EventKind::Accepted { job, .. } => self.accepted(at, *job, spec)?,
            EventKind::Starting { run, .. } => self.starting(at, run)?,
            EventKind::Started { run, .. } => self.run(*run)?.started = Some(at),
            EventKind::SpawnFailed { run, .. } | EventKind::Exited { run, .. } => {
                self.left(*run)?
            }
            EventKind::Stopping { run, cause, .. } => {
                let tick = self.clock;
                let row = self.run(*run)?;
                row.stop = Some((*cause, at));
                row.stop_tick = tick;
            }
            EventKind::Killing { run, .. } => self.run(*run)?.killed = Some(at),
            EventKind::Requeued { job, why } => self.requeued(*job, why)?,
            EventKind::RetryDue { job } => self.job(*job)?.at = JobPlace::Pending,
            EventKind::Ended { job, outcome, .. } => self.ended(*job, outcome)?,
            EventKind::SpawningPaused { until } => {
                self.spawning_paused = Some(*until);
                self.promises_void = self.clock;
            }
            EventKind::SpawningResumed => self.spawning_paused = None,
            EventKind::Paused | EventKind::Draining => self.promises_void = self.clock,
            EventKind::ShuttingDown => {
                self.spawning_paused = None;
                self.promises_void = self.clock;
            }
            EventKind::Drained | EventKind::Resumed | EventKind::Stopped => {}
        }
        Ok(())
    }

    fn accepted(
        &mut self,
        at: Instant,
        id: JobId,
        spec: Option<&JobSpec<Script>>,
    ) -> Result<(), String> {
        let spec = spec.ok_or("accepted, and nothing was submitted")?.clone();
        let row = JobRow {
            spec,
            submitted: at,
            at: JobPlace::Pending,
            runs: 0,
            evictions: 0,
            cancelled: false,
            outcome: None,
            left_queue: 0,
        };
        self.jobs.insert(id, row).map_or(Ok(()), |_| Err(format!("{id} was given twice")))
    }

    fn starting(&mut self, at: Instant, info: &RunInfo) -> Result<(), String> {
        let aging = self.policy.aging.map_or(0, |every| every.as_nanos());
        let most = self.policy.max_evictions;
        let tick = self.clock;
        let row = self.job(info.job)?;
        row.at = JobPlace::Slot(info.id);
        row.runs += 1;
        row.left_queue = tick;
        let waited = at.since(row.submitted).as_nanos();
        let gained = waited.checked_div(aging).and_then(|levels| i64::try_from(levels).ok());
        let run = RunRow {
            info: *info,
            began: at,
            started: None,
            stop: None,
            stop_tick: 0,
            killed: None,
            spawn_asked: false,
            term_asked: false,
            kill_asked: false,
            level: i64::from(row.spec.priority.number()) - gained.unwrap_or(0),
            shielded: most.is_some_and(|most| row.evictions >= most),
        };
        self.runs.insert(info.id, run).map_or(Ok(()), |_| Err(format!("{} twice", info.id)))
    }

    fn left(&mut self, id: RunId) -> Result<(), String> {
        let run = self.runs.remove(&id).ok_or_else(|| format!("{id} has no slot"))?;
        if let Some((cause, _)) = run.stop {
            let by = match cause {
                StopCause::Evicted { by } => Some(by),
                _ => None,
            };
            let promised = run.stop_tick > self.promises_void;
            let waits = by
                .and_then(|by| self.jobs.get(&by))
                .is_some_and(|by| by.at == JobPlace::Pending && by.left_queue < run.stop_tick);
            let only_one = self.runs.len() + 1 == self.slots;
            self.freed.push(Freed { run, by, awaited: promised && waits && only_one });
        }
        Ok(())
    }

    fn requeued(&mut self, id: JobId, why: &Requeue) -> Result<(), String> {
        let row = self.job(id)?;
        row.at = JobPlace::Pending;
        match why {
            Requeue::Evicted { .. } => row.evictions += 1,
            Requeue::Exhausted => {}
            Requeue::Retry { at, .. } => row.at = JobPlace::BackingOff(*at),
        }
        Ok(())
    }

    fn ended(&mut self, id: JobId, outcome: &Outcome) -> Result<(), String> {
        let tick = self.clock;
        let row = self.job(id)?;
        row.at = JobPlace::Ended;
        row.left_queue = tick;
        match row.outcome.replace(outcome.clone()) {
            None => Ok(()),
            Some(before) => Err(format!("{id} ended twice: {before}, then {outcome}")),
        }
    }

    /// Its owner does not want `id` any more. A victim that was to come back
    /// is now stopped for that.
    pub fn cancelled(&mut self, id: JobId) {
        self.replace_cause(id, StopCause::Cancelled);
        if let Some(row) = self.jobs.get_mut(&id) {
            row.cancelled = true;
        }
    }

    /// Deadlines that have passed by `now` are why victims that were to come
    /// back are now stopped.
    pub fn deadlines(&mut self, now: Instant) {
        let passed = |row: &JobRow| row.deadline().is_some_and(|at| at <= now);
        let late: Vec<_> =
            self.jobs.iter().filter(|(_, row)| passed(row)).map(|(id, _)| *id).collect();
        for id in late {
            self.replace_cause(id, StopCause::TimedOut(TimeBound::Deadline));
        }
    }

    fn replace_cause(&mut self, id: JobId, to: StopCause) {
        let Some(row) = self.jobs.get(&id) else { return };
        let comes_back = self.comes_back(row);
        if let JobPlace::Slot(run) = row.at {
            if let Some((cause @ StopCause::Evicted { .. }, _)) =
                self.runs.get_mut(&run).and_then(|run| run.stop.as_mut()).filter(|_| comes_back)
            {
                *cause = to;
            }
        }
    }

    /// Whether a victim goes back to the queue.
    #[must_use]
    pub fn comes_back(&self, row: &JobRow) -> bool {
        row.spec.on_evict.unwrap_or(self.policy.on_evict) == OnEvict::Requeue
    }

    /// The jobs in the queue.
    pub fn pending(&self) -> impl Iterator<Item = (JobId, &JobRow)> {
        self.jobs.iter().filter(|(_, row)| row.at == JobPlace::Pending).map(|(id, row)| (*id, row))
    }

    /// The place of a pending job among those that wait for a free slot.
    #[must_use]
    pub fn queue_key(&self, id: JobId, row: &JobRow) -> (i128, JobId) {
        let priority = i128::from(row.spec.priority.number());
        match self.policy.aging.map_or(0, |every| every.as_nanos() as i128) {
            0 => (priority, id),
            every => (priority * every + i128::from(row.submitted.as_nanos()), id),
        }
    }

    /// The runs that may be evicted.
    pub fn evictable(&self) -> impl Iterator<Item = &RunRow> {
        self.runs.values().filter(|run| run.stop.is_none() && !run.shielded)
    }

    /// Whether a job of this priority may evict a run of this level.
    #[must_use]
    pub fn outranks(&self, row: &JobRow, run: &RunRow) -> bool {
        let priority = i64::from(row.spec.priority.number());
        self.policy.preempt_delta.is_some_and(|by| priority + i64::from(by.get()) <= run.level)
    }

    /// The slot time of the runs that have not been reaped, by `now`.
    #[must_use]
    pub fn occupied_since(&self, now: Instant) -> Duration {
        self.runs.values().map(|run| now.since(run.began)).sum()
    }

    fn job(&mut self, id: JobId) -> Result<&mut JobRow, String> {
        self.jobs.get_mut(&id).ok_or_else(|| format!("{id} was never accepted"))
    }

    fn run(&mut self, id: RunId) -> Result<&mut RunRow, String> {
        self.runs.get_mut(&id).ok_or_else(|| format!("{id} has no slot"))
    }
}

impl JobRow {
    /// When it has to be over.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.spec.deadline.map(|whole| self.submitted + whole)
    }

    /// When it has waited too long; a job that had a slot never does.
    #[must_use]
    pub fn expires(&self) -> Option<Instant> {
        self.spec.expiry.filter(|_| self.runs == 0).map(|wait| self.submitted + wait)
    }
}
