//! Changes that go to the disk together.

use std::collections::BTreeMap;

use sched_core::JobId;
use sched_core::bus::{Persist, PersistOp};

/// What a record costs beyond its text.
const RECORD_COST: usize = 64;

/// Changes that are committed together. Of several changes of one record only
/// the last counts, so that a group never has more records than there are jobs.
#[derive(Debug, Default)]
pub(crate) struct Group {
    last: u64,
    ids: Option<String>,
    /// By job: its record, or that it is forgotten.
    jobs: BTreeMap<JobId, Option<String>>,
    bytes: usize,
}

impl Group {
    /// Adds a change, after those that it has.
    pub(crate) fn add(&mut self, Persist { seq, op }: Persist) {
        self.last = self.last.max(seq);
        match op {
            PersistOp::Put(job, record) => self.set(job, Some(record)),
            PersistOp::Forget(job) => self.set(job, None),
            PersistOp::Ids(record) => self.ids = Some(record),
        }
    }

    /// Adds the changes of a later group.
    pub(crate) fn absorb(&mut self, later: Self) {
        if self.is_empty() {
            *self = later;
            return;
        }
        self.last = self.last.max(later.last);
        self.ids = later.ids.or_else(|| self.ids.take());
        for (job, record) in later.jobs {
            self.set(job, record);
        }
    }

    fn set(&mut self, job: JobId, record: Option<String>) {
        self.bytes += cost(record.as_ref());
        if let Some(old) = self.jobs.insert(job, record) {
            self.bytes -= cost(old.as_ref());
        }
    }

    /// Whether it changes nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.jobs.is_empty() && self.ids.is_none()
    }

    /// How many records it changes.
    pub(crate) fn len(&self) -> usize {
        self.jobs.len() + usize::from(self.ids.is_some())
    }

    /// About how much memory it takes.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The number of its last change.
    pub(crate) const fn last(&self) -> u64 {
        self.last
    }

    /// The record of the ids, if that changes.
    pub(crate) fn ids(&self) -> Option<&str> {
        self.ids.as_deref()
    }

    /// The jobs that change, and their records; `None`: forgotten.
    pub(crate) fn jobs(&self) -> impl Iterator<Item = (JobId, Option<&str>)> {
        self.jobs.iter().map(|(job, record)| (*job, record.as_deref()))
    }
}

fn cost(record: Option<&String>) -> usize {
    RECORD_COST + record.map_or(0, String::len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sched_core::BinIndex;

    fn job(count: u64) -> JobId {
        JobId::new(BinIndex::default(), count)
    }

    fn put(seq: u64, count: u64, record: &str) -> Persist {
        Persist { seq, op: PersistOp::Put(job(count), record.to_owned()) }
    }

    #[test]
    fn the_last_change_of_a_record_counts() {
        let (mut earlier, mut later) = (Group::default(), Group::default());
        assert!(earlier.is_empty());
        earlier.add(put(1, 1, "a"));
        earlier.add(put(2, 2, "b"));
        earlier.add(Persist { seq: 3, op: PersistOp::Ids("x".to_owned()) });
        later.add(put(4, 1, "c"));
        later.add(Persist { seq: 5, op: PersistOp::Forget(job(2)) });
        earlier.absorb(later);
        assert_eq!((earlier.last(), earlier.ids()), (5, Some("x")));
        assert_eq!(earlier.jobs().collect::<Vec<_>>(), [(job(1), Some("c")), (job(2), None)]);
        assert_eq!(earlier.bytes(), 2 * RECORD_COST + 1);
    }
}
