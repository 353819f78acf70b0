//! A log that a flood cannot fill a disk with.

use std::fmt::{self, Write};
use std::time::{Duration, Instant};

use tracing::warn;

/// Lines about faults in one [`PERIOD`], at most.
const LINES: u32 = 20;
const PERIOD: Duration = Duration::from_secs(1);

/// The longest that is said about one fault, in bytes: clients choose some of it.
const LONGEST: usize = 300;

/// Writes what clients did wrong, and only counts what comes too fast. The
/// count is written when the period is over.
#[derive(Debug)]
pub(super) struct FaultLog {
    since: Instant,
    lines: u32,
    left_out: u64,
}

impl FaultLog {
    pub(super) fn new() -> Self {
        Self { since: Instant::now(), lines: 0, left_out: 0 }
    }

    /// Writes one line, if there is room for it.
    pub(super) fn tell(&mut self, peer: &dyn fmt::Display, what: &dyn fmt::Display) {
        if self.since.elapsed() >= PERIOD {
            self.end_period();
        }
        if self.lines < LINES {
            self.lines += 1;
            warn!(peer = %short(peer), "{}", short(what));
        } else {
            self.left_out += 1;
        }
    }

    /// When [`end_period`](Self::end_period) has something to say.
    pub(super) fn due(&self) -> Option<Instant> {
        (self.left_out > 0).then(|| self.since + PERIOD)
    }

    /// Writes how many lines were left out, and starts anew.
    pub(super) fn end_period(&mut self) {
        if self.left_out > 0 {
            warn!("{} more faults of clients were not logged one by one", self.left_out);
        }
        *self = Self::new();
    }
}

/// On one line, and no longer than it may be.
fn short(what: &dyn fmt::Display) -> String {
    let mut short = Short(String::new());
    if write!(short, "{what}").is_err() {
        short.0.push('…');
    }
    short.0
}

/// Takes no more than there is room for.
struct Short(String);

impl Write for Short {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            if self.0.len() >= LONGEST {
                return Err(fmt::Error);
            }
            self.0.push(if c.is_control() { ' ' } else { c });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_choose_is_one_line_and_not_a_long_one() {
        assert_eq!(short(&"[1,\n\u{1b}[2J2]"), "[1,  [2J2]");
        let long = "x".repeat(1 << 20);
        assert_eq!(short(&format_args!("unknown: {long}")).chars().count(), LONGEST + 1);
        assert!(short(&long).ends_with("x…"));
    }

    #[test]
    fn a_flood_is_counted_and_not_written() {
        let mut log = FaultLog::new();
        (0..LINES).for_each(|_| log.tell(&"peer", &"fault"));
        assert_eq!(log.due(), None);
        (0..1000).for_each(|_| log.tell(&"peer", &"fault"));
        assert!(log.due().is_some_and(|due| due <= Instant::now() + PERIOD));
        log.end_period();
        assert_eq!((log.due(), log.lines), (None, 0));
    }
}
