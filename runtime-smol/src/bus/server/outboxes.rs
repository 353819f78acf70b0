//! Outboxes that lie beside each other.

use std::sync::Arc;
use std::vec;

use super::super::outbox::Outbox;
use super::super::tcp::Tcp;

/// So many are made at once.
const SOME: usize = 64;

/// Makes the outboxes of connections.
///
/// What is made for one connection lies together in memory, so that a message to
/// a thousand of them would have to look at a thousand pages for their outboxes.
/// Where a page is takes longer to find out than what is on it, most of all in a
/// virtual machine. Those that are made in a row are on some forty.
pub(super) struct Outboxes {
    limit: usize,
    unused: vec::IntoIter<Arc<Outbox>>,
}

impl Outboxes {
    /// They hold up to `limit` bytes each.
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, unused: Vec::new().into_iter() }
    }

    /// One for this connection.
    pub(super) fn onto(&mut self, tcp: Tcp) -> Arc<Outbox> {
        let mut outbox = self.unused.next().unwrap_or_else(|| self.make_some());
        // Nobody else has it yet.
        if let Some(outbox) = Arc::get_mut(&mut outbox) {
            outbox.connect(tcp);
        }
        outbox
    }

    fn make_some(&mut self) -> Arc<Outbox> {
        self.unused = Outbox::some(SOME, self.limit).into_iter();
        Arc::new(Outbox::new(self.limit))
    }
}
