//! One queue for the whole bus, and the schedulers that serve it.

mod ask;
mod check;
mod config;
mod follow;
mod job;
mod lease;
mod order;
mod outgoing;
mod peers;
mod pending;
mod remote;
mod restore;
mod say;
mod settle;
mod snapshot;
mod store;
mod story;
#[cfg(test)]
mod tests;
mod unsaved;
mod why;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use core::cmp::Reverse;

use serde_json::value::{RawValue, to_raw_value};

pub use self::config::ExchangeConfig;
pub use self::store::{Persist, PersistOp, RestoreError};

use self::follow::Behind;
use self::job::Job;
use self::outgoing::{About, Asked, Out, Outgoing};
use self::pending::Pending;
use self::remote::{Remote, RemoteMode};
use self::store::{StoredIds, StoredJob, StoredPhase};
use self::story::{Details, Ended, Entry, Story};
use super::by_priority::ByPriority;
use super::histogram::Histogram;
use super::v1::{Counters, Durability, JobChange, WireState};
use crate::heap::IndexHeap;
use crate::id::{ClientId, JobId, LeaseId, SessionId};
use crate::table::Table;
use crate::time::Instant;

/// How many ids are reserved on disk at a time; more are when half is used, so
/// that nothing has to wait for that.
const IDS_AHEAD: u64 = 1000;

/// Outcomes are forgotten this part of them at a time: those that are next to
/// each other on disk cost little more than one of them.
const FORGOTTEN_TOGETHER: usize = 8;

/// The queue of a bus: jobs that producers submit, leases that schedulers hold.
///
/// A part of the [`Broker`](super::Broker), which reads the messages; the shape
/// is the same. Its times are those of the Unix epoch, so that they mean the
/// same after a restart and can be told to people.
///
/// A free slot anywhere takes the first job in queue order that its scheduler
/// has not declined. When there is none, the first job in priority order goes to
/// the scheduler with the least urgent run of all, if it outranks that, and that
/// scheduler evicts; one such assignment a scheduler at a time.
#[derive(Debug)]
pub struct Exchange {
    config: ExchangeConfig,
    now: Instant,
    mode: RemoteMode,
    peers: BTreeMap<ClientId, Peer>,
    /// The sessions of those who are told nothing any more, and whose connections
    /// have not ended: what they have said before is theirs. A client is either
    /// here or there.
    leaving: BTreeMap<ClientId, SessionId>,
    /// The clients that want to be told what happens: whether to all jobs, or to
    /// their own. Most clients want nothing, and are not asked at every event.
    subscribers: BTreeMap<ClientId, bool>,
    /// Those among them that are told later than it happens. A client is either
    /// here or there.
    behind: BTreeMap<ClientId, Behind>,
    remotes: Table<Remote>,
    jobs: Table<Job>,
    leases: BTreeMap<LeaseId, u32>,
    pending: Pending,
    /// By scheduler: those with room, the emptiest first.
    roomy: IndexHeap<(Reverse<u32>, SessionId)>,
    /// By scheduler: the job that it would evict.
    victims: IndexHeap<Reverse<(i64, LeaseId)>>,
    /// By job: the next time at which something is due about it.
    timers: IndexHeap<(Instant, JobId)>,
    backing_off: usize,
    /// Of the payloads of all jobs.
    bytes: usize,
    keys: BTreeMap<Arc<str>, JobId>,
    /// When each key ends, and of which job it is: a key may be used again
    /// before that, when its first job could not be saved.
    key_ends: VecDeque<(Instant, JobId, Arc<str>)>,
    /// The jobs that have a key which stands for them: whether the key alone
    /// keeps their record on disk, since their outcome is kept no longer.
    keyed: BTreeMap<JobId, bool>,
    ids: StoredIds,
    /// What was given out to be put on disk, and under which number.
    ids_stored: StoredIds,
    ids_stored_in: u64,
    /// Sessions up to this one cannot be given again after a crash.
    safe_sessions: u64,
    /// Sessions up to this one are another bus's.
    first_session: u64,
    story: Story,
    /// The outcomes that were told last, without output.
    ended: VecDeque<(JobId, Ended)>,
    /// Messages that need not wait for the disk.
    out_now: VecDeque<(ClientId, Arc<str>)>,
    out: Outgoing,
    closes: VecDeque<ClientId>,
    persist: VecDeque<(u64, Write)>,
    persist_seq: u64,
    persisted: u64,
    /// Submissions that are accepted once a number is on disk.
    unsaved: VecDeque<Unsaved>,
    disk_fails: bool,
    counters: Counters,
    waiting: ByPriority,
    waits: Histogram,
    runs: Histogram,
}

/// A client of version 1.
#[derive(Clone, Copy, Debug)]
struct Peer {
    session: SessionId,
    /// The scheduler that it is, by handle.
    remote: Option<u32>,
}

/// What must be put on disk.
#[derive(Debug)]
enum Write {
    /// The job at this handle, as it is when that is asked for; if it has ended
    /// by then, nothing: its outcome follows.
    Job(u32, JobId),
    /// Something that does not change any more.
    Op(PersistOp),
}

/// A submission whose job is not on disk yet.
#[derive(Debug)]
struct Unsaved {
    /// What must be on disk.
    after: u64,
    handle: u32,
    job: JobId,
    /// Who has submitted it, or has done so again under the same key.
    client: ClientId,
    re: Option<Box<RawValue>>,
}

impl Exchange {
    /// An exchange without jobs.
    #[must_use]
    pub fn new(config: ExchangeConfig) -> Self {
        let first = config.first_id;
        let ids = StoredIds { job: 0, lease: first, session: first, seq: 0 };
        let story = Story::new(config.events_kept, 0);
        let out = Outgoing::new(config.max_waiting);
        Self {
            config,
            now: Instant::ZERO,
            mode: RemoteMode::Accepting,
            peers: BTreeMap::new(),
            leaving: BTreeMap::new(),
            subscribers: BTreeMap::new(),
            behind: BTreeMap::new(),
            remotes: Table::new(),
            jobs: Table::new(),
            leases: BTreeMap::new(),
            pending: Pending::new(),
            roomy: IndexHeap::new(),
            victims: IndexHeap::new(),
            timers: IndexHeap::new(),
            backing_off: 0,
            bytes: 0,
            keys: BTreeMap::new(),
            key_ends: VecDeque::new(),
            keyed: BTreeMap::new(),
            ids,
            ids_stored: ids,
            ids_stored_in: 0,
            safe_sessions: first,
            first_session: first,
            story,
            ended: VecDeque::new(),
            out_now: VecDeque::new(),
            out,
            closes: VecDeque::new(),
            persist: VecDeque::new(),
            persist_seq: 0,
            persisted: 0,
            unsaved: VecDeque::new(),
            disk_fails: false,
            counters: Counters::default(),
            waiting: ByPriority::new(),
            waits: Histogram::new(),
            runs: Histogram::new(),
        }
    }

    /// Time has passed. Nothing acts before its time; calling early is harmless.
    pub fn handle_timeout(&mut self, now: Instant) {
        let now = self.begin(now);
        self.finish(now);
    }

    /// Everything up to this number is on disk.
    pub fn handle_persisted(&mut self, now: Instant, seq: u64) {
        let now = self.begin(now);
        self.persisted = self.persisted.max(seq.min(self.persist_seq));
        self.disk_fails = false;
        if self.ids_stored_in <= self.persisted {
            self.safe_sessions = self.ids_stored.session;
        }
        while self.unsaved.front().is_some_and(|it| it.after <= self.persisted) {
            if let Some(it) = self.unsaved.pop_front() {
                self.saved(it.handle, it.job);
            }
        }
        self.finish(now);
    }

    /// The disk did not take what was given out and not yet acknowledged. It
    /// must be offered again, together with what comes after it. Meanwhile
    /// submissions are refused; what runs goes on.
    pub fn handle_persist_failed(&mut self, now: Instant, why: &str) {
        let now = self.begin(now);
        self.disk_fails = true;
        self.refuse_unsaved(why);
        self.finish(now);
    }

    /// The next message, and to whom it goes; `None`: nothing more.
    pub fn poll_transmit(&mut self) -> Option<(ClientId, Arc<str>)> {
        if let Some(now) = self.out_now.pop_front() {
            return Some(now);
        }
        loop {
            let out = self.out.pop(self.persisted)?;
            if out.gives.is_none_or(|lease| self.begin_lease(lease)) && !out.is_void() {
                return Some((out.to, out.frame));
            }
        }
    }

    /// The next client whose connection is to be closed, because it has come
    /// back on another.
    pub fn poll_close(&mut self) -> Option<ClientId> {
        self.closes.pop_front()
    }

    /// What must be on disk next; `None`: nothing more. Only with
    /// [`Durability::Fsync`].
    pub fn poll_persist(&mut self) -> Option<Persist> {
        loop {
            let (seq, write) = self.persist.pop_front()?;
            let op = match write {
                Write::Op(op) => Some(op),
                Write::Job(handle, job) => self.record_of(handle, job),
            };
            if let Some(op) = op {
                return Some(Persist { seq, op });
            }
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due; `None`: never.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let timer = self.timers.peek().map(|((due, _), _)| *due);
        let key = self.key_ends.front().map(|(end, ..)| *end);
        timer.into_iter().chain(key).min()
    }

    /// How many schedulers are connected.
    #[must_use]
    pub fn schedulers(&self) -> usize {
        self.peers.values().filter(|peer| peer.remote.is_some()).count()
    }

    /// What was counted.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let connected = self.remotes.records().filter(|it| it.client.is_some());
        Counters {
            pending: self.waiting() as u64,
            running: self.leases.len() as u64,
            slots: connected.map(|it| u64::from(it.slots)).sum(),
            ..self.counters
        }
    }

    /// The jobs that wait, by priority.
    #[must_use]
    pub const fn pending(&self) -> &ByPriority {
        &self.waiting
    }

    /// How long jobs waited for their first start.
    #[must_use]
    pub const fn waits(&self) -> &Histogram {
        &self.waits
    }

    /// How long processes ran, by what schedulers reported.
    #[must_use]
    pub const fn runs(&self) -> &Histogram {
        &self.runs
    }

    /// Whether the disk does not take what it is given. Submissions are refused.
    #[must_use]
    pub const fn disk_fails(&self) -> bool {
        self.disk_fails
    }

    /// Whether it was told to take no more jobs.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.mode == RemoteMode::Draining
    }

    /// The events that are kept and may be told, as they are told: JSON texts,
    /// the oldest first. What waits for the disk is not among them.
    pub fn events(&self) -> impl Iterator<Item = Arc<str>> {
        self.story.told(self.persisted).filter_map(Entry::frame)
    }

    fn begin(&mut self, now: Instant) -> Instant {
        self.now = self.now.max(now);
        self.now
    }

    /// What every input ends with.
    fn finish(&mut self, now: Instant) {
        self.fire_timers(now);
        self.settle(now);
    }

    /// A change that must be on disk: the job as it is now. Several changes
    /// before the driver asks for the record are one.
    fn save(&mut self, handle: u32) {
        if self.config.durability == Durability::Memory {
            return;
        }
        let Some(job) = self.jobs.get_mut(handle) else { return };
        if !core::mem::replace(&mut job.unwritten, true) {
            let write = Write::Job(handle, job.id);
            self.write(write);
        }
    }

    /// The record of a job as it is now, if it is still at that handle.
    fn record_of(&mut self, handle: u32, id: JobId) -> Option<PersistOp> {
        let job = self.jobs.get_mut(handle).filter(|job| job.id == id)?;
        job.unwritten = false;
        let remote = job.lease().and_then(|lease| self.remotes.get(lease.remote));
        let phase = StoredPhase::of(job, remote);
        // Nothing in the record can fail to be written as JSON.
        let record = serde_json::to_string(&StoredJob::of(job, phase)).ok()?;
        Some(PersistOp::Put(id, record))
    }

    fn persist(&mut self, op: PersistOp) {
        if self.config.durability == Durability::Fsync {
            self.write(Write::Op(op));
        }
    }

    fn write(&mut self, write: Write) {
        self.persist_seq += 1;
        self.persist.push_back((self.persist_seq, write));
    }

    /// Makes sure that the ids in use stay below those on disk.
    fn reserve_ids(&mut self) {
        let (now, stored) = (self.ids, self.ids_stored);
        let fits = |used: u64, reserved: u64| used + IDS_AHEAD / 2 <= reserved;
        let fit = fits(now.job, stored.job)
            && fits(now.lease, stored.lease)
            && fits(now.session, stored.session)
            && fits(self.story.seq, stored.seq);
        if fit || self.config.durability == Durability::Memory {
            return;
        }
        self.ids_stored = StoredIds {
            job: now.job + IDS_AHEAD,
            lease: now.lease + IDS_AHEAD,
            session: now.session + IDS_AHEAD,
            seq: self.story.seq + IDS_AHEAD,
        };
        if let Ok(record) = serde_json::to_string(&self.ids_stored) {
            self.persist(PersistOp::Ids(record));
            self.ids_stored_in = self.persist_seq;
        }
    }

    /// The outcome of a job: it is kept and told, and the job is forgotten.
    fn conclude(&mut self, handle: u32, state: WireState, details: Details) {
        self.dequeue(handle);
        self.timers.remove(handle);
        self.count_outcome(state);
        let numbered = self.number(handle, state, details);
        let (Some(job), Some(entry)) = (self.forget(handle), numbered) else {
            return;
        };
        self.put_outcome(&job, &entry);
        let outcome = self.publish(entry).without_output();
        self.ended.push_back((job.id, Ended::Event(outcome)));
        self.forget_outcomes();
    }

    fn add_job(&mut self, job: Job) -> u32 {
        self.bytes += job.payload.get().len();
        self.jobs.insert(job.id, || job)
    }

    fn forget(&mut self, handle: u32) -> Option<Job> {
        let job = self.jobs.remove(handle)?;
        self.bytes -= job.payload.get().len();
        Some(job)
    }

    /// Forgets the oldest outcomes, if there are too many. The record of a job
    /// stays on disk until its key ends: without it, a submission under the same
    /// key would be another job after a restart.
    fn forget_outcomes(&mut self) {
        let keep = self.config.outcomes_kept;
        if self.ended.len() <= keep + keep / FORGOTTEN_TOGETHER {
            return;
        }
        while self.ended.len() > keep {
            let Some((id, _)) = self.ended.pop_front() else { return };
            match self.keyed.get_mut(&id) {
                Some(lingers) => *lingers = true,
                None => self.persist(PersistOp::Forget(id)),
            }
        }
    }

    /// The outcome of a job must be on disk.
    fn put_outcome(&mut self, job: &Job, entry: &Entry) {
        if self.config.durability == Durability::Memory {
            return;
        }
        // Nothing in the record can fail to be written as JSON.
        let Ok(change) = to_raw_value(&JobChange { output: None, ..entry.change() }) else {
            return;
        };
        let phase = StoredPhase::Ended { change, at: self.now.as_nanos() };
        if let Ok(record) = serde_json::to_string(&StoredJob::ended(job, phase)) {
            self.persist(PersistOp::Put(job.id, record));
        }
    }

    fn name_of(&self, remote: u32) -> Option<Arc<str>> {
        self.remotes.get(remote).map(|it| it.name.clone())
    }
}
