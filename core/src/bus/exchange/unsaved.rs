//! Jobs that are not on disk yet.
//!
//! A job goes through the queue, and may be given to a scheduler, while its
//! record is on its way to the disk: what follows from that waits for the disk
//! as well, and both take one commit and not two. Nobody hears of any of it
//! before; so all of it can be undone if the disk does not take the job.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::vec::Vec;

use super::{About, Asked, Exchange, JobId, PersistOp};
use crate::bus::v1::ErrorCode;
use crate::id::ClientId;

/// The snapshots that have to be made anew.
type Anew = BTreeMap<ClientId, Vec<Asked>>;

impl Exchange {
    /// A job is where it must be before it is accepted.
    pub(super) fn saved(&mut self, handle: u32, id: JobId) {
        if !self.is_unsaved(handle, id) {
            return;
        }
        if let Some(job) = self.jobs.get_mut(handle) {
            job.accepted = true;
        }
        self.counters.accepted += 1;
        self.arm(handle);
    }

    /// The disk did not take what is not there yet: whoever submitted it is told
    /// so, and nobody anything else.
    pub(super) fn refuse_unsaved(&mut self, why: &str) {
        let mut unsaved = core::mem::take(&mut self.unsaved);
        // A job may be there that was submitted again meanwhile.
        unsaved.retain(|it| self.is_unsaved(it.handle, it.job));
        if unsaved.is_empty() {
            return;
        }
        let jobs = unsaved.iter().map(|it| it.job).collect();
        let anew = self.unsay(&jobs);
        let message = format!("the bus cannot write to its disk: {why}; try again later");
        for it in unsaved {
            self.not_saved(it.handle, it.job);
            self.answer_refusal(it.client, it.re.as_deref(), ErrorCode::Storage, &message);
        }
        for (client, asked) in anew {
            for Asked { re, view } in asked {
                self.send_snapshot(client, re.as_deref(), view);
                self.skip_missed(client);
            }
        }
    }

    fn is_unsaved(&self, handle: u32, id: JobId) -> bool {
        self.jobs.get(handle).is_some_and(|job| job.id == id && !job.accepted)
    }

    /// Takes back what would be told of these jobs.
    fn unsay(&mut self, jobs: &BTreeSet<JobId>) -> Anew {
        self.story.forget(jobs);
        let (mut anew, persisted) = (Anew::new(), self.persisted);
        self.out.retain(|out| match &out.about {
            _ if out.after <= persisted => true,
            About::Else => true,
            About::Job(job) => !jobs.contains(job),
            // A new snapshot contains what came after the old one.
            About::Event(job) => !jobs.contains(job) && !anew.contains_key(&out.to),
            About::All(asked) => {
                anew.entry(out.to).or_default().push(asked.clone());
                false
            }
        });
        anew
    }

    /// A job could not be put on disk: it was never accepted.
    fn not_saved(&mut self, handle: u32, id: JobId) {
        if !self.is_unsaved(handle, id) {
            return;
        }
        if let Some(lease) = self.take_lease(handle) {
            self.drop_if_gone(lease.remote);
        }
        self.dequeue(handle);
        let Some(job) = self.forget(handle) else { return };
        if let Some(key) = &job.opts().key {
            self.end_key(id, key);
        }
        self.persist(PersistOp::Forget(id));
        self.counters.refused += 1;
    }
}
