//! Events for whoever wants to know, without harm to anybody else.

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
}

impl Subscription {
    /// The next one; `None` when the scheduler has ended.
    pub async fn next(&mut self) -> Option<Notice> {
        self.notices.recv().await.ok()
    }
}

/// The scheduler's side of a subscription.
#[derive(Debug)]
pub(super) struct Subscriber {
    notices: Sender<Notice>,
    missed: u64,
}

pub(super) fn pair() -> (Subscriber, Subscription) {
    let (sender, notices) = async_channel::bounded(BACKLOG);
    (Subscriber { notices: sender, missed: 0 }, Subscription { notices })
}

impl Subscriber {
    /// Passes an event on. Returns whether the subscriber is still there.
    pub(super) fn tell(&mut self, event: &Event) -> bool {
        if self.missed > 0 && self.send(Notice::Missed(self.missed)) == Sent::Done {
            self.missed = 0;
        }
        let sent = match self.missed {
            0 => self.send(Notice::Event(event.clone())),
            _ => Sent::Full,
        };
        self.missed += u64::from(sent == Sent::Full);
        sent != Sent::Gone
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
        let (mut subscriber, subscription) = pair();
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
}
