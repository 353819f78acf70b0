//! One message to many: how a job request reaches every scheduler of version 0.
//!
//! With a thousand schedulers, one message is a thousand deliveries; whatever
//! is done once for each of them is what the bus spends its time on. So:
//!
//! - *A message is encoded once*, into the frames of the messages that came in
//!   with it. What arrives in one turn of the hub is delivered together, which
//!   costs a scheduler one write for the whole turn and not one a message.
//!   Nothing is waited for: a message that comes alone goes out alone.
//! - *All share the same bytes.* Nobody has a copy of their own.
//! - *Whoever keeps up is written to here and now* ([`Outbox::send`]). Queueing
//!   the bytes and waking the connection's writer costs more than the write
//!   itself; that is left for what the socket did not take.
//! - *The list of schedulers is made when it changes*, not for every message.
//! - *Memory is looked up ahead* ([`Outbox::fetch`]). What the kernel does for
//!   one scheduler drives what is known of the next out of the caches, if there
//!   are many.
//!
//! None of this changes who receives what: each message goes to those who were
//! listening when it came, in order, and to each of them all of it or, if they
//! are too slow, the end of their connection.

use std::sync::Arc;

use async_tungstenite::tungstenite::Bytes;
use async_tungstenite::tungstenite::protocol::Role as Side;
use sched_core::ClientId;
use sched_core::bus::Publication;

use super::super::outbox::{NotTaken, Outbox};
use super::super::wire;

/// So much is enough for one write. More would only wait longer in memory.
const ENOUGH: usize = 64 * 1024;

/// So many are looked up together: some must be, and what was looked up must
/// still be near when its turn comes.
const AHEAD: usize = 16;

/// Messages that are to be sent to the same clients, and these.
#[derive(Debug, Default)]
pub(super) struct FanOut {
    /// The messages as they go over the wire, one after another.
    frames: Vec<u8>,
    /// Who does not receive these.
    except: Option<ClientId>,
    listeners: Vec<Listener>,
    /// Which [`Publication::audience`] the `listeners` are.
    audience: Option<u64>,
}

/// Who is sent everything, and how.
type Listener = (ClientId, Arc<Outbox>);

impl FanOut {
    /// Whether this message can be sent along with those that wait. If not,
    /// they must be [`flush`](Self::flush)ed first.
    pub(super) fn goes_with(&self, publication: &Publication<'_>) -> bool {
        let same = self.audience == Some(publication.audience) && self.except == publication.except;
        self.frames.is_empty() || same && self.frames.len() < ENOUGH
    }

    /// Adds a message. If there are other listeners than before, `outbox` is
    /// asked for the way to each of them.
    pub(super) fn add(
        &mut self,
        publication: &Publication<'_>,
        outbox: impl Fn(ClientId) -> Option<Arc<Outbox>>,
    ) {
        if self.audience != Some(publication.audience) {
            self.audience = Some(publication.audience);
            let listener = |id| Some((id, outbox(id)?));
            self.listeners.clear();
            self.listeners.extend(publication.listeners().filter_map(listener));
        }
        self.except = publication.except;
        wire::append_text(Side::Server, publication.frame, &mut self.frames);
    }

    /// Who is gone is sent nothing, and its socket is not kept open.
    pub(super) fn forget(&mut self, client: ClientId) {
        self.listeners.retain(|(listener, _)| *listener != client);
    }

    /// Sends the messages. Returns those for whom there was no room any more;
    /// they are sent nothing from now on.
    pub(super) fn flush(&mut self) -> Vec<ClientId> {
        let mut too_slow = Vec::new();
        if self.frames.is_empty() {
            return too_slow;
        }
        let next = Vec::with_capacity(self.frames.len());
        let frames = Bytes::from(std::mem::replace(&mut self.frames, next));
        for some in self.listeners.chunks(AHEAD) {
            some.iter().for_each(|(_, outbox)| outbox.fetch());
            for (client, outbox) in some.iter().filter(|(client, _)| Some(*client) != self.except) {
                if outbox.send(&frames) == Err(NotTaken::Full) {
                    too_slow.push(*client);
                }
            }
        }
        // They are in the order of the listeners: one pass is enough for all.
        let mut slow = too_slow.iter().peekable();
        self.listeners.retain(|(client, _)| slow.next_if_eq(&client).is_none());
        too_slow
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sched_core::Instant;
    use sched_core::bus::{Broker, Role};
    use smol::block_on;
    use smol::future::poll_once;
    use std::collections::{BTreeMap, VecDeque};

    /// A producer, and who listens.
    struct Bus {
        broker: Broker,
        outboxes: BTreeMap<ClientId, Arc<Outbox>>,
        fan_out: FanOut,
    }

    const PRODUCER: u64 = 0;

    impl Bus {
        /// Schedulers 1, 2 and so on, with this much room.
        fn with(rooms: &[usize]) -> Self {
            let mut broker = Broker::new();
            broker.handle_connect(Instant::ZERO, ClientId::new(PRODUCER), "");
            let (outboxes, fan_out) = (BTreeMap::new(), FanOut::default());
            let mut bus = Self { broker, outboxes, fan_out };
            rooms.iter().for_each(|room| bus.join(*room));
            bus
        }

        fn join(&mut self, room: usize) {
            let id = ClientId::new(self.outboxes.len() as u64 + 1);
            self.outboxes.insert(id, Arc::new(Outbox::new(room)));
            self.broker.handle_connect(Instant::ZERO, id, "");
            self.broker.handle_message(Instant::ZERO, id, &Role::Scheduler.to_register());
        }

        fn leave(&mut self, id: u64) -> Arc<Outbox> {
            let id = ClientId::new(id);
            self.broker.handle_disconnect(Instant::ZERO, id, true);
            self.fan_out.forget(id);
            self.outboxes.remove(&id).unwrap()
        }

        /// Publishes a payload, unless it does not go with those that wait.
        fn publish(&mut self, from: u64, payload: &str) -> bool {
            let request = format!(r#"{{"cmd":"job_request","payload":{payload}}}"#);
            self.broker.handle_message(Instant::ZERO, ClientId::new(from), &request);
            let publication = self.broker.poll_publication().unwrap();
            let goes_with = self.fan_out.goes_with(&publication);
            if goes_with {
                self.fan_out.add(&publication, |id| self.outboxes.get(&id).cloned());
            }
            goes_with
        }

        fn flush(&mut self) -> Vec<u64> {
            self.fan_out.flush().into_iter().map(ClientId::number).collect()
        }

        fn received(&self, number: u64) -> Vec<Bytes> {
            let mut batch = VecDeque::new();
            block_on(poll_once(self.outboxes[&ClientId::new(number)].next_batch(&mut batch)));
            batch.into()
        }
    }

    fn wire(texts: &[&str]) -> Bytes {
        texts.iter().flat_map(|text| wire::text(Side::Server, text)).collect()
    }

    #[test]
    fn what_comes_together_goes_out_together_and_shares_its_bytes() {
        let mut bus = Bus::with(&[1000, 1000]);
        assert!(bus.publish(PRODUCER, "1") && bus.publish(PRODUCER, "2"));
        assert!(bus.flush().is_empty());
        let (one, two) = (bus.received(1), bus.received(2));
        assert_eq!((&one[..], &two[..]), (&[wire(&["1", "2"])][..], &[wire(&["1", "2"])][..]));
        assert_eq!(one[0].as_ptr(), two[0].as_ptr());
    }

    #[test]
    fn another_audience_or_sender_does_not_go_with_what_waits() {
        let mut bus = Bus::with(&[1000]);
        assert!(bus.publish(PRODUCER, "1"));
        bus.join(1000);
        assert!(!bus.publish(PRODUCER, "2"));
        assert!(!bus.publish(1, "2"));
        bus.flush();
        assert_eq!((bus.received(1), bus.received(2)), (vec![wire(&["1"])], vec![]));
        assert!(bus.publish(PRODUCER, "2"));
        assert!(!bus.publish(1, "3"), "this one is not for its sender");
        bus.flush();
        assert!(bus.publish(1, "3"));
        bus.flush();
        assert_eq!(bus.received(1), [wire(&["2"])]);
        assert_eq!(bus.received(2), [wire(&["2"]), wire(&["3"])]);
    }

    #[test]
    fn when_there_is_enough_nothing_more_goes_with_it() {
        let mut bus = Bus::with(&[1000]);
        assert!(bus.publish(PRODUCER, &"1".repeat(ENOUGH)));
        assert!(!bus.publish(PRODUCER, "2"));
        bus.flush();
        assert!(bus.publish(PRODUCER, "2"));
    }

    #[test]
    fn who_has_no_room_is_named_and_the_others_are_served() {
        let mut bus = Bus::with(&[10, 1000]);
        for (payload, slow) in [("1", &[][..]), ("2", &[1]), ("3", &[])] {
            assert!(bus.publish(PRODUCER, payload));
            assert_eq!(bus.flush(), slow);
        }
        assert_eq!(bus.received(1), [wire(&["1"])]);
        assert_eq!(bus.received(2), [wire(&["1"]), wire(&["2"]), wire(&["3"])]);
    }

    #[test]
    fn who_is_gone_is_not_kept() {
        let mut bus = Bus::with(&[1000, 1000]);
        assert!(bus.publish(PRODUCER, "1"));
        bus.fan_out.flush();
        let outbox = bus.leave(1);
        assert_eq!(Arc::strong_count(&outbox), 1);
        assert!(bus.publish(PRODUCER, "2"));
        assert!(bus.fan_out.flush().is_empty());
    }
}
