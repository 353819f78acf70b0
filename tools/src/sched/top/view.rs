//! What is known of a bus.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use sched_core::bus::v1::HeardChange;

use crate::sched::words::one_line;
use crate::sched::{Snapshot, sentence};

/// How many events are kept to be shown.
const LOG: usize = 50;
/// How many of before are asked for at the start.
const BEFORE: u64 = 10;
/// A snapshot is taken every second; one that is older was not answered.
const OLD: Duration = Duration::from_secs(3);

/// What is known of a bus: a snapshot, and what was told since.
#[derive(Debug)]
pub(super) struct View {
    pub(super) address: String,
    pub(super) durable: bool,
    pub(super) snapshot: Snapshot,
    /// The last events, each in a line; the newest last.
    pub(super) log: VecDeque<String>,
    taken: Instant,
    /// Why the bus is not heard; `None`: it is.
    away: Option<String>,
    /// The last event that was told.
    told: u64,
}

/// How what is shown relates to what is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Link {
    Connected,
    /// What is shown is so old, for this reason.
    Stale(Duration, String),
}

impl View {
    pub(super) fn new(address: String, durable: bool, snapshot: Snapshot) -> Self {
        let mut view = Self {
            address,
            durable,
            snapshot,
            log: VecDeque::new(),
            taken: Instant::now(),
            away: None,
            told: 0,
        };
        view.told = view.begin_of_log().unwrap_or(view.snapshot.seq);
        view
    }

    /// After which event to begin to tell, for some of before to be in the log.
    pub(super) fn begin_of_log(&self) -> Option<u64> {
        let Snapshot { seq, oldest, .. } = self.snapshot;
        let begin = seq.saturating_sub(BEFORE).max(oldest.saturating_sub(1));
        (begin < seq).then_some(begin)
    }

    /// Whether all events up to the snapshot were told.
    pub(super) const fn is_complete(&self) -> bool {
        self.told >= self.snapshot.seq
    }

    pub(super) fn handle_event(&mut self, text: &str) {
        let Ok(change) = serde_json::from_str::<HeardChange<'_>>(text) else {
            return self.note("an event that cannot be understood");
        };
        self.told = change.seq;
        let time = change.at.get(11..19).unwrap_or("--:--:--");
        self.note(&format!("{time}  {}", sentence(&change)));
    }

    pub(super) fn handle_snapshot(&mut self, snapshot: Snapshot) {
        if snapshot.seq > self.told {
            self.note(&format!("events {} to {} were not told", self.told + 1, snapshot.seq));
        }
        self.told = snapshot.seq;
        self.snapshot = snapshot;
        self.taken = Instant::now();
        self.away = None;
    }

    pub(super) fn handle_away(&mut self, why: &str) {
        self.note(&format!("the bus is gone ({why}); waiting for it"));
        self.away = Some(one_line(why));
    }

    /// It is there again; until it has sent a snapshot, what is shown is old.
    pub(super) fn handle_back(&mut self, durable: bool) {
        self.note("the bus is there again");
        self.durable = durable;
    }

    pub(super) fn handle_new_bus(&mut self, durable: bool) {
        self.note("the bus was started anew, and counts from the start");
        self.durable = durable;
        self.told = 0;
    }

    pub(super) fn link(&self, now: Instant) -> Link {
        let age = now.saturating_duration_since(self.taken);
        match &self.away {
            Some(why) => Link::Stale(age, why.clone()),
            None if age > OLD => Link::Stale(age, "no answer".to_owned()),
            None => Link::Connected,
        }
    }

    fn note(&mut self, line: &str) {
        if self.log.len() >= LOG {
            self.log.pop_front();
        }
        self.log.push_back(one_line(line));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(seq: u64, oldest: u64) -> Snapshot {
        Snapshot { seq, oldest, ..Snapshot::default() }
    }

    fn event(seq: u64) -> String {
        format!(
            r#"{{"ev":"job","seq":{seq},"job":"j3","state":"running","attempt":1,"priority":4,
            "on":"g\u001b[2J1","final":false,"at":"2026-01-01T09:08:07.000Z"}}"#
        )
    }

    #[test]
    fn the_log_begins_at_what_is_kept() {
        let begin =
            |seq, oldest| View::new(String::new(), false, snapshot(seq, oldest)).begin_of_log();
        assert_eq!([begin(0, 1), begin(3, 1), begin(30, 1)], [None, Some(0), Some(20)]);
        assert_eq!([begin(30, 28), begin(30, 31)], [Some(27), None]);
    }

    #[test]
    fn what_was_not_told_is_said_and_the_log_is_bounded() {
        let mut view = View::new(String::new(), false, snapshot(2, 1));
        assert!(!view.is_complete());
        view.handle_event(&event(1));
        view.handle_event(&event(2));
        assert!(view.is_complete());
        assert_eq!(view.log[0], "09:08:07  j3 runs (on g [2J1)", "nothing that steers a terminal");
        view.handle_snapshot(snapshot(2, 1));
        assert_eq!(view.log.len(), 2);
        view.handle_snapshot(snapshot(9, 1));
        assert_eq!(view.log[2], "events 3 to 9 were not told");
        (10..1000).for_each(|seq| view.handle_event(&event(seq)));
        assert_eq!(view.log.len(), LOG);
    }

    #[test]
    fn what_is_old_is_called_stale_until_a_snapshot_comes() {
        let mut view = View::new(String::new(), false, snapshot(0, 1));
        let (now, long) = (view.taken, Duration::from_secs(60));
        assert_eq!(view.link(now), Link::Connected);
        assert_eq!(view.link(now + long), Link::Stale(long, "no answer".to_owned()));
        view.handle_away("re\nset");
        assert_eq!(view.link(now + long), Link::Stale(long, "re set".to_owned()));
        view.handle_new_bus(true);
        assert_eq!(view.link(now), Link::Stale(Duration::ZERO, "re set".to_owned()));
        view.handle_snapshot(snapshot(0, 1));
        assert_eq!(view.link(view.taken), Link::Connected);
    }
}
