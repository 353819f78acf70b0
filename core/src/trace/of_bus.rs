//! A trace of what a bus told.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;

use serde::{Deserialize, Serialize};

use super::tracks::{Ending, Run, Track, Tracks, just_before};
use crate::bus::v1::HeardChange;
use crate::id::JobId;
use crate::spawner::ExitStatus;
use crate::time::{Duration, Instant};

/// The signal of a kill.
const KILL: i32 = 9;

/// Of a reason, so many bytes are shown.
const REASON: usize = 200;

/// Writes the events of a bus as a trace. See the [module](super).
///
/// A scheduler that does not say in which slot a job runs has it in the slot of
/// its victim, or else in the first that is free. One that does not say when it
/// asked a victim to end did so when the job that evicts it was assigned. What
/// is told is told by the bus's clock: a run begins when the bus hears of it.
#[derive(Debug)]
pub struct BusTrace {
    tracks: Tracks,
    schedulers: BTreeMap<String, Scheduler>,
    assigned: BTreeMap<JobId, Assigned>,
    /// When it could no longer be said of a run whether it went on.
    doubts: BTreeMap<JobId, Instant>,
    heard: Option<Heard>,
    missing: u64,
}

#[derive(Debug)]
struct Scheduler {
    process: u32,
    /// Since when each slot that was in use is free; `None`: it is not.
    slots: BTreeMap<u32, Option<Instant>>,
}

/// A job that a scheduler has, and has not started.
#[derive(Debug)]
struct Assigned {
    on: String,
    at: Instant,
    /// What a victim of it has left free.
    freed: Option<u32>,
}

/// What has been told.
#[derive(Clone, Copy, Debug)]
struct Heard {
    first: u64,
    last: u64,
    until: Instant,
}

/// Why a line of recorded events is of no use.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TraceError {
    /// It is not a JSON object with the fields of an event.
    NotAnEvent(String),
    /// Its `at` is no time.
    NoTime(String),
    /// Its `job` is no job's id.
    NoJob(String),
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    ev: alloc::borrow::Cow<'a, str>,
    #[serde(default)]
    seq: u64,
}

/// What a trace says about itself.
#[derive(Serialize)]
struct About {
    #[serde(skip_serializing_if = "Option::is_none")]
    first_event: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_event: Option<u64>,
    /// Those before the first, which it does not hold.
    earlier_events: u64,
    /// Those between the first and the last which it does not hold.
    missing_events: u64,
}

impl BusTrace {
    /// Begins a trace.
    #[must_use]
    pub fn begin(out: &mut String) -> Self {
        Self {
            tracks: Tracks::begin(out),
            schedulers: BTreeMap::new(),
            assigned: BTreeMap::new(),
            doubts: BTreeMap::new(),
            heard: None,
            missing: 0,
        }
    }

    /// Reads a line of recorded events. What is no event of a job is passed
    /// over.
    ///
    /// # Errors
    ///
    /// It makes no sense. Nothing has changed.
    pub fn line(&mut self, out: &mut String, line: &str) -> Result<(), TraceError> {
        let not_an_event = |why: serde_json::Error| TraceError::NotAnEvent(why.to_string());
        let head: Head<'_> = serde_json::from_str(line).map_err(not_an_event)?;
        match &*head.ev {
            "job" => self.tell(out, &serde_json::from_str(line).map_err(not_an_event)?),
            // `sched events --json` says so where it was away for too long.
            "resync" => {
                self.events_are_missing(out, head.seq);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Something has happened. What was told before is passed over.
    ///
    /// # Errors
    ///
    /// It makes no sense. Nothing has changed.
    pub fn tell(&mut self, out: &mut String, change: &HeardChange<'_>) -> Result<(), TraceError> {
        let at = change.time().ok_or_else(|| TraceError::NoTime(change.at.clone().into_owned()))?;
        let no_job = || TraceError::NoJob(change.job.clone().into_owned());
        let job = JobId::parse(&change.job).ok_or_else(no_job)?;
        let Some(at) = self.hear(out, change.seq, at) else { return Ok(()) };
        match &*change.state {
            "assigned" => self.assigned(out, job, change, at),
            "running" => self.running(out, job, change, at),
            "stopping" => self.stopping(job, change, at),
            _ => self.ended(out, job, change, at),
        }
        if change.last {
            self.assigned.remove(&job);
            self.tracks.forget(job);
        }
        Ok(())
    }

    /// How many events before the first one, and how many between it and the
    /// last, were not told.
    #[must_use]
    pub const fn not_here(&self) -> (u64, u64) {
        let earlier = match &self.heard {
            Some(heard) => heard.first.saturating_sub(1),
            None => 0,
        };
        (earlier, self.missing)
    }

    /// Ends it. What runs then is shown until `now`, or the last event. A
    /// viewer shows a trace that was cut off as well.
    pub fn end(mut self, out: &mut String, now: Option<Instant>) {
        let until = self.heard.map_or(Instant::ZERO, |heard| heard.until);
        let until = now.unwrap_or(until).max(until);
        for job in self.tracks.running() {
            match self.doubts.get(&job) {
                Some(at) => self.tracks.ended(out, job, Ending::new(*at, "unknown")),
                None => self.tracks.ended(out, job, Ending::new(until, "running")),
            };
        }
        let (earlier_events, missing_events) = self.not_here();
        let about = About {
            first_event: self.heard.map(|heard| heard.first),
            last_event: self.heard.map(|heard| heard.last),
            earlier_events,
            missing_events,
        };
        self.tracks.end(out, Some(&about));
    }

    /// When this event happened; `None`: it was told before. Time never goes
    /// back, also where the clock of the bus did between two starts of it.
    fn hear(&mut self, out: &mut String, seq: u64, at: Instant) -> Option<Instant> {
        let Some(heard) = self.heard else {
            self.heard = Some(Heard { first: seq, last: seq, until: at });
            if seq > 1 {
                let remark = format!("{} earlier events are not here", seq - 1);
                self.tracks.remark(out, at, &remark);
            }
            return Some(at);
        };
        if seq <= heard.last {
            return None;
        }
        if seq > heard.last + 1 {
            self.events_are_missing(out, seq - 1);
        }
        let heard = self.heard.as_mut()?;
        heard.last = seq;
        heard.until = heard.until.max(at);
        Some(heard.until)
    }

    /// The events up to this one are not here, as far as they were not told.
    fn events_are_missing(&mut self, out: &mut String, up_to: u64) {
        let Some(heard) = &mut self.heard else { return };
        let count = up_to.saturating_sub(heard.last);
        // Less than before: those of another bus.
        let remark = match up_to < heard.last {
            true => "the bus was started anew".to_owned(),
            false => format!("{count} events are missing"),
        };
        let at = heard.until;
        if core::mem::replace(&mut heard.last, up_to) == up_to {
            return;
        }
        self.missing += count;
        self.tracks.remark(out, at, &remark);
        for job in self.tracks.running() {
            self.doubts.entry(job).or_insert(at);
        }
        self.assigned.clear();
    }

    fn assigned(&mut self, out: &mut String, job: JobId, change: &HeardChange<'_>, at: Instant) {
        self.end_in_doubt(out, job);
        let on = change.on.as_deref().unwrap_or_default().to_owned();
        self.assigned.insert(job, Assigned { on, at, freed: None });
    }

    fn running(&mut self, out: &mut String, job: JobId, change: &HeardChange<'_>, at: Instant) {
        self.end_in_doubt(out, job);
        let freed = self.assigned.remove(&job).and_then(|it| it.freed);
        let wish = change.slot.or(freed);
        let track = self.slot(out, change.on.as_deref().unwrap_or_default(), wish, at);
        self.tracks.started(out, job, run(track, at, change));
    }

    /// A run has ended, if there was one.
    fn ended(&mut self, out: &mut String, job: JobId, change: &HeardChange<'_>, at: Instant) {
        self.doubts.remove(&job);
        let assigned = self.assigned.remove(&job).map(|it| it.at);
        if self.tracks.run(job).is_none() && !self.begun(out, job, change, (assigned, at)) {
            return;
        }
        let by = change.by.as_deref().and_then(JobId::parse);
        if let Some(by) = by {
            self.made_room(job, by, at);
        }
        if let Some(run) = self.tracks.run_mut(job) {
            run.killed = Some(at).filter(|_| change.signal == Some(KILL));
        }
        let reason = change.reason.as_deref().map(excerpt);
        let outcome = match (change.last, by, change.retry_ms) {
            (true, ..) => &*change.state,
            (false, Some(_), _) => "evicted",
            (false, None, Some(_)) => "failed",
            (false, None, None) => "given back",
        };
        let exit = match (change.code, change.signal) {
            (Some(code), _) => Some(ExitStatus::Code(code)),
            (None, Some(signal)) => Some(ExitStatus::Signal(signal)),
            (None, None) => None,
        };
        if let Some(free) = self.tracks.ended(out, job, Ending { at, outcome, exit, reason }) {
            self.free(free, at);
            if let Some(evictor) = by.and_then(|by| self.assigned.get_mut(&by)) {
                evictor.freed = Some(free.slot);
            }
        }
    }

    /// A run was asked to end.
    fn stopping(&mut self, job: JobId, change: &HeardChange<'_>, at: Instant) {
        let Some(run) = self.tracks.run_mut(job).filter(|run| run.stopping.is_none()) else {
            return;
        };
        run.stopping = Some(at);
        run.evicted_by = change.room_for.as_deref().and_then(JobId::parse);
        let from = (run.track, at);
        if let Some(by) = run.evicted_by {
            self.tracks.makes_room(from, by);
        }
    }

    /// A run that ends now made room for another job, which may not have been
    /// told before.
    fn made_room(&mut self, job: JobId, by: JobId, at: Instant) {
        let Some(run) = self.tracks.run_mut(job).filter(|run| run.evicted_by.is_none()) else {
            return;
        };
        let here = self.assigned.get(&by).filter(|it| {
            self.schedulers.get(&it.on).is_some_and(|it| it.process == run.track.process)
        });
        let asked = here.map(|it| it.at).filter(|asked| *asked >= run.since && *asked < at);
        run.evicted_by = Some(by);
        run.stopping = run.stopping.or(asked);
        let from = (run.track, run.stopping.unwrap_or_else(|| just_before(at, run.since)));
        self.tracks.makes_room(from, by);
    }

    /// Begins a run whose begin was not told. Whether there was one.
    fn begun(
        &mut self,
        out: &mut String,
        job: JobId,
        change: &HeardChange<'_>,
        (assigned, ended): (Option<Instant>, Instant),
    ) -> bool {
        let ran = change.ran_ms.filter(|ran| *ran > 0).map(Duration::from_millis);
        let (Some(ran), Some(on)) = (ran, &change.on) else { return false };
        let since = Instant::from(ended.since(Instant::ZERO).saturating_sub(ran));
        let since = since.max(assigned.unwrap_or_default());
        let track = self.slot(out, on, change.slot, since);
        self.tracks.started(out, job, run(track, since, change));
        true
    }

    /// Events are missing, among them the end of this run.
    fn end_in_doubt(&mut self, out: &mut String, job: JobId) {
        let until = self.doubts.remove(&job).or_else(|| self.heard.map(|heard| heard.until));
        let Some(until) = until else { return };
        if let Some(track) = self.tracks.ended(out, job, Ending::new(until, "unknown")) {
            self.free(track, until);
        }
    }

    /// The slot for a run that begins then: this one, if it is free, or else the
    /// first that is.
    fn slot(&mut self, out: &mut String, on: &str, wish: Option<u32>, since: Instant) -> Track {
        let Self { schedulers, tracks, .. } = self;
        let process = match schedulers.get(on) {
            Some(it) => it.process,
            None => tracks.process(out, if on.is_empty() { "a scheduler" } else { on }),
        };
        let it = schedulers
            .entry(on.to_owned())
            .or_insert_with(|| Scheduler { process, slots: BTreeMap::new() });
        let is_free = |slot: &u32| {
            it.slots.get(slot).is_none_or(|free| free.is_some_and(|free| free <= since))
        };
        let slot = wish.filter(is_free).or_else(|| (0..u32::MAX).find(is_free));
        let track = Track { process, slot: slot.unwrap_or_default() };
        if it.slots.insert(track.slot, None).is_none() {
            tracks.slot(out, track);
        }
        track
    }

    fn free(&mut self, track: Track, since: Instant) {
        let its = self.schedulers.values_mut().find(|it| it.process == track.process);
        if let Some(slot) = its.and_then(|it| it.slots.get_mut(&track.slot)) {
            *slot = Some(since);
        }
    }
}

fn run(track: Track, since: Instant, change: &HeardChange<'_>) -> Run {
    Run {
        track,
        since,
        priority: Some(change.priority),
        attempt: change.attempt,
        stopping: None,
        killed: None,
        evicted_by: None,
    }
}

fn excerpt(text: &str) -> &str {
    let end = (0..=text.len().min(REASON)).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

impl fmt::Display for TraceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnEvent(why) => write!(f, "it is no event of a bus: {why}"),
            Self::NoTime(text) => write!(f, "{text:?} is no time"),
            Self::NoJob(text) => write!(f, "{text:?} is no job's id"),
        }
    }
}

impl core::error::Error for TraceError {}

#[cfg(test)]
mod tests;
