//! Who gets which job, and what time does.

use alloc::boxed::Box;
use alloc::string::ToString;

use super::job::{Ending, Job, Lease, Phase};
use super::remote::RemoteMode;
use super::story::Details;
use super::{About, Exchange, JobId, Out};
use crate::bus::v1::{AssignOptions, Reply, RevokeWhy, WireState};
use crate::id::{LeaseId, SessionId};
use crate::queue::level;
use crate::time::Instant;

impl Exchange {
    /// Fills what is free, then lets evict who may evict.
    pub(super) fn settle(&mut self, now: Instant) {
        if self.mode != RemoteMode::Accepting {
            return;
        }
        while let Some((handle, remote)) = self.next_to_fill().or_else(|| self.next_to_evict()) {
            self.assign(now, handle, remote);
        }
    }

    /// The first job in queue order for which there is room, and where.
    fn next_to_fill(&self) -> Option<(u32, u32)> {
        self.roomy.peek()?;
        let firsts = self.pending.kinds().filter_map(|(declined, queue)| {
            let handle = queue.first()?;
            Some((handle, self.room_for(declined)?))
        });
        // One kind is the rule, and then nothing is compared.
        firsts.reduce(|one, other| {
            let is_before = self.queue_order(other.0) < self.queue_order(one.0);
            if is_before { other } else { one }
        })
    }

    /// The first job in priority order that may evict, and where.
    fn next_to_evict(&self) -> Option<(u32, u32)> {
        self.victims.peek()?;
        let firsts = self.pending.kinds().filter_map(|(declined, queue)| {
            let handle = queue.most_urgent()?;
            Some((handle, self.evictor_for(handle, declined)?))
        });
        firsts.reduce(|one, other| {
            let is_before = self.priority_order(other.0) < self.priority_order(one.0);
            if is_before { other } else { one }
        })
    }

    pub(super) fn queue_order(&self, handle: u32) -> Option<impl Ord + use<>> {
        self.jobs.get(handle).map(|job| job.place(&self.config).queue_order())
    }

    fn priority_order(&self, handle: u32) -> Option<impl Ord + use<>> {
        self.jobs.get(handle).map(|job| job.place(&self.config).priority_order())
    }

    /// The scheduler with the most room that is none of these.
    fn room_for(&self, declined: &[SessionId]) -> Option<u32> {
        if declined.is_empty() {
            return self.roomy.peek().map(|(_, remote)| remote);
        }
        let wanted = self.roomy.iter().filter(|((_, session), _)| !declined.contains(session));
        wanted.min_by_key(|(key, _)| **key).map(|(_, remote)| remote)
    }

    /// The scheduler with the least urgent run that is none of these, if this
    /// job may evict that.
    fn evictor_for(&self, handle: u32, declined: &[SessionId]) -> Option<u32> {
        let job = self.jobs.get(handle)?;
        let delta = i64::from(self.config.policy.preempt_delta?.get());
        let reach = i64::from(job.priority.number()) + delta;
        let (_, remote) = self.victims.peek().filter(|(victim, _)| reach <= victim.0.0)?;
        if declined.is_empty() {
            return Some(remote);
        }
        let wants = |remote: u32| {
            let session = self.remotes.get(remote).map(|it| it.session);
            session.is_some_and(|session| !declined.contains(&session))
        };
        let outranked = self.victims.iter().filter(|(victim, _)| reach <= victim.0.0);
        let wanted = outranked.filter(|(_, remote)| wants(*remote));
        wanted.min_by_key(|(key, _)| **key).map(|(_, remote)| remote)
    }

    /// Gives a job to a scheduler, which evicts for it if it has no room.
    fn assign(&mut self, now: Instant, handle: u32, remote: u32) {
        self.dequeue(handle);
        self.ids.lease += 1;
        let id = LeaseId::new(self.ids.lease);
        let (Some(job), Some(it)) = (self.jobs.get_mut(handle), self.remotes.get_mut(remote))
        else {
            return;
        };
        let level = level(job.priority, now - job.submitted, self.config.policy.aging);
        let evicts = it.room() == 0;
        job.phase = Phase::Leased(Box::new(Lease::new(id, remote, level)));
        it.leases.insert(id, handle);
        if evicts {
            it.evicting = Some(id);
        } else if !job.is_shielded(&self.config) {
            it.victims.insert(handle, core::cmp::Reverse((level, id)));
        }
        let on = Some(it.name.clone());
        self.leases.insert(id, handle);
        self.counters.assigned += 1;
        self.refresh(remote);
        self.arm(handle);
        self.reserve_ids();
        self.save(handle);
        self.tell(handle, WireState::Assigned, Details { on, ..Details::default() });
        self.send_assignment(handle);
    }

    /// Tells a scheduler, if it is connected, what it is to run.
    pub(super) fn send_assignment(&mut self, handle: u32) {
        let Some(job) = self.jobs.get(handle) else { return };
        let Some(lease) = job.lease() else { return };
        let Some(to) = self.remotes.get(lease.remote).and_then(|it| it.client) else { return };
        let (id, about) = (lease.id, About::Job(job.id));
        let reply = Reply::Assign {
            job: job.id.to_string(),
            lease: id.number(),
            attempt: job.attempt,
            payload: &job.payload,
            opts: AssignOptions {
                submitted: job.opts().clone(),
                level: lease.level,
                shielded: job.is_shielded(&self.config),
            },
        };
        if let Ok(frame) = serde_json::to_string(&reply) {
            let (after, frame) = (self.persist_seq, frame.into());
            self.out.push_back(Out { after, to, frame, about, gives: Some(id) });
        }
    }

    /// The assignment of this lease leaves the bus; returns whether it may.
    pub(super) fn begin_lease(&mut self, lease: LeaseId) -> bool {
        let Some(handle) = self.leases.get(&lease).copied() else { return false };
        let expires = self.now + self.config.lease;
        if let Some(lease) = self.jobs.get_mut(handle).and_then(Job::lease_mut) {
            lease.expires = Some(expires);
        }
        self.arm(handle);
        true
    }

    /// Lets act what was due about a job at `due`.
    pub(super) fn fire(&mut self, now: Instant, due: Instant, handle: u32) {
        let Some(job) = self.jobs.get(handle) else { return };
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= due);
        match &job.phase {
            Phase::Pending | Phase::BackingOff { .. } if is_due(job.ends()) => self.expire(handle),
            Phase::BackingOff { until } if *until <= due => {
                self.dequeue(handle);
                self.enqueue(handle);
                self.save(handle);
                self.tell(handle, WireState::Pending, Details::default());
            }
            Phase::Leased(lease) if is_due(lease.expires) => self.lapse(now, handle),
            Phase::Leased(lease) if lease.ending.is_none() && is_due(job.ends()) => {
                let why = if lease.started.is_some() { Ending::TimedOut } else { Ending::Expired };
                self.end_leased(handle, why);
            }
            _ => self.arm(handle),
        }
    }

    fn expire(&mut self, handle: u32) {
        self.conclude(handle, WireState::Expired, Details::default());
    }

    /// A scheduler is told to end a job. One that has not been told of it never
    /// is: it would begin what is over.
    pub(super) fn end_leased(&mut self, handle: u32, why: Ending) {
        let Some(lease) = self.jobs.get_mut(handle).and_then(|job| job.lease_mut()) else { return };
        if lease.ending.is_some() {
            return;
        }
        lease.ending = Some(why);
        let (remote, has_left) = (lease.remote, lease.expires.is_some());
        if !has_left {
            return self.withdraw(handle);
        }
        if let Some(it) = self.remotes.get_mut(remote) {
            it.victims.remove(handle);
        }
        self.refresh(remote);
        self.arm(handle);
        self.save(handle);
        self.send_revocation(handle);
    }

    /// Takes back a job whose assignment has not left the bus.
    fn withdraw(&mut self, handle: u32) {
        if let Some(lease) = self.take_lease(handle) {
            self.give_back(handle, &lease, Details::default());
            self.drop_if_gone(lease.remote);
        }
    }

    /// Tells a scheduler, if it is connected, what it is to end. What follows
    /// from the time alone does not wait for the disk: meanwhile it might start.
    pub(super) fn send_revocation(&mut self, handle: u32) {
        let Some(job) = self.jobs.get(handle) else { return };
        let Some(lease) = job.lease() else { return };
        let why = match lease.ending {
            Some(Ending::Cancelled) => RevokeWhy::Cancelled,
            Some(Ending::Expired | Ending::TimedOut) => RevokeWhy::Expired,
            None => return,
        };
        let to = self.remotes.get(lease.remote).and_then(|it| it.client);
        let (Some(to), job, lease) = (to, job.id.to_string(), lease.id.number()) else { return };
        let reply = Reply::Revoke { job, lease, why };
        match why {
            RevokeWhy::Expired => self.send_now(to, &reply),
            RevokeWhy::Cancelled | RevokeWhy::Superseded => self.send(to, &reply),
        }
    }

    /// Tells a scheduler, if it is connected, that a lease has lapsed.
    fn supersede(&mut self, remote: u32, job: JobId, lease: LeaseId) {
        if let Some(client) = self.remotes.get(remote).and_then(|it| it.client) {
            let (job, lease) = (job.to_string(), lease.number());
            self.send(client, &Reply::Revoke { job, lease, why: RevokeWhy::Superseded });
        }
    }

    /// A lease was not renewed in time.
    fn lapse(&mut self, now: Instant, handle: u32) {
        let Some(lease) = self.take_lease(handle) else { return };
        self.counters.leases_lost += 1;
        if let Some(it) = self.remotes.get_mut(lease.remote) {
            it.silent = now - it.heard >= self.config.lease;
            self.refresh(lease.remote);
        }
        let Some(job) = self.jobs.get_mut(handle) else { return };
        job.lost = job.lost.saturating_add(1);
        let id = job.id;
        self.supersede(lease.remote, id, lease.id);
        let on = self.name_of(lease.remote);
        let ran_ms = lease.started.map(|started| (now - started).as_millis() as u64);
        let reason = Some("its lease was not renewed in time".to_string());
        let details = Details { on, ran_ms, reason, ..Details::default() };
        self.give_back(handle, &lease, details);
        self.drop_if_gone(lease.remote);
    }

    /// A job whose lease has ended without an outcome: it goes back into the
    /// queue, unless it was to end anyway, or has lost too many leases.
    pub(super) fn give_back(&mut self, handle: u32, lease: &Lease, details: Details) {
        let Some(job) = self.jobs.get(handle) else { return };
        match lease.ending {
            Some(Ending::Cancelled) => self.conclude(handle, WireState::Cancelled, details),
            Some(Ending::Expired) => self.conclude(handle, WireState::Expired, details),
            Some(Ending::TimedOut) => self.conclude(handle, WireState::TimedOut, details),
            None if !job.may_lose_another(&self.config) => {
                self.conclude(handle, WireState::Lost, details);
            }
            None => {
                self.enqueue(handle);
                self.save(handle);
                self.tell(handle, WireState::Pending, details);
            }
        }
    }

    /// Ends the lease of a job; what becomes of the job is the caller's to say.
    pub(super) fn take_lease(&mut self, handle: u32) -> Option<Lease> {
        let job = self.jobs.get_mut(handle)?;
        let lease = job.lease()?.clone();
        job.phase = Phase::Pending;
        self.leases.remove(&lease.id);
        if let Some(it) = self.remotes.get_mut(lease.remote) {
            it.leases.remove(&lease.id);
            it.victims.remove(handle);
            if it.evicting == Some(lease.id) {
                it.evicting = None;
            }
        }
        self.refresh(lease.remote);
        Some(lease)
    }

    /// Forgets a scheduler that is not connected and holds nothing.
    pub(super) fn drop_if_gone(&mut self, remote: u32) {
        if self.remotes.get(remote).is_some_and(|it| it.client.is_none() && it.leases.is_empty()) {
            self.remotes.remove(remote);
            self.refresh(remote);
        }
    }

    pub(super) fn next_session(&mut self) -> SessionId {
        self.ids.session += 1;
        self.reserve_ids();
        SessionId::new(self.ids.session)
    }
}
