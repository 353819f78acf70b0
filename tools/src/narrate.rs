//! Events and summaries in words.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use sched_core::{
    Event, EventKind, JobId, JobTally, Outcome, OutcomeKind, Priority, Requeue, SpawnFailureKind,
};
use sched_runtime_smol::scheduler::Summary;

/// Tells the story of a scheduler, an event at a time.
///
/// It keeps count of what runs and what waits, from the events alone.
#[derive(Debug)]
pub struct Narrator {
    slots: usize,
    running: usize,
    waiting: usize,
    priorities: BTreeMap<JobId, Priority>,
}

/// How loud a line is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Loudness {
    /// Something did not go as its owner wished.
    Warning,
    /// What a person who watches wants to know.
    Normal,
    /// What helps to understand the rest.
    Detail,
}

impl Narrator {
    /// For a scheduler with this many slots that has done nothing yet.
    #[must_use]
    pub const fn new(slots: usize) -> Self {
        Self { slots, running: 0, waiting: 0, priorities: BTreeMap::new() }
    }

    /// What happened, in a line; `None`: nothing worth one.
    pub fn tell(&mut self, event: &Event) -> Option<(Loudness, String)> {
        use Loudness::{Detail, Normal, Warning};
        let line = match &event.kind {
            EventKind::Accepted { job, priority } => return self.accepted(*job, *priority),
            EventKind::Starting { run, waited } => {
                self.waiting = self.waiting.saturating_sub(1);
                self.running += 1;
                let (job, slot, wait) = (self.name(run.job), run.slot.number(), secs(*waited));
                let again = if run.attempt > 1 { ", again" } else { "" };
                (Normal, format!("{job} starts in slot {slot} after a wait of {wait}{again}"))
            }
            EventKind::Started { run, job } => (Detail, format!("{job} has a process ({run})")),
            EventKind::SpawnFailed { job, why, .. } => {
                self.running = self.running.saturating_sub(1);
                if why.kind == SpawnFailureKind::Stopped {
                    return Some((Detail, format!("{job} left its slot: {why}")));
                }
                (Warning, format!("{} could not be started: {why}", self.name(*job)))
            }
            EventKind::Stopping { job, cause, .. } => {
                (Normal, format!("{} is stopped: {cause}", self.name(*job)))
            }
            EventKind::Killing { job, .. } => {
                let job = self.name(*job);
                (Warning, format!("{job} has not ended by now and is killed"))
            }
            EventKind::Exited { job, status, ran, .. } => {
                self.running = self.running.saturating_sub(1);
                (Detail, format!("{job} left its slot: {status} after {}", secs(*ran)))
            }
            EventKind::Requeued { job, why } => {
                self.waiting += usize::from(!matches!(why, Requeue::Retry { .. }));
                (Normal, format!("{} {}", self.name(*job), came_back(why, event)))
            }
            EventKind::RetryDue { job } => {
                self.waiting += 1;
                (Detail, format!("{job} waits for its next attempt"))
            }
            EventKind::Ended { job, outcome, tally } => {
                return Some(self.ended(*job, outcome, tally));
            }
            EventKind::SpawningPaused { until } => {
                let wait = secs(*until - event.at);
                (Warning, format!("this machine is exhausted; nothing is started for {wait}"))
            }
            EventKind::SpawningResumed => (Normal, "starting is tried again".into()),
            EventKind::Paused => (Normal, "paused: nothing new is started".into()),
            EventKind::Draining => (Normal, "draining: finishing what runs".into()),
            EventKind::Drained => (Normal, "drained".into()),
            EventKind::Resumed => (Normal, "resumed".into()),
            EventKind::ShuttingDown => (Normal, format!("ending {} that run", self.running)),
            EventKind::Stopped => (Detail, "everything has ended".into()),
        };
        Some(line)
    }

    fn accepted(&mut self, job: JobId, priority: Priority) -> Option<(Loudness, String)> {
        self.priorities.insert(job, priority);
        let starts_at_once = self.waiting == 0 && self.running < self.slots;
        self.waiting += 1;
        (!starts_at_once).then(|| {
            let (name, waiting) = (self.name(job), self.waiting);
            (Loudness::Normal, format!("{name} is queued; {waiting} waiting"))
        })
    }

    fn ended(&mut self, job: JobId, outcome: &Outcome, tally: &JobTally) -> (Loudness, String) {
        if matches!(outcome, Outcome::Expired | Outcome::Cancelled { exit: None }) {
            self.waiting = self.waiting.saturating_sub(1);
        }
        let name = self.name(job);
        self.priorities.remove(&job);
        let loudness = match outcome {
            Outcome::Failed(_) | Outcome::SpawnFailed(_) | Outcome::Lost => Loudness::Warning,
            _ => Loudness::Normal,
        };
        let (waited, ran) = (secs(tally.waited), secs(tally.ran));
        (loudness, format!("{name} {outcome}: waited {waited}, ran {ran}"))
    }

    fn name(&self, job: JobId) -> String {
        match self.priorities.get(&job) {
            Some(priority) => format!("{job} (priority {priority})"),
            None => job.to_string(),
        }
    }
}

fn came_back(why: &Requeue, event: &Event) -> String {
    match why {
        Requeue::Evicted { by, evictions } => {
            format!("is back in the queue, evicted for {by} ({evictions} so far)")
        }
        Requeue::Exhausted => "is back in the queue".into(),
        Requeue::Retry { at, failed } => {
            format!("failed at attempt {failed}; the next is in {}", secs(*at - event.at))
        }
    }
}

/// A duration for people: seconds and milliseconds.
#[must_use]
pub fn secs(duration: Duration) -> String {
    format!("{:.3} s", duration.as_secs_f64())
}

/// A [`Summary`] for people.
#[derive(Debug)]
pub struct InWords<'a>(pub &'a Summary);

impl fmt::Display for InWords<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Summary { stats, elapsed, slots } = self.0;
        writeln!(f, "{} jobs in {} on {slots} slots", stats.accepted, secs(*elapsed))?;
        for kind in OutcomeKind::ALL {
            match stats.ended(kind) {
                0 => {}
                count => writeln!(f, "  {kind:<14} {count}")?,
            }
        }
        if stats.refused > 0 {
            writeln!(f, "  {:<14} {}", "refused", stats.refused)?;
        }
        write!(f, "  {:<14} {}", "evictions", stats.evictions)?;
        let capacity = elapsed.as_secs_f64() * (*slots as f64);
        for (name, time) in [("useful time", stats.useful), ("wasted time", stats.wasted)] {
            let share = 100.0 * time.as_secs_f64() / capacity.max(f64::MIN_POSITIVE);
            write!(f, "\n  {name:<14} {} ({share:.1} % of the slots)", secs(time))?;
        }
        Ok(())
    }
}
