//! What is made of the records on disk after a restart.

use alloc::boxed::Box;
use alloc::vec::Vec;

use serde_json::value::RawValue;

use super::job::{Ending, Job, Lease, Phase};
use super::remote::Remote;
use super::store::{StoredIds, StoredJob, StoredPhase};
use super::story::Ended;
use super::{Exchange, ExchangeConfig, RestoreError};
use crate::id::{JobId, LeaseId, SessionId};
use crate::priority::Priority;
use crate::time::Instant;

impl Exchange {
    /// An exchange with what was on disk: the record of the ids, if there was
    /// one, and those of the jobs, in any order.
    ///
    /// Leases go on: a scheduler that comes back with its session within the
    /// time of a lease keeps what it has.
    ///
    /// # Errors
    ///
    /// A record cannot be read. Nothing may be started without it: some job
    /// would be lost, or run twice.
    pub fn restore<'a>(
        now: Instant,
        config: ExchangeConfig,
        ids: Option<&str>,
        records: impl IntoIterator<Item = (JobId, &'a str)>,
    ) -> Result<Self, RestoreError> {
        let mut exchange = Self::new(config);
        exchange.now = now;
        if let Some(text) = ids {
            let ids: StoredIds =
                serde_json::from_str(text).map_err(|error| RestoreError::new(None, &error))?;
            exchange.ids = ids;
            exchange.ids_stored = ids;
            (exchange.first_session, exchange.safe_sessions) = (0, ids.session);
            exchange.story.seq = ids.seq;
        }
        let mut ended = Vec::new();
        for (id, text) in records {
            let stored: StoredJob<'_> =
                serde_json::from_str(text).map_err(|error| RestoreError::new(Some(id), &error))?;
            exchange.ids.job = exchange.ids.job.max(id.count());
            exchange.take_back(now, id, stored, &mut ended)?;
        }
        ended.sort_unstable_by_key(|(at, id, _)| (*at, *id));
        for (_, id, change) in ended {
            exchange.ended.push_back((id, Ended::Told(change)));
        }
        exchange.forget_outcomes();
        exchange.key_ends.make_contiguous().sort_unstable();
        exchange.find_evictions();
        exchange.reserve_ids();
        Ok(exchange)
    }

    /// A scheduler that has more than its slots was asked to evict for what it
    /// was given last.
    fn find_evictions(&mut self) {
        let remotes: Vec<u32> = self.remotes.handles().collect();
        for remote in remotes {
            let Some(it) = self.remotes.get_mut(remote).filter(|it| it.is_over_full()) else {
                continue;
            };
            let waits = |handle: u32| {
                let lease = self.jobs.get(handle).and_then(Job::lease);
                lease.is_some_and(|lease| lease.started.is_none())
            };
            let newest = it.leases.iter().rev().find(|(_, handle)| waits(**handle));
            if let Some((lease, handle)) = newest.map(|(lease, handle)| (*lease, *handle)) {
                it.evicting = Some(lease);
                it.victims.remove(handle);
            }
        }
    }

    fn take_back(
        &mut self,
        now: Instant,
        id: JobId,
        stored: StoredJob<'_>,
        ended: &mut Vec<(u64, JobId, Box<RawValue>)>,
    ) -> Result<(), RestoreError> {
        let missing = |what| RestoreError::without(id, what);
        let submitted = stored.submitted.map(Instant::from_nanos);
        if let Some(key) = &stored.opts.key {
            let end =
                submitted.ok_or_else(|| missing("time of submission"))? + self.config.key_window;
            if end > now {
                self.add_key(key, id, end);
            }
        }
        if let StoredPhase::Ended { change, at } = stored.phase {
            ended.push((at, id, change));
            return Ok(());
        }
        let payload = stored.payload.ok_or_else(|| missing("payload"))?.into_owned();
        let priority = Priority::new(stored.priority.ok_or_else(|| missing("priority"))?);
        let submitted = submitted.ok_or_else(|| missing("time of submission"))?;
        let owner = stored.owner.map(SessionId::new);
        let mut job = Job::new(id, payload, priority, stored.opts, owner, submitted);
        job.attempt = stored.attempt;
        (job.starts, job.evictions, job.lost) = (stored.starts, stored.evictions, stored.lost);
        match stored.phase {
            StoredPhase::Ended { .. } => {}
            StoredPhase::Pending => {
                let handle = self.add_job(job);
                self.enqueue(handle);
            }
            StoredPhase::BackingOff { until } => {
                job.phase = Phase::BackingOff { until: Instant::from_nanos(until) };
                let handle = self.add_job(job);
                self.backing_off += 1;
                self.waiting.add(priority);
                self.arm(handle);
            }
            StoredPhase::Leased {
                lease,
                session,
                name,
                slots,
                level,
                started,
                cancelled,
                expired,
            } => {
                let handle = self.add_job(job);
                self.ids.lease = self.ids.lease.max(lease);
                self.ids.session = self.ids.session.max(session);
                let session = SessionId::new(session);
                let remote = self.remotes.handle(session).unwrap_or_else(|| {
                    self.remotes.insert(session, || Remote::new(session, name.into(), slots, now))
                });
                // A deadline that has come comes again.
                let expired = expired.then_some(Ending::Expired);
                let ending = cancelled.then_some(Ending::Cancelled).or(expired);
                let lease = Lease {
                    expires: Some(now + self.config.lease),
                    started: started.map(Instant::from_nanos),
                    ending,
                    ..Lease::new(LeaseId::new(lease), remote, level)
                };
                self.take_lease_back(handle, lease);
            }
        }
        Ok(())
    }

    fn take_lease_back(&mut self, handle: u32, lease: Lease) {
        let (id, remote, level) = (lease.id, lease.remote, lease.level);
        let spared = lease.ending.is_some();
        self.leases.insert(id, handle);
        let Some(job) = self.jobs.get_mut(handle) else { return };
        job.phase = Phase::Leased(Box::new(lease));
        let spared = spared || job.is_shielded(&self.config);
        if let Some(it) = self.remotes.get_mut(remote) {
            it.leases.insert(id, handle);
            if !spared {
                it.victims.insert(handle, core::cmp::Reverse((level, id)));
            }
        }
        self.arm(handle);
    }
}
