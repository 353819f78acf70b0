//! Pending jobs that nobody wants who could run them now.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crate::id::SessionId;

/// Jobs that are kept out of the queue, so that they do not hold up others: all
/// schedulers that have room for them, or a run to evict, have declined them.
///
/// They are put aside by who declined them, and come back when another
/// scheduler has something to offer. So thousands of jobs that no scheduler
/// accepts cost nothing while the others go on.
#[derive(Debug, Default)]
pub(super) struct Parked {
    groups: BTreeMap<Vec<SessionId>, BTreeSet<u32>>,
    len: usize,
    /// Who has had something to offer since the last look.
    offers: BTreeSet<SessionId>,
}

impl Parked {
    pub(super) fn insert(&mut self, handle: u32, declined: &[SessionId]) {
        self.len += usize::from(self.groups.entry(group(declined)).or_default().insert(handle));
    }

    /// Takes a job out, if it is here.
    pub(super) fn remove(&mut self, handle: u32, declined: &[SessionId]) {
        if self.len == 0 || declined.is_empty() {
            return;
        }
        let key = group(declined);
        if let Some(jobs) = self.groups.get_mut(&key) {
            self.len -= usize::from(jobs.remove(&handle));
            if jobs.is_empty() {
                self.groups.remove(&key);
            }
        }
    }

    /// This scheduler has room, or a run to evict, that it may not have had.
    pub(super) fn offer(&mut self, by: SessionId) {
        self.offers.insert(by);
    }

    /// This scheduler is gone.
    pub(super) fn withdraw(&mut self, offer: SessionId) {
        self.offers.remove(&offer);
    }

    /// Takes out the jobs that somebody may want now.
    pub(super) fn wanted(&mut self) -> Vec<u32> {
        let offers = core::mem::take(&mut self.offers);
        let wanted = |declined: &[SessionId]| offers.iter().any(|by| !declined.contains(by));
        let keys: Vec<_> = self.groups.keys().filter(|key| wanted(key)).cloned().collect();
        let jobs: Vec<u32> =
            keys.iter().filter_map(|key| self.groups.remove(key)).flatten().collect();
        self.len -= jobs.len();
        jobs
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) fn contains(&self, handle: u32) -> bool {
        self.iter().any(|parked| parked == handle)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.groups.values().flatten().copied()
    }
}

fn group(declined: &[SessionId]) -> Vec<SessionId> {
    let mut group = declined.to_vec();
    group.sort_unstable();
    group
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_come_back_for_who_has_not_declined_them() {
        let session = SessionId::new;
        let mut parked = Parked::default();
        parked.insert(1, &[session(1), session(2)]);
        parked.insert(2, &[session(2), session(1)]);
        parked.insert(3, &[session(1)]);
        parked.offer(session(1));
        assert_eq!(parked.wanted(), [0; 0]);
        parked.offer(session(2));
        assert_eq!(parked.wanted(), [3]);
        assert_eq!(parked.wanted(), [0; 0]);
        parked.remove(1, &[session(1), session(2)]);
        parked.remove(9, &[session(1), session(2)]);
        assert_eq!((parked.len(), parked.contains(1), parked.contains(2)), (1, false, true));
        parked.offer(session(3));
        assert_eq!((parked.wanted(), parked.len()), ([2].into(), 0));
    }
}
