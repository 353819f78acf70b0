//! Who comes and goes.

use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::job::Job;
use super::remote::Remote;
use super::{Exchange, Peer};
use crate::bus::v1::{Durability, ErrorCode, Registration, Reply};
use crate::id::{ClientId, SessionId};
use crate::time::Instant;

/// How often an assignment is sent again. Whoever loses its connection after
/// each of these cannot take it: its lease is left to lapse.
const MOST_REMINDERS: u8 = 3;

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
