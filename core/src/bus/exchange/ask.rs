//! What clients ask for.

use alloc::borrow::{Cow, ToOwned};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;

use serde_json::value::RawValue;

use super::job::{Ending, Job, Phase};
use super::remote::RemoteMode;
use super::story::Details;
use super::{About, Exchange, Unsaved};
use crate::bus::v1::{
    AdminVerb, Durability, ErrorCode, Reply, Submission, SubmitOptions, WireState,
};
use crate::id::{BinIndex, ClientId, JobId};
use crate::time::Instant;

/// The options of a submission in an assignment, in bytes, at most: six numbers
/// or words with their names, and a key of 256 bytes, each of which may be
/// written as six.
const LONGEST_OPTIONS: usize = 2048;

/// What surrounds payload and options in an assignment, in bytes, at most.
const AROUND_PAYLOAD: usize = 256;

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
    pub(super) fn add_key(&mut self, key: &str, job: JobId, end: Instant) {
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
