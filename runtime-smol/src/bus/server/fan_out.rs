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
pub(super) type Listener = (ClientId, Arc<Outbox>);

impl FanOut {
    /// Whether this message can be sent along with those that wait. If not,
    /// they must be [`flush`](Self::flush)ed first.
    pub(super) fn goes_with(&self, publication: &Publication) -> bool {
        let same = self.audience == Some(publication.audience) && self.except == publication.except;
        self.frames.is_empty() || same && self.frames.len() < ENOUGH
    }

    /// Adds a message. `listeners` is asked who they are, if they have changed.
    pub(super) fn add<I: Iterator<Item = Listener>>(
        &mut self,
        publication: &Publication,
        listeners: impl FnOnce() -> I,
    ) {
        if self.audience != Some(publication.audience) {
            self.audience = Some(publication.audience);
            self.listeners.clear();
            self.listeners.extend(listeners());
        }
        self.except = publication.except;
        wire::append_text(Side::Server, &publication.frame, &mut self.frames);
    }

    /// Sends the messages. Returns those for whom there was no room any more.
    pub(super) fn flush(&mut self) -> Vec<ClientId> {
        if self.frames.is_empty() {
            return Vec::new();
        }
        let next = Vec::with_capacity(self.frames.len());
        let frames = Bytes::from(std::mem::replace(&mut self.frames, next));
        let too_slow = |(client, outbox): &Listener| {
            let sent = Some(*client) == self.except || outbox.send(&frames) != Err(NotTaken::Full);
            (!sent).then_some(*client)
        };
        self.listeners.iter().filter_map(too_slow).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use smol::block_on;
    use smol::future::poll_once;
    use std::collections::VecDeque;

    fn publication(text: &str, audience: u64, except: Option<u64>) -> Publication {
        Publication { frame: text.into(), audience, except: except.map(ClientId::new) }
    }

    fn listener(number: u64, limit: usize) -> Listener {
        (ClientId::new(number), Arc::new(Outbox::new(limit)))
    }

    fn received(listener: &Listener) -> Vec<Bytes> {
        let mut batch = VecDeque::new();
        block_on(poll_once(listener.1.next_batch(&mut batch)));
        batch.into()
    }

    fn wire(texts: &[&str]) -> Bytes {
        texts.iter().flat_map(|text| wire::text(Side::Server, text)).collect()
    }

    #[test]
    fn what_comes_together_goes_out_together_and_shares_its_bytes() {
        let (one, two) = (listener(1, 1000), listener(2, 1000));
        let mut fan_out = FanOut::default();
        for text in ["a", "b"] {
            let next = publication(text, 1, None);
            assert!(fan_out.goes_with(&next));
            fan_out.add(&next, || [one.clone(), two.clone()].into_iter());
        }
        assert!(fan_out.flush().is_empty());
        let (one, two) = (received(&one), received(&two));
        assert_eq!((&one[..], &two[..]), (&[wire(&["a", "b"])][..], &[wire(&["a", "b"])][..]));
        assert_eq!(one[0].as_ptr(), two[0].as_ptr());
    }

    #[test]
    fn another_audience_or_sender_does_not_go_with_what_waits() {
        let mut fan_out = FanOut::default();
        fan_out.add(&publication("a", 1, None), || [listener(1, 1000)].into_iter());
        assert!(!fan_out.goes_with(&publication("b", 2, None)));
        assert!(!fan_out.goes_with(&publication("b", 1, Some(1))));
        fan_out.flush();
        let (one, two) = (listener(1, 1000), listener(2, 1000));
        let next = publication("b", 2, Some(1));
        assert!(fan_out.goes_with(&next));
        fan_out.add(&next, || [one.clone(), two.clone()].into_iter());
        fan_out.flush();
        assert_eq!((received(&one), received(&two)), (vec![], vec![wire(&["b"])]));
    }

    #[test]
    fn when_there_is_enough_nothing_more_goes_with_it() {
        let mut fan_out = FanOut::default();
        let long = publication(&"x".repeat(ENOUGH), 1, None);
        fan_out.add(&long, || [listener(1, 1000)].into_iter());
        assert!(!fan_out.goes_with(&long));
        fan_out.flush();
        assert!(fan_out.goes_with(&long));
    }

    #[test]
    fn who_has_no_room_is_named_and_the_others_are_served() {
        let (slow, fast) = (listener(1, 10), listener(2, 1000));
        let mut fan_out = FanOut::default();
        for text in ["a", "b"] {
            fan_out.add(&publication(text, 1, None), || [slow.clone(), fast.clone()].into_iter());
            let expected = if text == "b" { vec![slow.0] } else { vec![] };
            assert_eq!(fan_out.flush(), expected);
        }
        assert_eq!(received(&slow), [wire(&["a"])]);
        assert_eq!(received(&fast), [wire(&["a"]), wire(&["b"])]);
    }
}
