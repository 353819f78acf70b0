//! Whether what is derived from the jobs agrees with them.

use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use core::cmp::Reverse;

use serde_json::value::RawValue;

use super::super::by_priority::ByPriority;
use super::job::{Job, Phase};
use super::remote::{Remote, RemoteMode};
use super::{Exchange, Instant, JobId, LeaseId, SessionId, Write};

type Verdict = Result<(), String>;

impl Exchange {
    /// Compares everything that is kept twice, and what must hold after every
    /// input; `Err` says what is wrong. For tests: it looks at every job.
    ///
    /// # Errors
    ///
    /// Something does not agree. That is a fault of this crate.
    #[doc(hidden)]
    pub fn check(&self) -> Verdict {
        let kinds = self.pending.kinds();
        let places = kinds.flat_map(|(declined, queue)| {
            queue.in_order().into_iter().map(move |handle| (handle, declined))
        });
        let pending: BTreeMap<u32, &[SessionId]> = places.collect();
        let len = self.pending.len();
        ensure(pending.len() == len, || format!("{len} are pending, not {}", pending.len()))?;
        let mut leases = BTreeMap::new();
        let mut backing_off = 0;
        let mut waiting = ByPriority::new();
        for handle in self.jobs.handles() {
            let Some(job) = self.jobs.get(handle) else { continue };
            self.check_job(pending.get(&handle).copied(), handle, job)?;
            backing_off += usize::from(matches!(job.phase, Phase::BackingOff { .. }));
            if matches!(job.phase, Phase::Pending | Phase::BackingOff { .. }) {
                waiting.add(job.priority);
            }
            if let Some(lease) = job.lease() {
                leases.insert(lease.id, handle);
            }
        }
        ensure(leases == self.leases, || format!("leases {leases:?}, not {:?}", self.leases))?;
        ensure(waiting == self.waiting, || format!("{waiting:?} wait, not {:?}", self.waiting))?;
        ensure(backing_off == self.backing_off, || format!("{backing_off} back off"))?;
        for handle in self.remotes.handles() {
            if let Some(it) = self.remotes.get(handle) {
                self.check_remote(handle, it)?;
            }
        }
        let followers = self.subscribers.keys().chain(self.behind.keys());
        let gone = followers.clone().find(|client| !self.peers.contains_key(client));
        let twice = self.behind.keys().find(|client| self.subscribers.contains_key(client));
        let leaving = self.leaving.keys().find(|client| self.peers.contains_key(client));
        ensure(leaving.is_none(), || format!("{leaving:?} leaves, and is told"))?;
        ensure(twice.is_none(), || format!("{twice:?} follows, and is behind"))?;
        ensure(gone.is_none(), || format!("{gone:?} is gone, and told of events"))?;
        self.check_keys()?;
        self.check_settled()
    }

    /// The valid leases: of which job, and of which scheduler. For tests.
    #[doc(hidden)]
    pub fn leases(&self) -> impl Iterator<Item = (LeaseId, JobId, SessionId)> {
        self.jobs.handles().filter_map(|handle| {
            let job = self.jobs.get(handle)?;
            let lease = job.lease()?;
            Some((lease.id, job.id, self.remotes.get(lease.remote)?.session))
        })
    }

    /// What is known of a job: nothing, that it is accepted and has no outcome
    /// yet, or its outcome as it was told. For tests.
    #[doc(hidden)]
    #[must_use]
    pub fn fate(&self, job: JobId) -> Option<Option<Cow<'_, RawValue>>> {
        let lives = self.jobs.handle(job).and_then(|handle| self.jobs.get(handle));
        let ended = || self.ended.iter().find(|(id, _)| *id == job).and_then(|(_, it)| it.told());
        lives.filter(|job| job.accepted).map(|_| None).or_else(|| ended().map(Some))
    }

    /// Until when a job may start that is not known to run; `None`: it may at
    /// any time. For tests.
    #[doc(hidden)]
    #[must_use]
    pub fn starts_before(&self, job: JobId) -> Option<Instant> {
        let job = self.jobs.handle(job).and_then(|handle| self.jobs.get(handle))?;
        let runs = job.lease().is_some_and(|lease| lease.started.is_some());
        job.ends().filter(|_| !runs)
    }

    fn check_job(&self, place: Option<&[SessionId]>, handle: u32, job: &Job) -> Verdict {
        let id = job.id;
        let waits = matches!(job.phase, Phase::Pending);
        let right = place == waits.then_some(job.declined());
        ensure(right, || format!("{id} waits at {place:?}, {:?}", job.phase))?;
        let timer = self.timers.iter().find(|(_, at)| *at == handle).map(|((due, _), _)| *due);
        ensure(timer == job.due(), || format!("{id} is due at {:?}, not {timer:?}", job.due()))?;
        let unsaved = self.unsaved.iter().any(|it| it.handle == handle);
        ensure(unsaved || job.accepted, || format!("{id} is unsaved: {unsaved}"))?;
        let to_write = |(_, it): &(u64, Write)| matches!(it, Write::Job(_, of) if *of == id);
        let writes = self.persist.iter().filter(|it| to_write(it)).count();
        ensure(writes == usize::from(job.unwritten), || format!("{id} is written {writes} times"))?;
        let overdue = job.due().is_some_and(|due| due <= self.now);
        ensure(!overdue, || format!("{id} was due at {:?}", job.due()))
    }

    fn check_remote(&self, handle: u32, it: &Remote) -> Verdict {
        let name = &it.name;
        for (lease, job) in &it.leases {
            let held = self.jobs.get(*job).and_then(Job::lease);
            let agrees = held.is_some_and(|held| held.id == *lease && held.remote == handle);
            ensure(agrees, || format!("{name} has {lease}, and {held:?}"))?;
        }
        let of_it = |job: &&u32| {
            self.jobs.get(**job).and_then(Job::lease).is_some_and(|lease| lease.remote == handle)
        };
        let held = self.leases.values().filter(of_it).count();
        ensure(held == it.leases.len(), || format!("{name} has {held}, {:?}", it.leases))?;
        ensure(it.client.is_some() || held > 0, || format!("{name} is gone and kept"))?;
        let evicting = it.evicting.is_none_or(|lease| it.leases.contains_key(&lease));
        ensure(evicting, || format!("{name} evicts for {:?}", it.evicting))?;
        let room = (it.room() > 0).then_some((Reverse(it.room()), it.session));
        let roomy = self.roomy.iter().find(|(_, at)| *at == handle).map(|(key, _)| *key);
        ensure(room == roomy, || format!("{name} has room {room:?}, not {roomy:?}"))?;
        let listed = self.victims.iter().find(|(_, at)| *at == handle).map(|(key, _)| key.0);
        ensure(listed == it.victim(), || format!("{name}: victim {:?}", it.victim()))?;
        it.victims.iter().try_for_each(|(key, job)| self.check_victim(it, key.0, job))
    }

    fn check_victim(&self, it: &Remote, key: (i64, LeaseId), handle: u32) -> Verdict {
        let job = self.jobs.get(handle);
        let lease = job.and_then(Job::lease).filter(|lease| (lease.level, lease.id) == key);
        let spared = job.is_some_and(|job| job.is_shielded(&self.config));
        let may = lease.is_some_and(|lease| lease.ending.is_none()) && !spared;
        let evicts = it.evicting == Some(key.1);
        ensure(may && !evicts, || format!("{} would evict {job:?}", it.name))
    }

    fn check_keys(&self) -> Verdict {
        for (key, job) in &self.keys {
            let ends = self.key_ends.iter().any(|(_, of, it)| of == job && it == key);
            ensure(ends, || format!("the key {key:?} of {job} never ends"))?;
            let keyed = self.keyed.contains_key(job);
            ensure(keyed, || format!("the key {key:?} of {job} would be forgotten"))?;
        }
        let (keys, keyed) = (self.keys.len(), self.keyed.len());
        ensure(keyed == keys, || format!("{keys} keys, and {keyed} jobs that have one"))?;
        let kept = |job: &JobId| self.ended.iter().any(|(id, _)| id == job);
        let lingers = self.keyed.iter().filter(|(_, lingers)| **lingers).map(|(job, _)| *job);
        let mut twice = lingers.filter(|job| kept(job) || self.jobs.handle(*job).is_some());
        let twice = twice.next();
        ensure(twice.is_none(), || format!("{twice:?} is kept for its key alone, and is here"))
    }

    /// Nothing waits that could be placed.
    fn check_settled(&self) -> Verdict {
        if self.mode != RemoteMode::Accepting {
            return Ok(());
        }
        for handle in self.pending.kinds().flat_map(|(_, queue)| queue.in_order()) {
            let Some(job) = self.jobs.get(handle) else { continue };
            let wants = |it: &&Remote| !job.declined().contains(&it.session);
            let remotes = || self.remotes.handles().filter_map(|at| self.remotes.get(at));
            let room = remotes().filter(wants).find(|it| it.room() > 0);
            ensure(room.is_none(), || format!("{} waits, {room:?} has room", job.id))?;
            let Some(delta) = self.config.policy.preempt_delta else { continue };
            let reach = i64::from(job.priority.number()) + i64::from(delta.get());
            let outranks = |it: &&Remote| it.victim().is_some_and(|(level, _)| reach <= level);
            let evicts = remotes().filter(wants).find(outranks);
            ensure(evicts.is_none(), || format!("{} waits, {evicts:?} may evict", job.id))?;
        }
        Ok(())
    }
}

fn ensure(holds: bool, why: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(why()) }
}
