//! Runs on tracks, and the arrows between them: the one writer of traces.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::Serialize;

use super::entry::{Args, Entry, HEAD, Micros, Phase};
use crate::id::JobId;
use crate::spawner::ExitStatus;
use crate::time::{Duration, Instant};

/// A slot of a scheduler: the process counted from 1, the slot from 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Track {
    pub(super) process: u32,
    pub(super) slot: u32,
}

impl Track {
    /// As the format counts: to viewers, 0 is no thread of its own.
    const fn number(self) -> u32 {
        self.slot.saturating_add(1)
    }
}

/// A run that goes on. A job has one at a time.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) track: Track,
    pub(super) since: Instant,
    pub(super) priority: Option<i32>,
    pub(super) attempt: u32,
    /// When it was asked to end.
    pub(super) stopping: Option<Instant>,
    /// When it was killed.
    pub(super) killed: Option<Instant>,
    pub(super) evicted_by: Option<JobId>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ending<'a> {
    pub(super) at: Instant,
    pub(super) outcome: &'a str,
    pub(super) exit: Option<ExitStatus>,
    pub(super) reason: Option<&'a str>,
}

impl<'a> Ending<'a> {
    pub(super) const fn new(at: Instant, outcome: &'a str) -> Self {
        Self { at, outcome, exit: None, reason: None }
    }
}

/// The trace as far as it is written.
#[derive(Debug)]
pub(super) struct Tracks {
    begun: bool,
    processes: u32,
    runs: BTreeMap<JobId, Run>,
    /// By the job that evicts and has not started: where its victims were told
    /// to end. An arrow is written when both its ends are known.
    victims: BTreeMap<JobId, Vec<(Track, Instant)>>,
    arrows: u64,
}

impl Tracks {
    pub(super) fn begin(out: &mut String) -> Self {
        out.push_str(HEAD);
        Self {
            begun: false,
            processes: 0,
            runs: BTreeMap::new(),
            victims: BTreeMap::new(),
            arrows: 0,
        }
    }

    /// Adds a process, which has no tracks yet.
    pub(super) fn process(&mut self, out: &mut String, name: &str) -> u32 {
        self.processes += 1;
        let (pid, args) = (self.processes, Some(Args::Name { name }));
        self.write(out, &Entry { name: "process_name", pid, args, ..Entry::default() });
        self.processes
    }

    /// Names the track of a slot.
    pub(super) fn slot(&mut self, out: &mut String, track: Track) {
        let (pid, tid) = (track.process, track.number());
        let name = format!("slot {}", track.slot);
        let args = Some(Args::Name { name: &name });
        self.write(out, &Entry { name: "thread_name", pid, tid, args, ..Entry::default() });
    }

    pub(super) fn run(&self, job: JobId) -> Option<&Run> {
        self.runs.get(&job)
    }

    pub(super) fn run_mut(&mut self, job: JobId) -> Option<&mut Run> {
        self.runs.get_mut(&job)
    }

    /// The jobs whose runs go on.
    pub(super) fn running(&self) -> Vec<JobId> {
        self.runs.keys().copied().collect()
    }

    /// A run begins. The job may have evicted others for it.
    pub(super) fn started(&mut self, out: &mut String, job: JobId, run: Run) {
        for (from, at) in self.victims.remove(&job).unwrap_or_default() {
            self.arrow(out, (from, at), (run.track, run.since));
        }
        self.runs.insert(job, run);
    }

    /// A run is asked to end, for this job.
    pub(super) fn makes_room(&mut self, (from, at): (Track, Instant), by: JobId) {
        self.victims.entry(by).or_default().push((from, at));
    }

    /// A run has ended. Returns what is free now.
    pub(super) fn ended(
        &mut self,
        out: &mut String,
        job: JobId,
        ending: Ending<'_>,
    ) -> Option<Track> {
        let run = self.runs.remove(&job)?;
        self.bar(out, job, &run, ending);
        self.stop(out, &run, ending.at);
        Some(run.track)
    }

    /// Nothing follows about this job.
    pub(super) fn forget(&mut self, job: JobId) {
        self.victims.remove(&job);
    }

    /// Nothing follows about any job.
    pub(super) fn forget_all(&mut self) {
        self.runs.clear();
        self.victims.clear();
    }

    /// Says something about everything, at this time.
    pub(super) fn remark(&mut self, out: &mut String, at: Instant, name: &str) {
        let (ph, ts, s) = (Phase::Remark, Micros::at(at), Some('g'));
        // It must be somewhere, and there may be no process yet.
        self.write(out, &Entry { ph, name, pid: 1, tid: 1, ts, s, ..Entry::default() });
    }

    /// Ends it, with what there is to say about the trace itself.
    pub(super) fn end(self, out: &mut String, about: Option<&impl Serialize>) {
        out.push_str("\n]");
        if let Some(about) = about.and_then(|about| serde_json::to_string(about).ok()) {
            out.push_str(",\"otherData\":");
            out.push_str(&about);
        }
        out.push_str("}\n");
    }

    fn bar(&mut self, out: &mut String, job: JobId, run: &Run, ending: Ending<'_>) {
        let Run { track, since, priority, attempt, evicted_by, .. } = *run;
        let Ending { at, outcome, exit, reason } = ending;
        let name = job.to_string();
        let exit = exit.map(|exit| exit.to_string());
        let args = Args::Run { job, priority, attempt, outcome, evicted_by, exit, reason };
        let evicted = evicted_by.is_some();
        let entry = Entry {
            ph: Phase::Bar,
            name: &name,
            cat: Some(if evicted { "evicted" } else { "run" }),
            cname: evicted.then_some("terrible"),
            args: Some(args),
            ..stretch(track, since, at)
        };
        self.write(out, &entry);
    }

    /// Shows within the bar of a run how long it took to end.
    fn stop(&mut self, out: &mut String, run: &Run, end: Instant) {
        let Some(asked) = run.stopping.filter(|asked| *asked < end) else { return };
        let killed = run.killed.map(|at| at.max(asked).min(end));
        let first = ("TERM to exit", asked, end);
        let parts = match killed {
            None => [Some(first), None],
            Some(at) => [Some(("TERM to KILL", asked, at)), Some(("KILL to exit", at, end))],
        };
        for (name, from, to) in parts.into_iter().flatten().filter(|(_, from, to)| from < to) {
            let cat = Some("stopping");
            let entry = Entry { ph: Phase::Bar, name, cat, ..stretch(run.track, from, to) };
            self.write(out, &entry);
        }
    }

    fn arrow(&mut self, out: &mut String, from: (Track, Instant), to: (Track, Instant)) {
        self.arrows += 1;
        let (name, cat, id) = ("evicts", Some("eviction"), Some(self.arrows));
        let begin = Phase::ArrowBegin;
        self.write(out, &Entry { ph: begin, name, cat, id, ..point(from) });
        let (end, bp) = (Phase::ArrowEnd, Some('e'));
        self.write(out, &Entry { ph: end, name, cat, id, bp, ..point(to) });
    }

    fn write(&mut self, out: &mut String, entry: &Entry<'_>) {
        out.push_str(if core::mem::replace(&mut self.begun, true) { ",\n" } else { "\n" });
        // Nothing in an entry can fail to be written as JSON.
        out.push_str(&serde_json::to_string(entry).unwrap_or_default());
    }
}

fn point((track, at): (Track, Instant)) -> Entry<'static> {
    let (pid, tid) = (track.process, track.number());
    Entry { pid, tid, ts: Micros::at(at), ..Entry::default() }
}

fn stretch(track: Track, from: Instant, to: Instant) -> Entry<'static> {
    Entry { dur: Some(Micros::between(from, to)), ..point((track, from)) }
}

/// A time within a run that ends at `end`, as late as can be: an arrow that
/// begins at the very end would begin at the next bar.
pub(super) fn just_before(end: Instant, since: Instant) -> Instant {
    const STEP: Duration = Duration::from_micros(1);
    since.max(Instant::from(end.since(Instant::ZERO).saturating_sub(STEP)))
}
