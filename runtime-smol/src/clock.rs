//! The driver's clock: what `core` calls an instant, read from the system's
//! monotonic clock.

use std::time::{self, Duration};

use rustix::time::{ClockId, clock_gettime};
use sched_core::Instant;
use smol::Timer;

/// A monotonic clock.
///
/// Everything that talks to one machine of `core` must read one clock; copies
/// share their epoch. The time a machine sleeps (suspend) does not count.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    made: time::Instant,
    /// What it showed then.
    start: Instant,
}

impl Clock {
    /// A clock that starts at zero now.
    #[must_use]
    pub fn new() -> Self {
        Self { made: time::Instant::now(), start: Instant::ZERO }
    }

    /// A clock that shows the time since the beginning of 1970, as the system
    /// knew it when the clock was made. From then on it is as monotonic as any
    /// other: it does not follow when the system's time is set. A system whose
    /// time is before 1970 is taken to be at its beginning.
    #[must_use]
    pub fn unix() -> Self {
        let since_1970 = time::SystemTime::now().duration_since(time::UNIX_EPOCH);
        let start = Instant::from(since_1970.unwrap_or_default());
        Self { made: time::Instant::now(), start }
    }

    /// The time of this clock.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.at(time::Instant::now())
    }

    /// What this clock showed when the system called it `system_time`.
    pub(crate) fn at(&self, system_time: time::Instant) -> Instant {
        self.start + system_time.saturating_duration_since(self.made)
    }

    /// What the system calls `at`, or the time at which this clock was made if
    /// that is later; `None`: nothing, it is too far away.
    pub(crate) fn system_time_of(&self, at: Instant) -> Option<time::Instant> {
        self.made.checked_add(at - self.start)
    }

    /// Waits until `at`, never less; at once if that is past. A time beyond
    /// what the system can name, such as [`Instant::FAR_FUTURE`], never comes.
    pub async fn sleep_until(&self, at: Instant) {
        match self.system_time_of(at) {
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

/// How long this machine has been suspended, which no [`Clock`] counts.
#[derive(Debug)]
pub(crate) struct Suspensions {
    told: Duration,
}

impl Suspensions {
    /// From now on.
    pub(crate) fn new() -> Self {
        Self { told: (0..3).map(|_| suspended()).max().unwrap_or_default() }
    }

    /// How long since this was asked last.
    pub(crate) fn since_last(&mut self) -> Duration {
        /// Less is no suspension but a thread that was held up between two looks.
        const SHORTEST: Duration = Duration::from_millis(100);
        let (before, now) = (self.told, suspended());
        if now < before + SHORTEST {
            return Duration::ZERO;
        }
        self.told = now;
        now - before
    }
}

/// How long this machine has been suspended since it was started: never too much,
/// for the clock that counts it is looked at first.
fn suspended() -> Duration {
    let [all, awake] = [ClockId::Boottime, ClockId::Monotonic].map(|clock| {
        // Both are positive.
        Duration::try_from(clock_gettime(clock)).unwrap_or_default()
    });
    all.saturating_sub(awake)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suspension_is_told_once() {
        let mut suspensions = Suspensions::new();
        assert_eq!(suspensions.since_last(), Duration::ZERO);
        let earlier = Suspensions::new().told.checked_sub(Duration::from_secs(5));
        // Where the machine has never been suspended there is nothing to be told.
        let Some(earlier) = earlier else { return };
        suspensions.told = earlier;
        assert!(suspensions.since_last() >= Duration::from_secs(5));
        assert_eq!(suspensions.since_last(), Duration::ZERO);
    }

    #[test]
    fn sleeps_until_the_time_and_never_less() {
        let clock = Clock::new();
        let at = clock.now() + Duration::from_millis(3);
        smol::block_on(clock.sleep_until(at));
        assert!(clock.now() >= at, "woke at {}, asked for {at}", clock.now());
    }

    #[test]
    fn a_unix_clock_shows_the_date_and_sleeps_like_any_other() {
        let clock = Clock::unix();
        let now = clock.now();
        assert!(now > Instant::from_secs(1_600_000_000), "{now}");
        smol::block_on(clock.sleep_until(Instant::from_secs(1)));
        let at = clock.now() + Duration::from_millis(3);
        smol::block_on(clock.sleep_until(at));
        assert!((3..1000).contains(&(clock.now() - now).as_millis()));
    }

    #[test]
    fn the_far_future_is_not_now() {
        let clock = Clock::new();
        let woke = smol::block_on(smol::future::poll_once(clock.sleep_until(Instant::FAR_FUTURE)));
        assert_eq!(woke, None);
    }
}
