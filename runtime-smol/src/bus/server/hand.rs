//! Whose hand writes what waits for the disk.

use std::time::{Duration, Instant};

use super::tries::Tries;

/// So many records are those of one who speaks alone, or of some who speak one
/// after another.
const FEW: usize = 4;

/// A good part of a commit, and many times what a client takes to answer.
const LONG_WAY: Duration = Duration::from_micros(100);

/// Whether the thread that has the hub writes by its own hand.
///
/// A few records it has written sooner than another thread is woken for them, if
/// nobody speaks meanwhile; if somebody does, the hub goes from one thread to
/// the other, and what it needs from one processor's memory to the other's. Of
/// many there will be more before these are written: one thread goes on to
/// write, and the other has time for the hub.
#[derive(Debug, Default)]
pub(super) struct Hand {
    is_own: bool,
    /// To write by its own hand.
    tries: Tries,
    /// When it may give way again.
    way_is_free: Option<Instant>,
}

impl Hand {
    /// Chooses for so many records that wait while nobody writes.
    pub(super) const fn choose(&mut self, waiting: usize) {
        self.is_own = 0 < waiting && waiting <= FEW && (self.is_own || self.tries.is_time());
    }

    /// Whether it will write by its own hand.
    pub(super) const fn is_own(&self) -> bool {
        self.is_own
    }

    /// Whether to give way to others before that, who may be about to speak: what
    /// goes to the disk together costs one commit.
    pub(super) fn gives_way(&self, now: Instant) -> bool {
        self.is_own && self.way_is_free.is_none_or(|free| free <= now)
    }

    /// It gave way until `now`. Clients take little, and programs that have much to
    /// do more than the commit would: these get a hundredth of the time.
    pub(super) fn gave_way(&mut self, took: Duration, now: Instant) {
        if took >= LONG_WAY {
            self.way_is_free = Some(now + took.saturating_mul(100));
        }
    }

    /// Whether it is to write by its own hand now. What came of it is to be
    /// [told](Self::ended).
    pub(super) const fn take(&mut self) -> bool {
        std::mem::replace(&mut self.is_own, false)
    }

    /// The hub was left alone until it was written, or was not.
    pub(super) fn ended(&mut self, left_alone: bool) {
        self.tries.ended(left_alone);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_gives_way_where_that_takes_little() {
        let (mut hand, now) = (Hand::default(), Instant::now());
        assert!(!hand.gives_way(now), "there is nothing to write");
        hand.choose(1);
        hand.gave_way(LONG_WAY / 2, now);
        assert!(hand.gives_way(now));
        hand.gave_way(LONG_WAY, now);
        assert!(!hand.gives_way(now + 99 * LONG_WAY));
        assert!(hand.gives_way(now + 100 * LONG_WAY));
    }

    fn chosen(hand: &mut Hand, waiting: usize) -> bool {
        hand.choose(waiting);
        hand.is_own()
    }

    #[test]
    fn what_one_says_alone_is_written_by_the_own_hand() {
        let mut hand = Hand::default();
        for _ in 0..3 {
            assert!(!chosen(&mut hand, 0) && !hand.take());
            assert!(chosen(&mut hand, 1) && chosen(&mut hand, FEW) && hand.take());
            hand.ended(true);
        }
        assert!(!chosen(&mut hand, FEW + 1) && !hand.take());
        assert!(chosen(&mut hand, 1) && !chosen(&mut hand, FEW + 1), "it has become more");
    }

    #[test]
    fn who_is_not_left_alone_tries_it_less() {
        let mut hand = Hand::default();
        for passed in [0, 1, 2, 4] {
            (0..passed).for_each(|_| assert!(!chosen(&mut hand, 1)));
            assert!(
                chosen(&mut hand, 1) && chosen(&mut hand, 1),
                "it stays so until it is written"
            );
            assert!(hand.take());
            hand.ended(false);
        }
    }
}
