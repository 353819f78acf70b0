//! What clients are told, and when.

use alloc::sync::Arc;
use alloc::vec::Vec;

use serde_json::value::RawValue;

use super::story::{Details, Entry};
use super::{About, Exchange, Out};
use crate::bus::v1::{ErrorCode, Reply, WireState};
use crate::id::ClientId;

impl Exchange {
    /// Sends what follows from what has been decided, once that is on disk.
    pub(super) fn send(&mut self, to: ClientId, reply: &Reply<'_>) {
        self.send_about(About::Else, to, reply);
    }

    pub(super) fn send_about(&mut self, about: About, to: ClientId, reply: &Reply<'_>) {
        if let Ok(frame) = serde_json::to_string(reply) {
            self.send_frame(about, to, frame.into());
        }
    }

    pub(super) fn send_frame(&mut self, about: About, to: ClientId, frame: Arc<str>) {
        self.out.push_back(Out { after: self.persist_seq, to, frame, about, gives: None });
    }

    /// Sends what does not depend on the disk, and must not wait for it: with
    /// a disk that fails, schedulers still hear that their leases go on.
    pub(super) fn send_now(&mut self, to: ClientId, reply: &Reply<'_>) {
        if let Ok(frame) = serde_json::to_string(reply) {
            self.out_now.push_back((to, frame.into()));
        }
    }

    /// Refuses something because of what has been decided, once that is on
    /// disk: after a crash before that, it would not be refused.
    pub(super) fn refuse_for_good(
        &mut self,
        to: ClientId,
        re: Option<&RawValue>,
        code: ErrorCode,
        message: &str,
    ) {
        self.send(to, &Reply::Error { re, code: code.number(), name: code.name(), message });
    }

    pub(super) fn refuse(
        &mut self,
        to: ClientId,
        re: Option<&RawValue>,
        code: ErrorCode,
        message: &str,
    ) {
        self.send_now(to, &Reply::Error { re, code: code.number(), name: code.name(), message });
    }

    /// Something has happened to a job: it is numbered, kept and told.
    pub(super) fn tell(&mut self, handle: u32, state: WireState, details: Details) {
        if let Some(entry) = self.number(handle, state, details) {
            self.publish(entry);
        }
    }

    /// Numbers what has happened to a job.
    pub(super) fn number(
        &mut self,
        handle: u32,
        state: WireState,
        details: Details,
    ) -> Option<Entry> {
        self.story.seq += 1;
        self.reserve_ids();
        let job = self.jobs.get(handle)?;
        Some(Entry::new((self.story.seq, self.now), job, state, details))
    }

    /// Keeps an event, and tells it to everybody who wants to know, once what
    /// has been given out to the disk so far is there.
    pub(super) fn publish(&mut self, mut entry: Entry) -> Arc<Entry> {
        entry.after = self.persist_seq;
        let session_of = |client| self.peers.get(client).map(|peer| peer.session);
        let wants =
            |client, all| all || entry.owner.is_some_and(|it| session_of(client) == Some(it));
        let subscribers = self.subscribers.iter();
        let listeners: Vec<ClientId> = subscribers
            .filter_map(|(client, all)| wants(client, *all).then_some(*client))
            .collect();
        if let Some(frame) = (!listeners.is_empty()).then(|| entry.frame()).flatten() {
            for client in listeners {
                self.tell_event(client, &entry, frame.clone());
            }
        }
        let entry = Arc::new(entry);
        self.story.add(entry.clone());
        entry
    }

    pub(super) const fn count_outcome(&mut self, state: WireState) {
        let counters = &mut self.counters;
        let counter = match state {
            WireState::Finished => &mut counters.finished,
            WireState::Failed => &mut counters.failed,
            WireState::TimedOut => &mut counters.timed_out,
            WireState::Evicted => &mut counters.evicted,
            WireState::Cancelled => &mut counters.cancelled,
            WireState::Expired => &mut counters.expired,
            WireState::SpawnFailed => &mut counters.spawn_failed,
            WireState::Lost => &mut counters.lost,
            WireState::Pending | WireState::Assigned | WireState::Running | WireState::Stopping => {
                return;
            }
        };
        *counter += 1;
    }
}
