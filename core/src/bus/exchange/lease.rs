//! What schedulers say about the jobs they have.

use alloc::borrow::ToOwned;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde_json::value::RawValue;

use super::Exchange;
use super::job::{Lease, Phase, Stop};
use super::story::Details;
use crate::bus::v1::{ErrorCode, Reply, Report, ReportState, Stopping, WireState};
use crate::id::{ClientId, JobId, LeaseId};
use crate::policy::OnEvict;
use crate::time::{Duration, Instant};

/// A grace period that is said to be longer ends after this time: a year.
const LONGEST_GRACE_MS: u64 = 365 * 24 * 60 * 60 * 1000;

impl Exchange {
    /// A scheduler lives, and holds these leases.
    pub fn beat(
        &mut self,
        now: Instant,
        client: ClientId,
        leases: &[LeaseId],
        floor: Option<Option<i32>>,
    ) {
        let now = self.begin(now);
        let Some(remote) = self.remote_of(client) else {
            self.refuse(client, None, ErrorCode::BadParams, "only a scheduler sends beats");
            return self.finish(now);
        };
        self.heard(now, remote);
        let mut revoked = Vec::new();
        for lease in leases {
            if !self.renew(now, remote, *lease) {
                revoked.push(lease.number());
            }
        }
        if let Some(it) = self.remotes.get_mut(remote) {
            it.gives_back = false;
            it.spares_all = floor.map_or(it.spares_all, |floor| floor.is_none());
            self.refresh(remote);
        }
        self.send_now(client, &Reply::Beat { revoked });
        self.finish(now);
    }

    /// What became of a job that was assigned.
    pub fn report(
        &mut self,
        now: Instant,
        client: ClientId,
        re: Option<&RawValue>,
        report: &Report<'_>,
    ) {
        let now = self.begin(now);
        if let Some(remote) = self.remote_of(client) {
            self.heard(now, remote);
        }
        match self.leased_to(client, report.job, report.lease) {
            None => {
                self.counters.stale_reports += 1;
                let message = "the lease has ended; the report changed nothing";
                self.refuse_for_good(client, re, ErrorCode::StaleLease, message);
            }
            Some(handle) => {
                self.take_report(now, handle, report);
                self.send(client, &Reply::Ok { re });
            }
        }
        self.finish(now);
    }

    /// A scheduler has said something, and so may be given jobs.
    pub(super) fn heard(&mut self, now: Instant, remote: u32) {
        let Some(it) = self.remotes.get_mut(remote) else { return };
        it.heard = now;
        if core::mem::take(&mut it.silent) {
            self.refresh(remote);
        }
    }

    fn renew(&mut self, now: Instant, remote: u32, lease: LeaseId) -> bool {
        let Some(handle) = self.leases.get(&lease).copied() else { return false };
        let expires = now + self.config.lease;
        let held = self.jobs.get_mut(handle).and_then(|job| job.lease_mut());
        match held.filter(|held| held.remote == remote) {
            None => false,
            Some(held) => {
                held.expires = Some(expires);
                self.arm(handle);
                true
            }
        }
    }

    /// A job of which a client says something, if its lease is that client's
    /// and still valid.
    fn leased_to(&self, client: ClientId, id: JobId, lease: LeaseId) -> Option<u32> {
        let remote = self.remote_of(client)?;
        let handle = *self.leases.get(&lease)?;
        let job = self.jobs.get(handle)?;
        // Of what is not accepted yet nobody can have been told.
        let held = job.accepted && job.lease().is_some_and(|lease| lease.remote == remote);
        (held && job.id == id).then_some(handle)
    }

    fn take_report(&mut self, now: Instant, handle: u32, report: &Report<'_>) {
        if report.state == ReportState::Started {
            return self.take_start(now, handle, report.slot);
        }
        let Some(lease) = self.take_lease(handle) else { return };
        let details = Details {
            by: report.by,
            on: self.name_of(lease.remote),
            ran_ms: Some(report.ran_ms),
            exit: Some(report.exit),
            reason: report.reason.as_deref().map(ToOwned::to_owned),
            output: report.output.as_deref().map(ToOwned::to_owned),
            ..Details::default()
        };
        self.book(report);
        match report.state {
            ReportState::Started => {}
            ReportState::Finished => self.conclude(handle, WireState::Finished, details),
            ReportState::TimedOut => self.conclude(handle, WireState::TimedOut, details),
            ReportState::Failed => {
                self.attempt_failed(now, handle, &lease, WireState::Failed, details)
            }
            ReportState::SpawnFailed if lease.ending.is_some() => {
                self.give_back(handle, &lease, details);
            }
            ReportState::SpawnFailed => {
                self.attempt_failed(now, handle, &lease, WireState::SpawnFailed, details);
            }
            ReportState::Evicted => self.take_eviction(handle, &lease, details),
            ReportState::Cancelled => {
                self.note_return(&lease);
                self.give_back(handle, &lease, details);
            }
            ReportState::Declined => {
                if let (Some(job), Some(it)) =
                    (self.jobs.get_mut(handle), self.remotes.get(lease.remote))
                {
                    job.decline(it.session);
                }
                self.forget_gone_decliners(handle);
                self.give_back(handle, &lease, Details { ran_ms: None, ..details });
            }
        }
    }

    /// A scheduler gives back a job. That is no word on the job, as to decline
    /// it is: the same scheduler may have it again.
    fn note_return(&mut self, lease: &Lease) {
        let asked = lease.ending.is_some();
        if let Some(it) = self.remotes.get_mut(lease.remote).filter(|_| !asked) {
            it.gives_back = true;
            self.refresh(lease.remote);
        }
    }

    fn forget_gone_decliners(&mut self, handle: u32) {
        let (jobs, remotes) = (&mut self.jobs, &self.remotes);
        if let Some(job) = jobs.get_mut(handle) {
            job.retain_decliners(|by| remotes.handle(by).is_some());
        }
    }

    fn take_start(&mut self, now: Instant, handle: u32, slot: Option<u32>) {
        let Some(job) = self.jobs.get_mut(handle) else { return };
        let shielded = job.is_shielded(&self.config);
        let Some(lease) = job.lease_mut().filter(|lease| lease.started.is_none()) else { return };
        (lease.started, lease.slot) = (Some(now), slot);
        let (id, remote, level, ending) = (lease.id, lease.remote, lease.level, lease.ending);
        if job.starts == 0 {
            self.waits.add(now.since(job.submitted));
        }
        job.starts = job.starts.saturating_add(1);
        if let Some(it) = self.remotes.get_mut(remote) {
            if it.evicting == Some(id) {
                it.evicting = None;
            }
            if !shielded && ending.is_none() {
                it.victims.insert(handle, core::cmp::Reverse((level, id)));
            }
        }
        self.refresh(remote);
        // What has started does not expire any more.
        self.arm(handle);
        self.save(handle);
        let on = self.name_of(remote);
        self.tell(handle, WireState::Running, Details { on, slot, ..Details::default() });
    }

    /// A scheduler has asked a run to end. That is for people to see: what
    /// comes of it is reported.
    pub fn stopping(&mut self, now: Instant, client: ClientId, stopping: &Stopping) {
        let now = self.begin(now);
        if let Some(remote) = self.remote_of(client) {
            self.heard(now, remote);
        }
        if let Some(handle) = self.leased_to(client, stopping.job, stopping.lease) {
            let Stopping { by, grace_ms, .. } = *stopping;
            let killed = now + Duration::from_millis(grace_ms.min(LONGEST_GRACE_MS));
            if let Some(lease) = self.jobs.get_mut(handle).and_then(|job| job.lease_mut()) {
                lease.stopping = Some(Stop { by, killed });
                let (remote, slot) = (lease.remote, lease.slot);
                let on = self.name_of(remote);
                let grace_ms = Some(grace_ms);
                let room_for = by;
                let details = Details { room_for, on, slot, grace_ms, ..Details::default() };
                self.tell(handle, WireState::Stopping, details);
            }
        }
        self.finish(now);
    }

    fn take_eviction(&mut self, handle: u32, lease: &Lease, details: Details) {
        let Some(job) = self.jobs.get_mut(handle) else { return };
        job.evictions = job.evictions.saturating_add(1);
        self.counters.evictions += 1;
        if job.on_evict(&self.config) == OnEvict::Requeue || lease.ending.is_some() {
            self.give_back(handle, lease, details);
        } else {
            self.conclude(handle, WireState::Evicted, details);
        }
    }

    /// An attempt ended with this; the job is tried again if it may be.
    fn attempt_failed(
        &mut self,
        now: Instant,
        handle: u32,
        lease: &Lease,
        state: WireState,
        mut details: Details,
    ) {
        let Some(job) = self.jobs.get_mut(handle) else { return };
        if lease.ending.is_some() || !job.has_attempts_left(&self.config) {
            return self.conclude(handle, state, details);
        }
        let salt = self.config.policy.jitter_seed ^ (job.id.count() << 8) ^ u64::from(job.attempt);
        let wait: Duration = self.config.policy.retry.delay(job.attempt, salt);
        job.attempt = job.attempt.saturating_add(1);
        job.phase = Phase::BackingOff { until: now + wait };
        self.backing_off += 1;
        self.waiting.add(job.priority);
        self.arm(handle);
        self.save(handle);
        details.retry_ms = Some(wait.as_millis() as u64);
        let failed = if state == WireState::Failed {
            "the attempt failed"
        } else {
            "it could not be started"
        };
        details.reason.get_or_insert_with(|| String::from(failed));
        self.tell(handle, WireState::Pending, details);
    }

    fn book(&mut self, report: &Report<'_>) {
        if report.state != ReportState::SpawnFailed {
            self.runs.add(Duration::from_millis(report.ran_ms));
        }
        let evicted = report.state == ReportState::Evicted;
        let counters = &mut self.counters;
        let total = if evicted { &mut counters.wasted_ms } else { &mut counters.useful_ms };
        // A scheduler may say any number.
        *total = total.saturating_add(report.ran_ms);
    }

    pub(super) fn remote_of(&self, client: ClientId) -> Option<u32> {
        self.peers.get(&client)?.remote
    }

    /// A scheduler's connection has closed in order: it holds nothing any more.
    pub(super) fn end_all_leases(&mut self, remote: u32) {
        let held: Vec<u32> = self
            .remotes
            .get(remote)
            .map(|it| it.leases.values().copied().collect())
            .unwrap_or_default();
        for handle in held {
            if let Some(lease) = self.take_lease(handle) {
                let on = self.name_of(remote);
                let reason = Some("its scheduler has left".to_string());
                self.give_back(handle, &lease, Details { on, reason, ..Details::default() });
            }
        }
    }
}
