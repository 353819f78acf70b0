//! What is derived from jobs and schedulers: timers, the queue, who has room.

use core::cmp::Reverse;

use super::job::Phase;
use super::{Exchange, PersistOp};
use crate::id::JobId;
use crate::time::Instant;

impl Exchange {
    pub(super) fn fire_timers(&mut self, now: Instant) {
        while self.key_ends.front().is_some_and(|(end, ..)| *end <= now) {
            if let Some((_, job, key)) = self.key_ends.pop_front() {
                self.end_key(job, &key);
            }
        }
        while let Some((&(due, _), handle)) = self.timers.peek() {
            if due > now {
                break;
            }
            self.timers.remove(handle);
            self.fire(now, due, handle);
        }
    }

    /// A key stands for this job no longer.
    pub(super) fn end_key(&mut self, job: JobId, key: &str) {
        if self.keys.get(key) == Some(&job) {
            self.keys.remove(key);
        }
        if self.keyed.remove(&job) == Some(true) {
            self.persist(PersistOp::Forget(job));
        }
    }

    /// Sets the timer of a job to the next thing that is due about it.
    pub(super) fn arm(&mut self, handle: u32) {
        let Some(job) = self.jobs.get(handle) else {
            return;
        };
        match job.due() {
            Some(due) => self.timers.insert(handle, (due, job.id)),
            None => {
                self.timers.remove(handle);
            }
        }
    }

    /// How many jobs wait.
    pub(super) fn waiting(&self) -> usize {
        self.pending.len() + self.backing_off
    }

    /// A job waits for a slot from now on.
    pub(super) fn enqueue(&mut self, handle: u32) {
        if let Some(job) = self.jobs.get_mut(handle) {
            self.waiting.add(job.priority);
            job.phase = Phase::Pending;
            self.pending.insert(handle, job.place(&self.config), job.declined());
            self.arm(handle);
        }
    }

    /// Takes a job out of wherever it waits.
    pub(super) fn dequeue(&mut self, handle: u32) {
        let before = self.waiting();
        let Some(job) = self.jobs.get(handle) else { return };
        self.pending.remove(job.place(&self.config), job.declined());
        if matches!(job.phase, Phase::BackingOff { .. }) {
            self.backing_off -= 1;
        }
        let priority = job.priority;
        if self.waiting() < before {
            self.waiting.remove(priority);
        }
    }

    /// Brings what is derived from a scheduler up to date.
    pub(super) fn refresh(&mut self, remote: u32) {
        let Some(it) = self.remotes.get(remote) else {
            self.roomy.remove(remote);
            self.victims.remove(remote);
            return;
        };
        match it.room() {
            0 => {
                self.roomy.remove(remote);
            }
            room => self.roomy.insert(remote, (Reverse(room), it.session)),
        }
        match it.victim() {
            None => {
                self.victims.remove(remote);
            }
            Some(victim) => self.victims.insert(remote, Reverse(victim)),
        }
    }
}
