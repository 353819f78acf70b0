//! Who is what, and speaks which version.

use super::{Broker, BrokerEvent};
use crate::bus::exchange::Exchange;
use crate::bus::message::Role;
use crate::bus::v1::{Envelope, Registration, Request};
use crate::id::ClientId;
use crate::time::Instant;

impl Broker {
    pub(super) fn register(&mut self, client: ClientId, role: Role) {
        if self.is_leaving(client) {
            return;
        }
        let new = match role {
            Role::Scheduler => {
                let new = self.schedulers.insert(client);
                self.audience += u64::from(new);
                new
            }
            Role::Producer => {
                let new = self
                    .clients
                    .get_mut(&client)
                    .is_some_and(|c| !core::mem::replace(&mut c.producer, true));
                self.producers += usize::from(new);
                new
            }
        };
        if new {
            self.roles_changed();
        }
    }

    /// Whether this is a registration with version 1, which is carried out.
    pub(super) fn turns_modern(&mut self, now: Instant, client: ClientId, text: &str) -> bool {
        let Ok(Request::Register(registration)) = Envelope::parse(text).request else {
            return false;
        };
        if registration.version == 0 {
            return false;
        }
        if let Some(it) = self.clients.get_mut(&client) {
            it.modern = true;
        }
        self.register_modern(now, client, &registration);
        true
    }

    pub(super) fn register_modern(
        &mut self,
        now: Instant,
        client: ClientId,
        as_what: &Registration<'_>,
    ) {
        if self.is_leaving(client) {
            return;
        }
        let before = (self.producers, self.schedulers());
        if as_what.role == "producer" {
            if let Some(it) = self.clients.get_mut(&client) {
                let new = !core::mem::replace(&mut it.producer, true);
                self.producers += usize::from(new);
            }
        }
        self.exchange.register(now, client, as_what);
        self.modern_schedulers = self.exchange.schedulers();
        if before != (self.producers, self.schedulers()) {
            self.roles_changed();
        }
    }

    fn is_leaving(&self, client: ClientId) -> bool {
        self.clients.get(&client).is_some_and(|it| it.leaving)
    }

    pub(super) fn leave(&mut self, client: ClientId, exchange: impl FnOnce(&mut Exchange)) {
        let schedulers = self.schedulers();
        exchange(&mut self.exchange);
        self.modern_schedulers = self.exchange.schedulers();
        self.audience += u64::from(self.schedulers.remove(&client));
        let was_producer =
            self.clients.get_mut(&client).is_some_and(|c| core::mem::take(&mut c.producer));
        self.producers -= usize::from(was_producer);
        if was_producer || schedulers != self.schedulers() {
            self.roles_changed();
        }
    }

    fn roles_changed(&mut self) {
        let (producers, schedulers) = (self.producers, self.schedulers());
        self.push(BrokerEvent::RolesChanged { producers, schedulers });
    }
}
