//! A client as the hub has it.

use std::collections::HashMap;
use std::convert::Infallible;
use std::hash::{BuildHasherDefault, Hasher};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use async_channel::Sender;
use async_tungstenite::tungstenite::protocol::Role as Side;
use async_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use sched_core::ClientId;

use super::super::outbox::{Backlog, Outbox};
use super::super::receiver::{End, Incoming, Receiver};
use super::super::wire;
use super::poller::Poller;

/// All clients by their ids. These are counted by the bus: nobody can choose
/// them, and what protects a map from chosen keys would cost more than a look
/// into it.
pub(super) type Clients = HashMap<ClientId, Client, BuildHasherDefault<Counted>>;

/// Hashes one number.
#[derive(Default)]
pub(super) struct Counted(u64);

impl Hasher for Counted {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64((*byte).into()));
    }

    /// Spreads it over all bits: a map looks at the highest and the lowest.
    fn write_u64(&mut self, number: u64) {
        const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
        let spread = (self.0 ^ number).wrapping_mul(GOLDEN);
        self.0 = spread ^ (spread >> 32);
    }
}

/// Whoever has shaken hands.
#[derive(Debug)]
pub(super) struct Newcomer {
    pub(super) id: ClientId,
    pub(super) peer: SocketAddr,
    pub(super) receiver: Box<Receiver>,
    /// Held for as long as there is a connection.
    pub(super) alive: Sender<Infallible>,
}

/// Whoever is connected. The hub waits for the socket, and reads from it; its
/// timer and its outbox call the hub by the waker.
#[derive(Debug)]
pub(super) struct Client {
    peer: SocketAddr,
    receiver: Box<Receiver>,
    outbox: Arc<Outbox>,
    waker: Waker,
    alive: Sender<Infallible>,
}

impl Newcomer {
    /// Whoever is waited for by this poller.
    ///
    /// # Errors
    ///
    /// The system can wait for no more sockets.
    pub(super) fn into_client(self, poller: &Poller) -> io::Result<Client> {
        let Self { id, peer, mut receiver, alive } = self;
        receiver.socket().wait_elsewhere();
        poller.add(receiver.socket().tcp()?, id)?;
        let (outbox, waker) = (receiver.outbox().clone(), poller.waker_of(id));
        Ok(Client { peer, receiver, outbox, waker, alive })
    }
}

impl Client {
    pub(super) const fn peer(&self) -> SocketAddr {
        self.peer
    }

    pub(super) const fn outbox(&self) -> &Arc<Outbox> {
        &self.outbox
    }

    /// Its socket can be read at this time, and perhaps `ends` with that; the
    /// next polls read from it once.
    pub(super) fn set_readable(&mut self, at: Instant, ends: bool) {
        self.receiver.socket().set_readable(at, ends);
    }

    /// Its socket has been read from; what may be left comes with the next turn.
    pub(super) fn leave_rest(&mut self, id: ClientId, poller: &Poller) {
        if self.receiver.socket().may_have_more() {
            if let Ok(tcp) = self.outbox.tcp() {
                poller.tell_again(tcp, id);
            }
        }
    }

    /// What it has said, or that it has ended.
    pub(super) fn poll_incoming(&mut self) -> Poll<Result<Incoming, End>> {
        self.receiver.poll_incoming(&mut Context::from_waker(&self.waker))
    }

    /// Its end, for another reason; calls when to poll again.
    pub(super) fn poll_end(&mut self) -> Poll<End> {
        self.receiver.poll_end(&mut Context::from_waker(&self.waker))
    }

    /// Calls when its outbox has room, at once if it has.
    pub(super) fn call_when_room(&self) {
        if self.outbox.poll_room(&Context::from_waker(&self.waker)).is_ready() {
            self.waker.wake_by_ref();
        }
    }

    /// Ends the connection in a task of its own: that may take a while.
    pub(super) fn finish(self, poller: &Poller, end: End) {
        let Self { mut receiver, outbox, alive, .. } = self;
        if let Ok(tcp) = outbox.tcp() {
            poller.remove(tcp);
        }
        receiver.socket().wait_here();
        let finish = async move {
            receiver.finish(&end).await;
            drop(alive);
        };
        smol::spawn(finish).detach();
    }

    pub(super) fn say_goodbye(&self) {
        let goodbye = wire::close(Side::Server, CloseCode::Away, "the bus is shutting down");
        self.outbox.close(goodbye, Backlog::Write);
    }
}
