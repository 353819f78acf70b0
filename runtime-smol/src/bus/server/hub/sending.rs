//! What the hub sends, and whom it gives up because they do not read it.

use std::sync::Arc;

use async_tungstenite::tungstenite::Bytes;
use async_tungstenite::tungstenite::protocol::Role as Side;
use async_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use sched_core::ClientId;

use super::super::super::outbox::{Backlog, NotTaken};
use super::super::super::wire;
use super::super::client::Client;
use super::super::report::BusEvent;
use super::Hub;

/// How many bytes of events a client that is behind is given in one turn, at
/// most, so that a turn ends.
const MOST_MISSED: usize = 64 * 1024;

impl Hub {
    /// Sends what has been collected for the schedulers of version 0.
    pub(super) fn fan_out(&mut self) {
        for client in self.fan_out.flush() {
            self.drop_slow(client);
        }
    }

    /// Sends what the broker wants sent, and to those who are behind what they
    /// have room for.
    pub(super) fn transmit(&mut self) {
        self.pass_messages_on();
        let waiting = self.tell_missed();
        while let Some(client) = self.broker.poll_slow() {
            self.drop_slow(client);
        }
        // Who has caught up may be sent a snapshot.
        self.pass_messages_on();
        for client in std::mem::take(&mut self.queued) {
            let Some(outbox) = self.clients.get(&client).map(Client::outbox) else { continue };
            outbox.flush();
            if !outbox.has_room() {
                self.broker.hold_back(client);
            }
        }
        for client in waiting {
            if let Some(client) = self.clients.get(&client) {
                client.call_when_room();
            }
        }
    }

    /// Gives those who are behind a piece of what they have missed. Returns who
    /// may be given more.
    fn tell_missed(&mut self) -> Vec<ClientId> {
        let mut waiting = Vec::new();
        for id in self.broker.behind().collect::<Vec<_>>() {
            let Some(outbox) = self.clients.get(&id).map(|it| it.outbox().clone()) else {
                continue;
            };
            let (mut told, mut is_done) = (0, outbox.is_closed());
            while !is_done && told < MOST_MISSED && outbox.has_room() {
                match self.broker.poll_missed(id) {
                    Some(frame) => {
                        told += frame.len();
                        self.queue(id, wire::text(Side::Server, &frame));
                    }
                    None => is_done = true,
                }
            }
            if !is_done {
                waiting.push(id);
            }
        }
        waiting
    }

    /// Passes on what the broker wants sent. A frame is encoded once: those who
    /// receive the same one come in a row.
    fn pass_messages_on(&mut self) {
        let mut encoded: Option<(Arc<str>, Bytes)> = None;
        while let Some(transmit) = self.broker.poll_transmit() {
            let wire = match encoded.take() {
                Some((frame, wire)) if Arc::ptr_eq(&frame, &transmit.frame) => wire,
                _ => wire::text(Side::Server, &transmit.frame),
            };
            self.queue(transmit.to, wire.clone());
            encoded = Some((transmit.frame, wire));
        }
    }

    /// What one client is sent in one turn goes out together.
    fn queue(&mut self, to: ClientId, frame: Bytes) {
        let Some(client) = self.clients.get(&to) else { return };
        match client.outbox().queue(frame) {
            // The frames of one client mostly come in a row.
            Ok(()) if self.queued.last() == Some(&to) => {}
            Ok(()) => self.queued.push(to),
            Err(NotTaken::Full) => self.drop_slow(to),
            // Its reason has been told already.
            Err(NotTaken::Closed) => {}
        }
    }

    pub(super) fn drop_slow(&mut self, to: ClientId) {
        // Its reason has been told already if it is closed.
        let Some(client) = self.clients.get(&to).filter(|it| !it.outbox().is_closed()) else {
            return;
        };
        let peer = client.peer();
        let goodbye = wire::close(Side::Server, CloseCode::Policy, "slow_consumer");
        client.outbox().close(goodbye, Backlog::Drop);
        self.stats.slow_consumers += 1;
        self.broker.end_roles(self.clock.now(), to);
        self.log.tell(&peer, &"closed: it does not read what it is sent (slow_consumer)");
        self.tell(BusEvent::SlowConsumer { client: to, peer });
    }
}
