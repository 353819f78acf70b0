//! What happened to jobs: numbered, kept for a while, told to who asked.

use alloc::borrow::Cow;
use alloc::collections::{BTreeSet, VecDeque};
use alloc::string::{String, ToString};
use alloc::sync::Arc;

use super::job::Job;
use crate::bus::v1::{JobChange, WireState};
use crate::id::{JobId, SessionId};
use crate::spawner::ExitStatus;
use crate::time::Instant;

/// The events that are kept, so that who was away can catch up.
#[derive(Debug)]
pub(super) struct Story {
    entries: VecDeque<Entry>,
    keep: usize,
    /// The last event.
    pub(super) seq: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) seq: u64,
    pub(super) job: JobId,
    pub(super) owner: Option<SessionId>,
    pub(super) frame: Arc<str>,
    /// What must be on disk before anybody may know of it.
    after: u64,
}

impl Story {
    pub(super) const fn new(keep: usize, seq: u64) -> Self {
        Self { entries: VecDeque::new(), keep, seq }
    }

    pub(super) fn add(&mut self, job: JobId, owner: Option<SessionId>, frame: Arc<str>) -> Entry {
        let entry = Entry { seq: self.seq, job, owner, frame, after: u64::MAX };
        self.entries.push_back(entry.clone());
        if self.entries.len() > self.keep {
            self.entries.pop_front();
        }
        entry
    }

    /// This event may be told once so much is on disk.
    pub(super) fn publish(&mut self, seq: u64, after: u64) {
        let newest_first = self.entries.iter_mut().rev();
        if let Some(entry) = newest_first.take_while(|it| it.seq >= seq).find(|it| it.seq == seq) {
            entry.after = after;
        }
    }

    /// Forgets what has happened to these jobs.
    pub(super) fn forget(&mut self, jobs: &BTreeSet<JobId>) {
        self.entries.retain(|entry| !jobs.contains(&entry.job));
    }

    /// The events that anybody may know of when so much is on disk.
    pub(super) fn told(&self, persisted: u64) -> impl Iterator<Item = &Arc<str>> {
        let told = self.entries.iter().take_while(move |entry| entry.after <= persisted);
        told.map(|entry| &entry.frame)
    }

    /// The first event that is kept, or the next if none is.
    pub(super) fn first(&self) -> u64 {
        self.entries.front().map_or(self.seq + 1, |entry| entry.seq)
    }

    /// Every event after this one; `None` if some of them are gone, or if it
    /// has not happened yet (it was another bus that told it).
    pub(super) fn after(&self, seq: u64) -> Option<impl Iterator<Item = &Entry>> {
        let known = seq <= self.seq && seq + 1 >= self.first();
        known.then(|| self.entries.iter().filter(move |entry| entry.seq > seq))
    }
}

/// What there is to say about a change beyond the job and its state.
#[derive(Clone, Debug, Default)]
pub(super) struct Details {
    pub(super) by: Option<JobId>,
    pub(super) on: Option<String>,
    pub(super) ran_ms: Option<u64>,
    pub(super) exit: Option<ExitStatus>,
    pub(super) reason: Option<String>,
    pub(super) output: Option<String>,
    pub(super) retry_ms: Option<u64>,
}

impl Details {
    pub(super) fn change(
        self,
        job: &Job,
        state: WireState,
        seq: u64,
        now: Instant,
    ) -> JobChange<'static> {
        let (code, signal) = match self.exit {
            Some(ExitStatus::Code(code)) => (Some(code), None),
            Some(ExitStatus::Signal(signal)) => (None, Some(signal)),
            Some(ExitStatus::Unknown) | None => (None, None),
        };
        JobChange {
            seq,
            job: job.id.to_string(),
            state,
            attempt: job.attempt,
            priority: job.priority.number(),
            by: self.by.map(|by| by.to_string()),
            on: self.on.map(Cow::Owned),
            ran_ms: self.ran_ms,
            code,
            signal,
            reason: self.reason.map(Cow::Owned),
            output: self.output.map(Cow::Owned),
            retry_ms: self.retry_ms,
            last: state.is_final(),
            at: rfc3339(now),
        }
    }
}

/// A time of the bus, whose epoch is that of Unix, as RFC 3339 writes it.
///
/// The date from the days since the epoch: Howard Hinnant, "chrono-Compatible
/// Low-Level Date Algorithms", `civil_from_days`.
pub(super) fn rfc3339(at: Instant) -> String {
    let millis = at.as_nanos() / 1_000_000;
    let (days, in_day) = (millis / 86_400_000, millis % 86_400_000);
    let shifted = days + 719_468;
    let (era, in_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (in_era - in_era / 1460 + in_era / 36_524 - in_era / 146_096) / 365;
    let in_year = in_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * in_year + 2) / 153;
    let day = in_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute) = (in_day / 3_600_000, in_day / 60_000 % 60);
    let (second, milli) = (in_day / 1000 % 60, in_day % 1000);
    let parts = [
        (year, 4, '-'),
        (month, 2, '-'),
        (day, 2, 'T'),
        (hour, 2, ':'),
        (minute, 2, ':'),
        (second, 2, '.'),
        (milli, 3, 'Z'),
    ];
    let mut text = String::with_capacity("1970-01-01T00:00:00.000Z".len());
    for (number, digits, behind) in parts {
        push_digits(&mut text, number, digits);
        text.push(behind);
    }
    text
}

/// The last so many digits of a number. Every event has a time, so that the
/// detour through `format!` showed in the profile of the bus.
fn push_digits(text: &mut String, number: u64, digits: u32) {
    for place in (0..digits).rev() {
        let digit = number / 10_u64.pow(place) % 10;
        text.push(char::from(b'0' + digit as u8));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_dates() {
        let text = |secs| rfc3339(Instant::from_secs(secs));
        assert_eq!(text(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(text(951_782_399), "2000-02-28T23:59:59.000Z");
        assert_eq!(text(951_782_400), "2000-02-29T00:00:00.000Z");
        assert_eq!(text(4_102_444_800), "2100-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(Instant::from_millis(1_234)), "1970-01-01T00:00:01.234Z");
    }

    #[test]
    fn what_is_gone_is_not_left_out_in_silence() {
        let mut story = Story::new(2, 10);
        for _ in 0..4 {
            story.seq += 1;
            story.add(JobId::new(BinIndex::default(), 1), None, "x".into());
        }
        let seen = |seq| story.after(seq).map(|it| it.map(|entry| entry.seq).collect::<Vec<_>>());
        assert_eq!(seen(11), None);
        assert_eq!(seen(12), Some(alloc::vec![13, 14]));
        assert_eq!(seen(14), Some(alloc::vec![]));
        assert_eq!(seen(15), None, "never told");
    }
    use crate::id::BinIndex;
    use alloc::vec::Vec;
}
