//! A log of what this machine is out of, which a long want cannot fill a disk with.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sched_core::SpawnFailure;

/// The least time from one line to the next.
const EVERY: Duration = Duration::from_secs(30);

static LOG: Mutex<WantLog> = Mutex::new(WantLog { last: None, left_out: 0 });

/// Says why nothing can be started now. A scheduler that pauses and tries again
/// tells that it does, but not the reason, and whoever could make room on a full
/// disk must know of it.
pub(super) fn tell(why: &SpawnFailure) {
    let line = LOG.lock().unwrap_or_else(PoisonError::into_inner).line(Instant::now());
    if let Some(left_out) = line {
        tracing::error!(left_out, "this machine is exhausted: {why}");
    }
}

#[derive(Debug)]
struct WantLog {
    last: Option<Instant>,
    left_out: u64,
}

impl WantLog {
    /// Whether there is a line now, and how many were left out before it.
    fn line(&mut self, now: Instant) -> Option<u64> {
        if self.last.is_some_and(|last| now.duration_since(last) < EVERY) {
            self.left_out += 1;
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_want_is_told_now_and_then_and_counted() {
        let mut log = WantLog { last: None, left_out: 0 };
        let start = Instant::now();
        assert_eq!(log.line(start), Some(0));
        for seconds in 1..30 {
            assert_eq!(log.line(start + Duration::from_secs(seconds)), None);
        }
        assert_eq!(log.line(start + EVERY), Some(29));
        assert_eq!(log.line(start + EVERY), None);
    }
}
