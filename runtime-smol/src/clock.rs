//! The driver's clock: what `core` calls an instant, read from the system's
//! monotonic clock.

use std::time;

use sched_core::Instant;
use smol::Timer;

/// A monotonic clock whose epoch is the moment it was made.
///
/// Everything that talks to one machine of `core` must read one clock; copies
/// share their epoch. The time a machine sleeps (suspend) does not count.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    epoch: time::Instant,
}

impl Clock {
    /// A clock that starts at zero now.
    #[must_use]
    pub fn new() -> Self {
        Self { epoch: time::Instant::now() }
    }

    /// The time since this clock was made.
    #[must_use]
    pub fn now(&self) -> Instant {
        Instant::from(self.epoch.elapsed())
    }

    /// Waits until `at`, never less; at once if that is past. A time beyond
    /// what the system can name, such as [`Instant::FAR_FUTURE`], never comes.
    pub async fn sleep_until(&self, at: Instant) {
        match self.epoch.checked_add(at - Instant::ZERO) {
            Some(at) => drop(Timer::at(at).await),
            None => drop(Timer::never().await),
        }
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn sleeps_until_the_time_and_never_less() {
        let clock = Clock::new();
        let at = clock.now() + Duration::from_millis(3);
        smol::block_on(clock.sleep_until(at));
        assert!(clock.now() >= at, "woke at {}, asked for {at}", clock.now());
    }

    #[test]
    fn the_far_future_is_not_now() {
        let clock = Clock::new();
        let woke = smol::block_on(smol::future::poll_once(clock.sleep_until(Instant::FAR_FUTURE)));
        assert_eq!(woke, None);
    }
}
