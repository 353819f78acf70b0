//! What there is on a bus, as it says itself.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Failure;

/// What there is on a bus.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Snapshot {
    /// The last event that is contained in it.
    pub seq: u64,
    /// The first event that is still kept; 0 from a bus that does not say.
    pub oldest: u64,
    /// `accepting`, `paused` or `draining`.
    pub mode: String,
    /// The schedulers.
    pub schedulers: Vec<SchedulerLine>,
    /// What is assigned or runs.
    pub running: Vec<RunningJob>,
    /// What waits, in the order in which it will run; the first of them, if
    /// they are many.
    pub pending: Vec<PendingJob>,
    /// The last outcomes, as they were told.
    pub ended: Vec<Box<RawValue>>,
    /// What was counted.
    pub counters: Totals,
}

/// A scheduler of a bus.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SchedulerLine {
    /// What people call it.
    pub name: String,
    /// Its session.
    pub session: String,
    /// How many jobs it runs at once.
    pub slots: u32,
    /// How many it has.
    pub jobs: usize,
    /// Whether it is connected.
    pub connected: bool,
    /// `accepting`, `paused` or `draining`.
    pub mode: String,
}

/// A job that is assigned or runs.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RunningJob {
    /// The job.
    pub job: String,
    /// Its priority as submitted.
    pub priority: i32,
    /// `assigned` or `running`.
    pub state: String,
    /// The scheduler that has it.
    pub on: String,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// How long it has run, in milliseconds.
    pub ran_ms: u64,
    /// How often it has been evicted.
    pub evictions: u32,
}

/// A job that waits.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PendingJob {
    /// The job.
    pub job: String,
    /// Its priority as submitted.
    pub priority: i32,
    /// Which attempt comes next, from 1.
    pub attempt: u32,
    /// How long it has been there, in milliseconds.
    pub age_ms: u64,
    /// How often it has been evicted.
    pub evictions: u32,
    /// Why it does not run.
    pub why: String,
}

/// What was counted since the bus started.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Totals {
    /// Jobs that wait now.
    pub pending: u64,
    /// Jobs that are assigned or run now.
    pub running: u64,
    /// Slots of all schedulers that are connected.
    pub slots: u64,
    /// Runs that were evicted.
    pub evictions: u64,
    /// Time of runs that were not evicted, in milliseconds.
    pub useful_ms: u64,
    /// Time of runs that were, in milliseconds.
    pub wasted_ms: u64,
    /// Jobs that finished.
    pub finished: u64,
    /// Jobs that failed.
    pub failed: u64,
    /// Jobs that reached a limit on their time.
    pub timed_out: u64,
    /// Jobs whose outcome is that they were evicted.
    pub evicted: u64,
    /// Jobs that were cancelled.
    pub cancelled: u64,
    /// Jobs that waited too long.
    pub expired: u64,
    /// Jobs that could not be started.
    pub spawn_failed: u64,
    /// Jobs that lost too many leases.
    pub lost: u64,
}

impl Snapshot {
    /// Reads what a bus wrote.
    ///
    /// # Errors
    ///
    /// It is no snapshot.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        serde_json::from_str(text).map_err(|why| Failure::Nonsense(why.to_string()))
    }

    /// The event with which this job has ended, as it was told.
    #[must_use]
    pub fn ending_of(&self, job: &str) -> Option<&RawValue> {
        #[derive(Deserialize)]
        struct Head {
            job: String,
        }
        let is_it = |text: &RawValue| {
            serde_json::from_str::<Head>(text.get()).is_ok_and(|head| head.job == job)
        };
        self.ended.iter().map(|text| &**text).find(|text| is_it(text))
    }

    /// Whether this job waits or runs; `None`: there are more jobs than are
    /// named, and it may be one of them.
    #[must_use]
    pub fn is_alive(&self, job: &str) -> Option<bool> {
        let named = self.running.iter().any(|row| row.job == job)
            || self.pending.iter().any(|row| row.job == job);
        let all = self.running.len() as u64 >= self.counters.running
            && self.pending.len() as u64 >= self.counters.pending;
        if named || all { Some(named) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{"ev":"snapshot","re":3,"seq":9,"oldest":1,"mode":"accepting",
        "schedulers":[],"running":[{"job":"j2","priority":1,"state":"running","on":"g1",
        "attempt":1,"ran_ms":5,"evictions":0}],"pending":[{"job":"j3","priority":4,"attempt":1,
        "age_ms":7,"evictions":0,"why":"x"}],"ended":[{"seq":8,"job":"j1","state":"finished",
        "final":true}],"counters":{"pending":1,"running":1,"slots":1,"lost":0}}"#;

    #[test]
    fn where_a_job_is_can_be_told() {
        let mut snapshot = Snapshot::parse(TEXT).unwrap();
        let alive =
            |snapshot: &Snapshot| ["j1", "j2", "j3", "j4"].map(|job| snapshot.is_alive(job));
        assert_eq!(alive(&snapshot), [Some(false), Some(true), Some(true), Some(false)]);
        assert!(snapshot.ending_of("j1").unwrap().get().contains("finished"));
        assert!(snapshot.ending_of("j2").is_none());
        snapshot.counters.pending = 3000;
        assert_eq!(alive(&snapshot), [None, Some(true), Some(true), None]);
    }

    #[test]
    fn what_is_no_snapshot_is_an_error() {
        assert!(matches!(Snapshot::parse("[]"), Err(Failure::Nonsense(_)) | Ok(_)));
        assert!(matches!(Snapshot::parse("{"), Err(Failure::Nonsense(_))));
    }
}
