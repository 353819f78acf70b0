//! Events for whoever wants to know, without harm to anybody else.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_channel::{Receiver, Sender, TrySendError};
use sched_core::Event;

/// How many events a subscriber may be behind before it misses some.
const BACKLOG: usize = 4096;

/// What a [`Subscription`] yields.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Notice {
    /// Something happened.
    Event(Event),
    /// The subscriber was too slow; so many events are missing here.
    Missed(u64),
}

/// The events of a scheduler, in order.
///
/// A subscriber that falls more than a few thousand events behind misses
/// some, and is told how many. Nobody waits for it.
#[derive(Debug)]
pub struct Subscription {
    notices: Receiver<Notice>,
    missed: Arc<AtomicU64>,
}

impl Subscription {
    /// The next one; `None` when the scheduler has ended and all is told, that
    /// something is missing as well.
    pub async fn next(&mut self) -> Option<Notice> {
        match self.notices.recv().await {
            Ok(notice) => Some(notice),
            Err(_) => match self.missed.swap(0, Ordering::Relaxed) {
                0 => None,
                missed => Some(Notice::Missed(missed)),
            },
        }
    }
}

/// The scheduler's side of a subscription.
#[derive(Debug)]
pub(crate) struct Subscriber {
    notices: Sender<Notice>,
    /// Events that were not told, and not yet told as missing either. The
    /// subscription reads it only when this side has gone.
    missed: Arc<AtomicU64>,
}

/// Both ends of a subscription.
pub(crate) fn pair() -> (Subscriber, Subscription) {
    let (sender, notices) = async_channel::bounded(BACKLOG);
    let missed = Arc::new(AtomicU64::new(0));
    (Subscriber { notices: sender, missed: missed.clone() }, Subscription { notices, missed })
}

impl Subscriber {
    /// Passes an event on. Returns whether the subscriber is still there.
    pub(crate) fn tell(&self, event: &Event) -> bool {
        let missed = self.missed.load(Ordering::Relaxed);
        if missed > 0 && self.send(Notice::Missed(missed)) != Sent::Done {
            self.missed.fetch_add(1, Ordering::Relaxed);
            return !self.notices.is_closed();
        }
        self.missed.store(0, Ordering::Relaxed);
        let sent = self.send(Notice::Event(event.clone()));
        self.missed.fetch_add(u64::from(sent == Sent::Full), Ordering::Relaxed);
        sent != Sent::Gone
    }

    /// So many events were missed before they came here.
    pub(crate) fn miss(&self, count: u64) {
        self.missed.fetch_add(count, Ordering::Relaxed);
    }

    fn send(&self, notice: Notice) -> Sent {
        match self.notices.try_send(notice) {
            Ok(()) => Sent::Done,
            Err(TrySendError::Full(_)) => Sent::Full,
            Err(TrySendError::Closed(_)) => Sent::Gone,
        }
    }
}

#[derive(PartialEq, Eq)]
enum Sent {
    Done,
    Full,
    Gone,
}

#[cfg(test)]
mod tests {
    use super::*;
    use sched_core::{EventKind, Instant};

    fn event(count: usize) -> Event {
        Event { at: Instant::from_nanos(count as u64), kind: EventKind::Paused }
    }

    #[test]
    fn a_slow_subscriber_is_told_how_many_events_it_missed() {
        let (subscriber, subscription) = pair();
        for count in 0..BACKLOG + 10 {
            assert!(subscriber.tell(&event(count)));
        }
        for count in 0..BACKLOG {
            assert_eq!(subscription.notices.try_recv(), Ok(Notice::Event(event(count))));
        }
        assert!(subscriber.tell(&event(7)));
        assert_eq!(subscription.notices.try_recv(), Ok(Notice::Missed(10)));
        assert_eq!(subscription.notices.try_recv(), Ok(Notice::Event(event(7))));
        drop(subscription);
        assert!(!subscriber.tell(&event(8)));
    }

    #[test]
    fn what_is_missing_at_the_end_is_told_at_the_end() {
        let (subscriber, mut subscription) = pair();
        (0..BACKLOG + 3).for_each(|count| assert!(subscriber.tell(&event(count))));
        drop(subscriber);
        smol::block_on(async {
            for count in 0..BACKLOG {
                assert_eq!(subscription.next().await, Some(Notice::Event(event(count))));
            }
            assert_eq!(subscription.next().await, Some(Notice::Missed(3)));
            assert_eq!(subscription.next().await, None);
        });
    }
}
