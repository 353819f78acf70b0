//! What drives a session: its connection, and when to try again.

use fastrand::Rng;
use sched_core::bus::{Identity, Session};
use sched_core::{Duration, Instant};

use super::net::Net;

/// A session and its connection.
#[derive(Debug)]
pub struct Line {
    /// The session.
    pub session: Session,
    /// Which party of the network it is.
    pub party: usize,
    /// Its connection, while it takes it for open.
    pub connection: Option<u64>,
    /// When it tries to connect.
    pub tries: Instant,
}

impl Line {
    /// Not connected yet.
    #[must_use]
    pub fn new(party: usize, role: &'static str, name: String, slots: u32, now: Instant) -> Self {
        let session = Session::new(Identity { role, name, slots });
        Self { session, party, connection: None, tries: now }
    }

    /// When there is something to do.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        let tries = self.connection.is_none().then_some(self.tries);
        tries.into_iter().chain(self.session.poll_timeout()).min()
    }

    /// Lets time pass; connects if it is time for that, and the bus is up.
    pub fn wake(&mut self, now: Instant, net: &mut Net, bus_is_up: bool, dice: &mut Rng) {
        self.session.handle_timeout(now);
        if self.connection.is_some() || self.tries > now {
            return;
        }
        if bus_is_up {
            self.connection = Some(net.connect(self.party));
            self.session.handle_connected(now);
        } else {
            self.tries = now + Duration::from_millis(dice.u64(100..1000));
        }
    }

    /// The connection is over.
    pub fn lost(&mut self, now: Instant, connection: u64, dice: &mut Rng) {
        if self.connection == Some(connection) {
            self.connection = None;
            self.tries = now + Duration::from_millis(dice.u64(0..1000));
            self.session.handle_disconnected(now);
        }
    }

    /// Sends what there is to send.
    pub fn pump(&mut self, now: Instant, net: &mut Net) {
        while let Some(text) = self.session.poll_transmit() {
            if let Some(connection) = self.connection {
                net.say(now, connection, Some(text));
            }
        }
    }
}
