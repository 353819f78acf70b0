//! What clients ask for.

use alloc::borrow::{Cow, ToOwned};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;

use serde_json::value::RawValue;

use super::job::{Ending, Job, Lease, Phase};
use super::remote::{Remote, RemoteMode};
use super::store::{StoredIds, StoredJob, StoredPhase};
use super::story::{Details, Ended};
use super::{About, Exchange, ExchangeConfig, Peer, RestoreError, Unsaved};
use crate::bus::v1::{
    AdminVerb, Durability, ErrorCode, Registration, Reply, Submission, SubmitOptions, WireState,
};
use crate::id::{BinIndex, ClientId, JobId, LeaseId, SessionId};
use crate::priority::Priority;
use crate::time::Instant;

/// How often an assignment is sent again. Whoever loses its connection after
/// each of these cannot take it: its lease is left to lapse.
const MOST_REMINDERS: u8 = 3;

/// The options of a submission in an assignment, in bytes, at most: six numbers
/// or words with their names, and a key of 256 bytes, each of which may be
/// written as six.
const LONGEST_OPTIONS: usize = 2048;

/// What surrounds payload and options in an assignment, in bytes, at most.
const AROUND_PAYLOAD: usize = 256;

/// Coming and going.
impl Exchange {
    /// A client takes a role, and speaks version 1 from now on. One whose roles
    /// were ended takes none.
    pub fn register(&mut self, now: Instant, client: ClientId, as_what: &Registration<'_>) {
        let now = self.begin(now);
        if self.leaving.contains_key(&client) {
            return self.finish(now);
        }
        let is_scheduler = as_what.role == "scheduler";
        if is_scheduler && as_what.slots == 0 {
            self.refuse(
                client,
                None,
                ErrorCode::BadParams,
                "a scheduler has \"slots\", at least 1",
            );
            return self.finish(now);
        }
        let before = self.peers.get(&client).copied();
        let ours = self.first_session + 1..=self.ids.session;
        let resumed = as_what.session.filter(|session| ours.contains(&session.number()));
        let session = before.map(|peer| peer.session).or(resumed);
        let session = session.unwrap_or_else(|| self.next_session());
        let remote = match before.and_then(|peer| peer.remote) {
            None if is_scheduler => Some(self.attach(client, session, as_what)),
            other => other,
        };
        self.peers.insert(client, Peer { session, remote });
        self.welcome(client, session);
        if let Some(remote) = remote {
            self.heard(now, remote);
            self.remind(remote);
        }
        self.finish(now);
    }

    /// A client's connection has ended; in order, or because it broke.
    pub fn disconnect(&mut self, now: Instant, client: ClientId, in_order: bool) {
        let now = self.begin(now);
        self.detach(client, in_order);
        self.leaving.remove(&client);
        self.finish(now);
    }

    /// A client is told nothing any more: its connection is being closed. What
    /// it has said before is still heard, and what it submits is its session's,
    /// with which it may come back.
    pub fn end_roles(&mut self, now: Instant, client: ClientId) {
        let now = self.begin(now);
        self.detach(client, false);
        self.finish(now);
    }

    fn detach(&mut self, client: ClientId, in_order: bool) {
        let Some(remote) = self.forget_peer(client).and_then(|peer| peer.remote) else { return };
        if let Some(it) = self.remotes.get_mut(remote) {
            it.client = None;
        }
        self.refresh(remote);
        if in_order {
            self.end_all_leases(remote);
        }
        self.drop_if_gone(remote);
    }

    fn forget_peer(&mut self, client: ClientId) -> Option<Peer> {
        self.stop_telling(client);
        let peer = self.peers.remove(&client)?;
        self.leaving.insert(client, peer.session);
        Some(peer)
    }

    /// The scheduler of this session, with this connection.
    fn attach(&mut self, client: ClientId, session: SessionId, as_what: &Registration<'_>) -> u32 {
        let handle = self.remotes.handle(session).unwrap_or_else(|| {
            let name =
                as_what.name.as_deref().map_or_else(|| session.to_string().into(), Arc::from);
            let now = self.now;
            self.remotes.insert(session, || Remote::new(session, name, as_what.slots, now))
        });
        if let Some(it) = self.remotes.get_mut(handle) {
            it.slots = as_what.slots;
            if let Some(name) = &as_what.name {
                it.name = (&**name).into();
            }
            let old = it.client.replace(client).filter(|old| *old != client);
            if let Some(old) = old {
                self.forget_peer(old);
                self.closes.push_back(old);
            }
        }
        self.refresh(handle);
        handle
    }

    /// Tells a scheduler again what it may not have heard on its last connection.
    /// Of what it is to end it is told no more than that: it would begin it.
    fn remind(&mut self, remote: u32) {
        let held: Vec<u32> = self
            .remotes
            .get(remote)
            .map(|it| it.leases.values().copied().collect())
            .unwrap_or_default();
        for handle in held {
            let Some(lease) = self.jobs.get_mut(handle).and_then(Job::lease_mut) else { continue };
            if lease.ending.is_some() {
                self.send_revocation(handle);
            } else if lease.started.is_none() && lease.reminders < MOST_REMINDERS {
                lease.reminders += 1;
                self.send_assignment(handle);
            }
        }
    }

    fn welcome(&mut self, client: ClientId, session: SessionId) {
        let config = &self.config;
        let reply = Reply::Welcome {
            v: 1,
            session: session.to_string(),
            durability: config.durability,
            beat_ms: config.beat.as_millis() as u64,
            lease_ms: config.lease.as_millis() as u64,
            max_frame: config.max_frame,
            seq: self.story.seq,
        };
        if session.number() <= self.safe_sessions || config.durability == Durability::Memory {
            self.send_now(client, &reply);
        } else {
            self.send(client, &reply);
        }
    }
}

/// Jobs.
impl Exchange {
    /// Accepts a job, or says why not. `client` may be one that speaks version
    /// 0: then it is told nothing.
    pub fn submit(
        &mut self,
        now: Instant,
        client: ClientId,
        re: Option<Box<RawValue>>,
        job: &Submission<'_>,
    ) {
        let now = self.begin(now);
        let known = job.opts.key.as_deref().and_then(|key| self.keys.get(key).copied());
        if let Some(known) = known {
            self.accept_again(client, re, known);
        } else if let Some((code, message)) = self.refuses(job) {
            self.counters.refused += 1;
            self.answer_refusal(client, re.as_deref(), code, &message);
        } else if let Ok(payload) = RawValue::from_string(job.payload.to_owned()) {
            self.add(now, client, re, payload, job);
        }
        self.finish(now);
    }

    /// Ends a job.
    pub fn cancel(&mut self, now: Instant, client: ClientId, re: Option<&RawValue>, job: JobId) {
        let now = self.begin(now);
        match self.jobs.handle(job) {
            None => {
                let message = format!("there is no job {job}, or it has ended");
                self.refuse_for_good(client, re, ErrorCode::NoJob, &message);
            }
            Some(handle) if self.is_accepted(handle) => {
                self.cancel_job(handle);
                self.send(client, &Reply::Ok { re });
            }
            Some(_) => {
                let message = format!("there is no job {job} yet");
                self.refuse(client, re, ErrorCode::NoJob, &message);
            }
        }
        self.finish(now);
    }

    /// Answers a submission under a key that is known: when its job is where it
    /// must be, as the first was.
    fn accept_again(&mut self, client: ClientId, re: Option<Box<RawValue>>, job: JobId) {
        self.accepted(client, re.as_deref(), job, true);
        if let Some(handle) = self.jobs.handle(job).filter(|handle| !self.is_accepted(*handle)) {
            let after = self.persist_seq;
            self.unsaved.push_back(Unsaved { after, handle, job, client, re });
        }
    }

    fn is_accepted(&self, handle: u32) -> bool {
        self.jobs.get(handle).is_some_and(|job| job.accepted)
    }

    fn refuses(&self, job: &Submission<'_>) -> Option<(ErrorCode, Cow<'static, str>)> {
        let (size, most) = (job.payload.len() + AROUND_PAYLOAD, self.config.max_frame);
        // How long its terms are exactly matters to hardly any job.
        let opts = if size + LONGEST_OPTIONS > most { length(&job.opts) } else { 0 };
        let size = size + opts;
        if size > most {
            let message = format!(
                "the job would be a message of {size} bytes to its scheduler; this bus takes {most}"
            );
            return Some((ErrorCode::TooLarge, Cow::Owned(message)));
        }
        let waiting = self.waiting();
        let (code, message) = if self.mode == RemoteMode::Draining {
            (ErrorCode::Draining, "the bus is draining; submit again after a resume")
        } else if self.disk_fails {
            (ErrorCode::Storage, "the bus cannot write to its disk; try again later")
        } else if waiting >= self.config.policy.max_pending {
            (ErrorCode::Full, "as many jobs wait as may wait; try again later")
        } else if job.opts.key.is_some() && self.key_ends.len() >= self.config.max_keys {
            let message = "as many keys stand for their jobs as may; \
                try again later, or submit without a key";
            (ErrorCode::Full, message)
        } else if self.bytes + job.payload.len() > self.config.max_bytes {
            (ErrorCode::Full, "the jobs that are here are as large as they may be; try again later")
        } else {
            return None;
        };
        Some((code, Cow::Borrowed(message)))
    }

    fn add(
        &mut self,
        now: Instant,
        client: ClientId,
        re: Option<Box<RawValue>>,
        payload: Box<RawValue>,
        job: &Submission<'_>,
    ) {
        self.ids.job += 1;
        let id = JobId::new(BinIndex::default(), self.ids.job);
        if let Some(key) = &job.opts.key {
            self.add_key(key, id, now + self.config.key_window);
        }
        let session = self.peers.get(&client).map(|peer| peer.session);
        let owner = session.or_else(|| self.leaving.get(&client).copied());
        let mut job = Job::new(id, payload, job.priority, job.opts.clone(), owner, now);
        job.accepted = self.config.durability == Durability::Memory;
        let accepted = job.accepted;
        let handle = self.add_job(job);
        self.reserve_ids();
        self.save(handle);
        self.enqueue(handle);
        self.tell(handle, WireState::Pending, Details::default());
        self.accepted(client, re.as_deref(), id, false);
        if accepted {
            self.counters.accepted += 1;
        } else {
            let after = self.persist_seq;
            self.unsaved.push_back(Unsaved { after, handle, job: id, client, re });
        }
    }

    /// A key stands for this job until then.
    fn add_key(&mut self, key: &str, job: JobId, end: Instant) {
        let key: Arc<str> = key.into();
        self.keys.insert(key.clone(), job);
        self.key_ends.push_back((end, job, key));
        self.keyed.insert(job, false);
    }

    fn accepted(&mut self, client: ClientId, re: Option<&RawValue>, job: JobId, dup: bool) {
        if self.peers.contains_key(&client) {
            let about = About::Job(job);
            let (job, seq) = (job.to_string(), self.story.seq);
            self.send_about(about, client, &Reply::Accepted { re, job, seq, dup });
        }
    }

    pub(super) fn answer_refusal(
        &mut self,
        client: ClientId,
        re: Option<&RawValue>,
        code: ErrorCode,
        message: &str,
    ) {
        if self.peers.contains_key(&client) {
            self.refuse(client, re, code, message);
        }
    }

    fn cancel_job(&mut self, handle: u32) {
        match self.jobs.get(handle).map(|job| &job.phase) {
            Some(Phase::Leased(_)) => self.end_leased(handle, Ending::Cancelled),
            Some(Phase::Pending | Phase::BackingOff { .. }) => {
                self.conclude(handle, WireState::Cancelled, Details::default());
            }
            None => {}
        }
    }
}

fn length(opts: &SubmitOptions) -> usize {
    serde_json::to_string(opts).map_or(0, |opts| opts.len())
}

/// Steering.
impl Exchange {
    /// Pauses, resumes or drains the bus, or the schedulers of this name.
    pub fn admin(
        &mut self,
        now: Instant,
        client: ClientId,
        re: Option<&RawValue>,
        verb: AdminVerb,
        target: Option<&str>,
    ) {
        let now = self.begin(now);
        let mode = match verb {
            AdminVerb::Pause => RemoteMode::Paused,
            AdminVerb::Resume => RemoteMode::Accepting,
            AdminVerb::Drain => RemoteMode::Draining,
        };
        let found = match target {
            None => {
                self.mode = mode;
                true
            }
            Some(name) => self.set_mode(name, mode),
        };
        if found {
            self.send(client, &Reply::Ok { re });
        } else {
            let message = format!("there is no scheduler {:?}", target.unwrap_or_default());
            self.refuse(client, re, ErrorCode::BadParams, &message);
        }
        self.finish(now);
    }

    fn set_mode(&mut self, name: &str, mode: RemoteMode) -> bool {
        let named = |handle: &u32| {
            self.remotes
                .get(*handle)
                .is_some_and(|it| &*it.name == name || it.session.to_string() == name)
        };
        let handles: Vec<u32> = self.remotes.handles().filter(named).collect();
        for handle in &handles {
            if let Some(it) = self.remotes.get_mut(*handle) {
                it.mode = mode;
            }
            self.refresh(*handle);
        }
        !handles.is_empty()
    }
}

/// After a restart.
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
