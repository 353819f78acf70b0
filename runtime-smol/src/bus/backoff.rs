//! How long a client waits before it tries to connect again.

use std::time::Duration;

/// Doubling waits up to a cap, each shortened at random by up to a half, so
/// that the clients of a bus that comes back do not all knock at once.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
    cap: Duration,
}

const FIRST: Duration = Duration::from_millis(100);

impl Backoff {
    pub(super) const fn new(cap: Duration) -> Self {
        Self { next: FIRST, cap }
    }

    /// How long to wait this time.
    pub(super) fn next(&mut self) -> Duration {
        let wait = self.next.min(self.cap);
        self.next = (wait * 2).min(self.cap);
        wait.mul_f64(0.5 + fastrand::f64() / 2.0)
    }

    /// A connection has held for so long. If that was longer than the longest
    /// wait, the next wait is a short one again; a bus that accepts and closes
    /// at once is not to be flooded.
    pub(super) fn held(&mut self, time: Duration) {
        if time >= self.cap {
            self.next = FIRST;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAP: Duration = Duration::from_secs(1);

    #[test]
    fn waits_double_up_to_the_cap_and_jitter_below() {
        let mut backoff = Backoff::new(CAP);
        for most in [100, 200, 400, 800, 1000, 1000].map(Duration::from_millis) {
            let wait = backoff.next();
            assert!(wait >= most / 2 && wait <= most, "{wait:?} of {most:?}");
        }
    }

    #[test]
    fn only_a_connection_that_held_makes_waits_short_again() {
        let mut backoff = Backoff::new(CAP);
        let most = (0..9).map(|_| backoff.next()).max();
        assert!(most <= Some(CAP));
        backoff.held(CAP / 2);
        assert!(backoff.next() >= CAP / 2);
        backoff.held(CAP);
        assert!(backoff.next() <= FIRST);
    }
}
