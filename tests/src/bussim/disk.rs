//! A disk that commits in groups, and fails for a while.

use std::collections::BTreeMap;

use fastrand::Rng;
use sched_core::bus::{Persist, PersistOp};
use sched_core::{Duration, Instant, JobId};

/// What is on disk, and what is on its way there.
#[derive(Debug)]
pub struct Disk {
    /// The record of the ids.
    pub ids: Option<String>,
    /// The records of jobs.
    pub jobs: BTreeMap<JobId, String>,
    waiting: Vec<Persist>,
    /// What is being committed, and when that is over.
    group: Option<(Instant, Vec<Persist>)>,
    fails_until: Instant,
    /// Whether it always takes long.
    slow: bool,
    dice: Rng,
}

/// How a commit ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Commit {
    /// Everything up to this number is there.
    Done(u64),
    /// It is to be tried again.
    Failed,
}

impl Disk {
    /// An empty one.
    #[must_use]
    pub const fn new(slow: bool, dice: Rng) -> Self {
        Self {
            ids: None,
            jobs: BTreeMap::new(),
            waiting: Vec::new(),
            group: None,
            fails_until: Instant::ZERO,
            slow,
            dice,
        }
    }

    /// It fails until then.
    pub fn fail(&mut self, until: Instant) {
        self.fails_until = self.fails_until.max(until);
    }

    /// It fails no more.
    pub const fn heal(&mut self) {
        self.fails_until = Instant::ZERO;
    }

    /// Takes something to be written.
    pub fn write(&mut self, now: Instant, write: Persist) {
        self.waiting.push(write);
        self.begin(now);
    }

    /// When the commit that is under way is over.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.group.as_ref().map(|(at, _)| *at)
    }

    /// The commit that is under way is over.
    pub fn finish(&mut self, now: Instant) -> Option<Commit> {
        let (_, group) = self.group.take()?;
        let last = group.last()?.seq;
        let commit = if now < self.fails_until {
            self.waiting.splice(0..0, group);
            Commit::Failed
        } else {
            self.apply(group);
            Commit::Done(last)
        };
        self.begin(now);
        Some(commit)
    }

    /// The power is gone: what was being committed is there, or is not.
    pub fn crash(&mut self) {
        self.waiting.clear();
        if let Some((_, group)) = self.group.take().filter(|_| self.dice.bool()) {
            self.apply(group);
        }
    }

    fn begin(&mut self, now: Instant) {
        if self.group.is_none() && !self.waiting.is_empty() {
            let long = self.slow || self.dice.u8(0..20) == 0;
            let most = if long { 1200 } else { 15 };
            let takes = Duration::from_millis(self.dice.u64(1..most));
            self.group = Some((now + takes, core::mem::take(&mut self.waiting)));
        }
    }

    fn apply(&mut self, group: Vec<Persist>) {
        for write in group {
            match write.op {
                PersistOp::Put(job, record) => drop(self.jobs.insert(job, record)),
                PersistOp::Forget(job) => drop(self.jobs.remove(&job)),
                PersistOp::Ids(record) => self.ids = Some(record),
            }
        }
    }
}
