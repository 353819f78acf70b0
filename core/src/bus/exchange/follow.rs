//! Who is told what happens, and who is told later.
//!
//! Whoever follows hears of an event when it happens. Whoever comes back after
//! an absence, or does not keep up, is *behind*: it has a place in the story,
//! and the driver asks for what comes next there when it has room for it
//! ([`Exchange::poll_missed`]). So nobody has a copy of the story in memory,
//! however much was missed and however often it is asked for.

use alloc::borrow::ToOwned;
use alloc::sync::Arc;
use alloc::vec::Vec;

use serde_json::value::RawValue;

use super::story::Entry;
use super::{About, Asked, Exchange, Out};
use crate::bus::v1::{ErrorCode, Reply, Subscription, View};
use crate::id::ClientId;
use crate::time::Instant;

/// A client that has not been told everything yet.
#[derive(Debug)]
pub(super) struct Behind {
    /// Whether it wants to be told of all jobs, or of its own.
    pub(super) all: bool,
    /// The first event that it may not have been told.
    pub(super) next: u64,
    /// What must be on disk before it is told anything: its answer waits for it.
    after: u64,
    /// A snapshot that it has asked for, made when it is no longer behind.
    asked: Option<Asked>,
}

impl Exchange {
    /// Tells a client what happens from now on, after what it has missed or
    /// what there is.
    pub fn subscribe(
        &mut self,
        now: Instant,
        client: ClientId,
        re: Option<&RawValue>,
        wanted: Subscription,
    ) {
        let now = self.begin(now);
        let Subscription { since, all, view } = wanted;
        match since {
            None => self.look(client, re, all, view),
            Some(since) => self.go_back(client, re, all, since),
        }
        self.finish(now);
    }

    /// The clients that are behind.
    pub fn behind(&self) -> impl Iterator<Item = ClientId> {
        self.behind.keys().copied()
    }

    /// The next event for a client that is behind, when the driver has room for
    /// it. `None`: it is not behind, or what comes next waits for the disk or
    /// for [`poll_transmit`](Self::poll_transmit), which must be drained before
    /// and afterwards.
    pub fn poll_missed(&mut self, client: ClientId) -> Option<Arc<str>> {
        if !self.out_now.is_empty() || self.out.is_ready(self.persisted) {
            return None;
        }
        let persisted = self.persisted;
        let behind = self.behind.get_mut(&client).filter(|it| it.after <= persisted)?;
        if self.story.is_gone(behind.next) {
            // When it comes back it is told that some events are gone.
            self.behind.remove(&client);
            self.out.give_up(client);
            return None;
        }
        let session = self.peers.get(&client).map(|peer| peer.session);
        let wanted = |entry: &&Arc<Entry>| behind.all || entry.owner == session;
        let next = self.story.from(behind.next).find(wanted);
        if let Some(entry) = next.filter(|entry| entry.after <= persisted) {
            behind.next = entry.seq + 1;
            return entry.frame();
        }
        self.catch_up(client);
        None
    }

    /// A client does not keep up: what happens from now on it is told later.
    pub fn hold_back(&mut self, client: ClientId) {
        self.fall_behind(client, self.story.seq + 1);
    }

    /// The next client whose connection is to be closed, because more would
    /// wait for it than may, or it is so far behind that the next event is gone.
    pub fn poll_slow(&mut self) -> Option<ClientId> {
        self.out.poll_given_up()
    }

    /// How many bytes of messages wait for the disk, or to be polled, over all
    /// clients.
    #[must_use]
    pub fn waiting_bytes(&self) -> usize {
        self.out.bytes()
    }

    /// A client has gone: nothing is kept for it.
    pub(super) fn stop_telling(&mut self, client: ClientId) {
        self.subscribers.remove(&client);
        self.behind.remove(&client);
        self.out.forget(client);
    }

    /// Tells a client that follows of an event; if much waits for it already,
    /// later.
    pub(super) fn tell_event(&mut self, client: ClientId, entry: &Entry, frame: Arc<str>) {
        if self.out.has_room(client, frame.len()) {
            let (after, about) = (entry.after, About::Event(entry.job));
            self.out.push_back(Out { after, to: client, frame, about, gives: None });
        } else {
            self.fall_behind(client, entry.seq);
        }
    }

    /// A client has been sent a snapshot that contains everything until now.
    pub(super) fn skip_missed(&mut self, client: ClientId) {
        if let Some(behind) = self.behind.get_mut(&client) {
            behind.next = self.story.seq + 1;
        }
    }

    fn look(&mut self, client: ClientId, re: Option<&RawValue>, all: bool, view: View) {
        let is_asked = self.behind.get(&client).is_some_and(|it| it.asked.is_some());
        if is_asked || self.out.has_snapshot(client) {
            let message = "a snapshot is on its way already; try again when it is there";
            return self.refuse(client, re, ErrorCode::Full, message);
        }
        if let Some(behind) = self.behind.get_mut(&client) {
            behind.all = all;
            behind.asked = Some(Asked { re: re.map(ToOwned::to_owned), view });
            return;
        }
        self.send_snapshot(client, re, view);
        if self.peers.contains_key(&client) {
            self.subscribers.insert(client, all);
        }
    }

    fn go_back(&mut self, client: ClientId, re: Option<&RawValue>, all: bool, since: u64) {
        if self.story.after(since).is_none() {
            let message = "some events after that one are gone; subscribe without \"since\"";
            return self.refuse(client, re, ErrorCode::Resync, message);
        }
        self.send(client, &Reply::Ok { re });
        if self.peers.contains_key(&client) {
            self.subscribers.remove(&client);
            let asked = self.behind.remove(&client).and_then(|it| it.asked);
            let behind = Behind { all, next: since + 1, after: self.persist_seq, asked };
            self.behind.insert(client, behind);
            if since == self.story.seq {
                self.catch_up(client);
            }
        }
    }

    fn fall_behind(&mut self, client: ClientId, next: u64) {
        if let Some(all) = self.subscribers.remove(&client) {
            self.behind.insert(client, Behind { all, next, after: 0, asked: None });
        }
    }

    /// A client has been told all that may be told: it follows from now on. What
    /// waits for the disk is what it would have been told as it happened.
    fn catch_up(&mut self, client: ClientId) {
        let Some(Behind { all, next, asked, .. }) = self.behind.remove(&client) else { return };
        self.subscribers.insert(client, all);
        let session = self.peers.get(&client).map(|peer| peer.session);
        let untold = self.story.from(next).filter(|entry| all || entry.owner == session);
        for entry in untold.cloned().collect::<Vec<_>>() {
            if let Some(frame) = entry.frame() {
                self.tell_event(client, &entry, frame);
            }
            if !self.subscribers.contains_key(&client) {
                break;
            }
        }
        match (asked, self.behind.get_mut(&client)) {
            (asked, Some(behind)) => behind.asked = asked,
            (Some(Asked { re, view }), None) => self.send_snapshot(client, re.as_deref(), view),
            (None, None) => {}
        }
    }
}
