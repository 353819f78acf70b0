//! What there is, told to who watches.

use alloc::borrow::ToOwned;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde_json::value::RawValue;

use super::job::{Job, Lease, Phase};
use super::remote::Remote;
use super::story::rfc3339;
use super::why::Reasons;
use super::{About, Asked, Exchange};
use crate::bus::label::label;
use crate::bus::v1::{
    PendingRow, Quantiles, Reply, RunningRow, SchedulerRow, Snapshot, StoppingRow, View, WireState,
};
use crate::id::{ClientId, SessionId};

/// How many running jobs a snapshot names.
const MOST_RUNNING: usize = 2000;

impl Exchange {
    pub(super) fn send_snapshot(&mut self, client: ClientId, re: Option<&RawValue>, view: View) {
        let reasons = Reasons::new(self);
        let quantile = |share| self.waits.quantile_ms(share);
        let ended = self.ended.iter().filter(|_| view.outcomes);
        let snapshot = Snapshot {
            re,
            seq: self.story.seq,
            oldest: self.story.first(),
            at: rfc3339(self.now),
            mode: self.mode.name(),
            schedulers: self.scheduler_rows(),
            running: self.running_rows(&reasons),
            from: view.from,
            pending: self.pending_rows(&reasons, view),
            ended: ended.filter_map(|(_, outcome)| outcome.told()).collect(),
            counters: self.counters(),
            wait_ms: Quantiles { p50: quantile(0.5), p99: quantile(0.99) },
        };
        if let Ok(frame) = serde_json::to_string(&Reply::Snapshot(snapshot)) {
            let asked = Asked { re: re.map(ToOwned::to_owned), view };
            self.send_frame(About::All(asked), client, frame.into());
        }
    }

    fn scheduler_rows(&self) -> Vec<SchedulerRow> {
        let remotes = self.remotes.handles().filter_map(|handle| self.remotes.get(handle));
        let row = |it: &Remote| SchedulerRow {
            name: it.name.to_string(),
            session: it.session.to_string(),
            slots: it.slots,
            jobs: it.leases.len(),
            connected: it.client.is_some(),
            mode: it.mode.name(),
        };
        remotes.map(row).collect()
    }

    fn running_rows(&self, reasons: &Reasons<'_>) -> Vec<RunningRow> {
        let held = self.leases.values().take(MOST_RUNNING);
        let jobs = held.filter_map(|handle| self.jobs.get(*handle));
        jobs.filter_map(|job| self.running_row(job, job.lease()?, reasons)).collect()
    }

    fn running_row(&self, job: &Job, lease: &Lease, reasons: &Reasons<'_>) -> Option<RunningRow> {
        let started = lease.started;
        let stopping = lease.stopping.as_ref().map(|stop| StoppingRow {
            by: stop.by.map(|by| by.to_string()),
            grace_ms: stop.killed.since(self.now).as_millis() as u64,
        });
        Some(RunningRow {
            job: job.id.to_string(),
            priority: job.priority.number(),
            state: if started.is_some() { WireState::Running } else { WireState::Assigned },
            on: self.name_of(lease.remote).map_or_else(String::new, |name| name.to_string()),
            attempt: job.attempt,
            ran_ms: started.map_or(0, |started| (self.now - started).as_millis() as u64),
            age_ms: (self.now - job.submitted).as_millis() as u64,
            evictions: job.evictions,
            what: label(job.payload.get()),
            slot: lease.slot,
            why: started.is_none().then(|| reasons.not_started(job.id, lease)),
            stopping,
        })
    }

    fn pending_rows(&self, reasons: &Reasons<'_>, view: View) -> Vec<PendingRow> {
        let end = view.from.saturating_add(view.rows).min(View::MOST_ROWS);
        let order = self.first_to_run(end);
        let jobs = order.into_iter().filter_map(|handle| self.jobs.get(handle));
        let mut ahead = None;
        let row = |job: &Job, why: String| PendingRow {
            job: job.id.to_string(),
            priority: job.priority.number(),
            attempt: job.attempt,
            age_ms: (self.now - job.submitted).as_millis() as u64,
            evictions: job.evictions,
            what: label(job.payload.get()),
            why,
        };
        let mut rows = Vec::new();
        for (place, job) in jobs.enumerate() {
            let before = ahead.replace(job.id);
            if place >= view.from {
                rows.push(row(job, reasons.waits(job, before)));
            }
        }
        rows
    }

    /// The first jobs that wait, in the order in which they will run. Those
    /// that nobody accepts who is connected come last, but for those that may
    /// not run yet.
    fn first_to_run(&self, most: usize) -> Vec<u32> {
        let mut order = self.first_of_kinds(most, true);
        order.extend(self.first_of_kinds(most - order.len(), false));
        if order.len() < most && self.backing_off > 0 {
            let until = |handle: u32| match self.jobs.get(handle)?.phase {
                Phase::BackingOff { until } => Some((until, handle)),
                _ => None,
            };
            let mut later: Vec<_> = self.jobs.handles().filter_map(until).collect();
            later.sort_unstable();
            order.extend(later.into_iter().map(|(_, handle)| handle).take(most - order.len()));
        }
        order
    }

    /// The first in queue order of those whom somebody accepts who is connected,
    /// or of the others.
    fn first_of_kinds(&self, most: usize, accepted: bool) -> Vec<u32> {
        let connected = || self.remotes.records().filter(|it| it.client.is_some());
        let accepts = |declined: &[SessionId]| {
            declined.is_empty() || connected().any(|it| !declined.contains(&it.session))
        };
        let kinds = self.pending.kinds().filter(|(declined, _)| accepts(declined) == accepted);
        let mut firsts: Vec<_> = kinds.map(|(_, queue)| queue.first_in_order(most)).collect();
        if firsts.len() == 1 {
            return firsts.swap_remove(0);
        }
        let mut order = firsts.concat();
        order.sort_by_cached_key(|handle| self.queue_order(*handle));
        order.truncate(most);
        order
    }
}
