//! A trace of what a bin decides.

use alloc::collections::BTreeMap;
use alloc::string::String;

use super::tracks::{Ending, Run, Track, Tracks};
use crate::event::{Event, EventKind};
use crate::id::{JobId, SlotId};
use crate::job::{OutcomeKind, StopCause};
use crate::priority::Priority;
use crate::spawner::SpawnFailureKind;
use crate::time::Instant;

/// Writes the events of bins as a trace, as they happen. See the
/// [module](super).
#[derive(Debug)]
pub struct BinTrace {
    tracks: Tracks,
    /// Which process of the trace this is: one a section.
    process: u32,
    priorities: BTreeMap<JobId, Priority>,
    causes: BTreeMap<JobId, StopCause>,
}

impl BinTrace {
    /// Begins a trace.
    #[must_use]
    pub fn begin(out: &mut String) -> Self {
        Self {
            tracks: Tracks::begin(out),
            process: 0,
            priorities: BTreeMap::new(),
            causes: BTreeMap::new(),
        }
    }

    /// What follows is another story, with this name, on so many slots.
    pub fn section(&mut self, out: &mut String, name: &str, slots: usize) {
        self.priorities.clear();
        self.causes.clear();
        self.tracks.forget_all();
        self.process = self.tracks.process(out, name);
        for slot in 0..u32::try_from(slots).unwrap_or(u32::MAX) {
            let track = self.track(SlotId::new(slot));
            self.tracks.slot(out, track);
        }
    }

    /// Something has happened.
    pub fn tell(&mut self, out: &mut String, event: &Event) {
        let at = event.at;
        match &event.kind {
            EventKind::Accepted { job, priority } => {
                self.priorities.insert(*job, *priority);
            }
            EventKind::Starting { run, .. } => {
                let priority = self.priorities.get(&run.job).map(|it| it.number());
                let begun = Run {
                    track: self.track(run.slot),
                    since: at,
                    priority,
                    attempt: run.attempt,
                    stopping: None,
                    killed: None,
                    evicted_by: None,
                };
                self.tracks.started(out, run.job, begun);
            }
            EventKind::Stopping { job, cause, .. } => self.stopping(at, *job, *cause),
            EventKind::Killing { job, .. } => {
                if let Some(run) = self.tracks.run_mut(*job) {
                    run.killed = Some(at);
                }
            }
            EventKind::Exited { job, status, .. } => {
                let natural = match status.is_success() {
                    true => OutcomeKind::Finished,
                    false => OutcomeKind::Failed,
                };
                let outcome = self.causes.remove(job).map_or(natural, kind).name();
                let ending = Ending { exit: Some(*status), ..Ending::new(at, outcome) };
                self.tracks.ended(out, *job, ending);
            }
            EventKind::SpawnFailed { job, why, .. } => {
                let cause = self.causes.remove(job);
                let stopped = cause.filter(|_| why.kind == SpawnFailureKind::Stopped);
                let outcome = stopped.map_or(OutcomeKind::SpawnFailed, kind);
                let outcome = Ending::new(at, outcome.name());
                self.tracks.ended(out, *job, Ending { reason: Some(&why.message), ..outcome });
            }
            EventKind::Ended { job, .. } => {
                self.priorities.remove(job);
                self.tracks.forget(*job);
            }
            _ => {}
        }
    }

    /// Ends it. A viewer shows a trace that was cut off as well.
    pub fn end(self, out: &mut String) {
        self.tracks.end(out, None::<&()>);
    }

    fn stopping(&mut self, at: Instant, job: JobId, cause: StopCause) {
        let Some(run) = self.tracks.run_mut(job) else { return };
        run.stopping = Some(at);
        let track = run.track;
        self.causes.insert(job, cause);
        if let StopCause::Evicted { by } = cause {
            run.evicted_by = Some(by);
            self.tracks.makes_room((track, at), by);
        }
    }

    fn track(&self, slot: SlotId) -> Track {
        Track { process: self.process, slot: slot.number() }
    }
}

/// How a run counts that was stopped for this.
const fn kind(cause: StopCause) -> OutcomeKind {
    match cause {
        StopCause::Evicted { .. } => OutcomeKind::Evicted,
        StopCause::TimedOut(_) => OutcomeKind::TimedOut,
        StopCause::Cancelled => OutcomeKind::Cancelled,
    }
}
