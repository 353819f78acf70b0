//! What happened to jobs: numbered, kept for a while, told to who asked.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::collections::{BTreeSet, VecDeque};
use alloc::string::{String, ToString};
use alloc::sync::Arc;

use serde_json::value::{RawValue, to_raw_value};

use super::job::Job;
use crate::bus::v1::{JobChange, Reply, WireState};
use crate::id::{JobId, SessionId};
use crate::priority::Priority;
use crate::spawner::ExitStatus;
use crate::time::Instant;

/// For who is being told of the oldest events while more come, this part of them
/// is kept beyond what may be asked for.
const SPARE: usize = 8;

/// The events that are kept, so that who was away can catch up. Their texts are
/// made when somebody wants them: mostly nobody does.
#[derive(Debug)]
pub(super) struct Story {
    entries: VecDeque<Arc<Entry>>,
    keep: usize,
    /// The last event that is no longer here.
    gone: u64,
    /// The last event.
    pub(super) seq: u64,
}

/// Something that has happened to a job.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) seq: u64,
    pub(super) job: JobId,
    pub(super) owner: Option<SessionId>,
    /// What must be on disk before anybody may know of it.
    pub(super) after: u64,
    state: WireState,
    attempt: u32,
    priority: Priority,
    at: Instant,
    details: Details,
}

/// An outcome that is kept.
#[derive(Debug)]
pub(super) enum Ended {
    /// An event of this bus.
    Event(Arc<Entry>),
    /// As it was told before a restart.
    Told(Box<RawValue>),
}

impl Story {
    pub(super) const fn new(keep: usize, seq: u64) -> Self {
        Self { entries: VecDeque::new(), keep, gone: 0, seq }
    }

    pub(super) fn add(&mut self, entry: Arc<Entry>) {
        self.entries.push_back(entry);
        if self.entries.len() > self.keep + self.keep / SPARE {
            self.gone = self.entries.pop_front().map_or(self.gone, |entry| entry.seq);
        }
    }

    /// Forgets what has happened to these jobs.
    pub(super) fn forget(&mut self, jobs: &BTreeSet<JobId>) {
        self.entries.retain(|entry| !jobs.contains(&entry.job));
    }

    /// The events that anybody may know of when so much is on disk.
    pub(super) fn told(&self, persisted: u64) -> impl Iterator<Item = &Entry> {
        let told = self.entries.iter().take_while(move |entry| entry.after <= persisted);
        told.map(|entry| &**entry)
    }

    /// The first event from which on anybody may be told, or the next if there is
    /// none.
    pub(super) fn first(&self) -> u64 {
        let spare = self.entries.len().saturating_sub(self.keep);
        self.entries.get(spare).map_or(self.seq + 1, |entry| entry.seq)
    }

    /// Every event after this one; `None` if some of them are gone, or if it
    /// has not happened yet (it was another bus that told it).
    pub(super) fn after(&self, seq: u64) -> Option<impl Iterator<Item = &Arc<Entry>>> {
        let known = seq <= self.seq && seq + 1 >= self.first();
        known.then(|| self.from(seq + 1))
    }

    /// This event and every later one that is here.
    pub(super) fn from(&self, seq: u64) -> impl Iterator<Item = &Arc<Entry>> {
        self.entries.range(self.entries.partition_point(|entry| entry.seq < seq)..)
    }

    /// Whether this event may have happened and is no longer here.
    pub(super) const fn is_gone(&self, seq: u64) -> bool {
        seq <= self.gone
    }
}

/// What there is to say about a change beyond the job and its state.
#[derive(Clone, Debug, Default)]
pub(super) struct Details {
    pub(super) by: Option<JobId>,
    pub(super) on: Option<Arc<str>>,
    pub(super) ran_ms: Option<u64>,
    pub(super) exit: Option<ExitStatus>,
    pub(super) reason: Option<String>,
    pub(super) output: Option<String>,
    pub(super) retry_ms: Option<u64>,
    pub(super) slot: Option<u32>,
    pub(super) room_for: Option<JobId>,
    pub(super) grace_ms: Option<u64>,
}

impl Entry {
    pub(super) fn new(
        (seq, at): (u64, Instant),
        job: &Job,
        state: WireState,
        details: Details,
    ) -> Self {
        Self {
            seq,
            job: job.id,
            owner: job.owner(),
            after: 0,
            state,
            attempt: job.attempt,
            priority: job.priority,
            at,
            details,
        }
    }

    /// The same, without what the process wrote: that may be much.
    pub(super) fn without_output(self: &Arc<Self>) -> Arc<Self> {
        if self.details.output.is_none() {
            return self.clone();
        }
        let mut shorter = Self::clone(self);
        shorter.details.output = None;
        Arc::new(shorter)
    }

    /// As it is told, if it can be written as JSON: nothing in it cannot.
    pub(super) fn frame(&self) -> Option<Arc<str>> {
        serde_json::to_string(&Reply::Job(self.change())).ok().map(Arc::from)
    }

    pub(super) fn change(&self) -> JobChange<'_> {
        let details = &self.details;
        let (code, signal) = match details.exit {
            Some(ExitStatus::Code(code)) => (Some(code), None),
            Some(ExitStatus::Signal(signal)) => (None, Some(signal)),
            Some(ExitStatus::Unknown) | None => (None, None),
        };
        JobChange {
            seq: self.seq,
            job: self.job.to_string(),
            state: self.state,
            attempt: self.attempt,
            priority: self.priority.number(),
            by: details.by.map(|by| by.to_string()),
            on: details.on.as_deref().map(Cow::Borrowed),
            ran_ms: details.ran_ms,
            code,
            signal,
            reason: details.reason.as_deref().map(Cow::Borrowed),
            output: details.output.as_deref().map(Cow::Borrowed),
            retry_ms: details.retry_ms,
            slot: details.slot,
            room_for: details.room_for.map(|job| job.to_string()),
            grace_ms: details.grace_ms,
            last: self.state.is_final(),
            at: rfc3339(self.at),
        }
    }
}

impl Ended {
    /// As it is told, if it can be written as JSON: nothing in it cannot.
    pub(super) fn told(&self) -> Option<Cow<'_, RawValue>> {
        match self {
            Self::Event(entry) => to_raw_value(&entry.change()).ok().map(Cow::Owned),
            Self::Told(told) => Some(Cow::Borrowed(told)),
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
        let payload = RawValue::from_string("{}".to_string()).unwrap();
        let (id, priority) = (JobId::new(BinIndex::default(), 1), Priority::new(1));
        let job = Job::new(id, payload, priority, Default::default(), None, Instant::ZERO);
        let mut story = Story::new(2, 10);
        for _ in 0..4 {
            story.seq += 1;
            let at = (story.seq, Instant::ZERO);
            story.add(Arc::new(Entry::new(at, &job, WireState::Pending, Details::default())));
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
