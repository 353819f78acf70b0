//! Pending jobs, in kinds: by who has declined them.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::iter::once;

use crate::id::SessionId;
use crate::queue::{Place, Queue};

/// The jobs that wait for a slot.
///
/// What the same schedulers have declined may go to the same others; that is a
/// *kind* of jobs, and has a queue of its own. So a decision looks at the first
/// of each kind and at no job behind it: thousands of jobs that no scheduler
/// accepts cost nothing while the others go on. Nearly all jobs are of the kind
/// that nobody has declined, and there are no more kinds than sets of
/// schedulers.
#[derive(Debug)]
pub(super) struct Pending {
    /// What nobody has declined.
    welcome: Queue,
    /// What these have declined, who are listed in order. None is empty.
    declined: BTreeMap<Vec<SessionId>, Queue>,
    declined_len: usize,
}

impl Pending {
    pub(super) const fn new() -> Self {
        Self { welcome: Queue::new(), declined: BTreeMap::new(), declined_len: 0 }
    }

    pub(super) fn insert(&mut self, handle: u32, place: Place, declined: &[SessionId]) {
        if declined.is_empty() {
            return self.welcome.insert(handle, place);
        }
        let queue = self.declined.entry(declined.to_vec()).or_insert_with(Queue::new);
        let before = queue.len();
        queue.insert(handle, place);
        self.declined_len += queue.len() - before;
    }

    /// Takes a job out, if it is here.
    pub(super) fn remove(&mut self, place: Place, declined: &[SessionId]) {
        if declined.is_empty() {
            return self.welcome.remove(place);
        }
        let Some(queue) = self.declined.get_mut(declined) else { return };
        let before = queue.len();
        queue.remove(place);
        self.declined_len -= before - queue.len();
        if queue.len() == 0 {
            self.declined.remove(declined);
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.welcome.len() + self.declined_len
    }

    /// Every kind: who has declined its jobs, and these in their order.
    pub(super) fn kinds(&self) -> impl Iterator<Item = (&[SessionId], &Queue)> {
        let declined = self.declined.iter().map(|(by, queue)| (by.as_slice(), queue));
        once((&[][..], &self.welcome)).chain(declined)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{BinIndex, JobId};
    use crate::priority::Priority;
    use crate::time::Instant;

    #[test]
    fn jobs_are_kept_by_who_has_declined_them() {
        let place = |job| {
            let job = JobId::new(BinIndex::default(), job);
            Place::new(job, Priority::new(5), Instant::ZERO, None)
        };
        let (one, two) = (SessionId::new(1), SessionId::new(2));
        let mut pending = Pending::new();
        for (job, declined) in [(4, &[][..]), (3, &[one, two]), (2, &[one]), (1, &[one, two])] {
            pending.insert(job, place(job.into()), declined);
        }
        pending.remove(place(4), &[one]);
        pending.remove(place(2), &[two]);
        let kinds = |pending: &Pending| {
            let kinds = pending.kinds().map(|(by, queue)| (by.len(), queue.in_order()));
            kinds.collect::<Vec<_>>()
        };
        assert_eq!((pending.len(), kinds(&pending)[2].clone()), (4, (2, [1, 3].into())));
        pending.remove(place(1), &[one, two]);
        pending.remove(place(2), &[one]);
        let left = [(0, [4].into()), (2, [3].into())];
        assert_eq!((pending.len(), &kinds(&pending)[..]), (2, &left[..]));
    }
}
