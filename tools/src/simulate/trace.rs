//! Traces that Perfetto and Chrome show: a track a slot, a bar a run, and an
//! arrow from a victim to the job that it was evicted for.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};

use sched_core::{Event, EventKind, Instant, JobId, Priority, RunId, SlotId, StopCause};

/// Writes what happens as a trace in the JSON format of Chrome's trace viewer
/// ("Trace Event Format"), as it happens.
pub struct Trace<'a> {
    file: &'a mut dyn Write,
    begun: bool,
    /// Which process of the trace this is: one a policy.
    process: u32,
    priorities: BTreeMap<JobId, Priority>,
    runs: BTreeMap<RunId, Bar>,
    /// Evictions whose job has not started yet, each with the end of its arrow.
    arrows: BTreeMap<JobId, Vec<u64>>,
    last_arrow: u64,
}

/// A run that goes on.
struct Bar {
    job: JobId,
    slot: SlotId,
    since: Instant,
    attempt: u32,
    stopping: Option<(StopCause, Instant)>,
}

impl<'a> Trace<'a> {
    /// Begins a trace.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    pub fn begin(file: &'a mut dyn Write) -> io::Result<Self> {
        file.write_all(b"{\"displayTimeUnit\":\"ms\",\"traceEvents\":[")?;
        Ok(Self {
            file,
            begun: false,
            process: 0,
            priorities: BTreeMap::new(),
            runs: BTreeMap::new(),
            arrows: BTreeMap::new(),
            last_arrow: 0,
        })
    }

    /// What follows is another story, with this name, on so many slots.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    pub fn section(&mut self, name: &str, slots: usize) -> io::Result<()> {
        self.process += 1;
        self.priorities.clear();
        self.runs.clear();
        self.arrows.clear();
        let process = self.process;
        let named = serde_json::json!({
            "ph": "M", "name": "process_name", "pid": process, "args": { "name": name }
        });
        self.entry(&named)?;
        for slot in 0..slots {
            self.entry(&serde_json::json!({
                "ph": "M", "name": "thread_name", "pid": process, "tid": slot,
                "args": { "name": format!("slot {slot}") }
            }))?;
        }
        Ok(())
    }

    /// Something has happened.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    pub fn tell(&mut self, event: &Event) -> io::Result<()> {
        let at = event.at;
        match &event.kind {
            EventKind::Accepted { job, priority } => {
                self.priorities.insert(*job, *priority);
            }
            EventKind::Starting { run, .. } => {
                let (job, slot, attempt) = (run.job, run.slot, run.attempt);
                let bar = Bar { job, slot, attempt, since: at, stopping: None };
                self.runs.insert(run.id, bar);
                for arrow in self.arrows.remove(&job).unwrap_or_default() {
                    self.arrow("f", arrow, slot, at)?;
                }
            }
            EventKind::Stopping { run, cause, .. } => {
                let Some(bar) = self.runs.get_mut(run) else { return Ok(()) };
                bar.stopping = Some((*cause, at));
                if let StopCause::Evicted { by } = cause {
                    let slot = bar.slot;
                    self.last_arrow += 1;
                    let arrow = self.last_arrow;
                    self.arrows.entry(*by).or_default().push(arrow);
                    self.arrow("s", arrow, slot, at)?;
                }
            }
            EventKind::Exited { run, status, .. } => {
                if let Some(bar) = self.runs.remove(run) {
                    self.bar(&bar, at, &status.to_string())?;
                }
            }
            EventKind::SpawnFailed { run, why, .. } => {
                if let Some(bar) = self.runs.remove(run) {
                    self.bar(&bar, at, &why.message)?;
                }
            }
            EventKind::Ended { job, .. } => {
                self.priorities.remove(job);
                self.arrows.remove(job);
            }
            _ => {}
        }
        Ok(())
    }

    /// Ends it. A viewer shows a trace that was cut off as well.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    pub fn end(self) -> io::Result<()> {
        self.file.write_all(b"\n]}\n")?;
        self.file.flush()
    }

    fn bar(&mut self, bar: &Bar, end: Instant, how: &str) -> io::Result<()> {
        let priority = self.priorities.get(&bar.job).map(|it| it.number());
        let evicted = matches!(bar.stopping, Some((StopCause::Evicted { .. }, _)));
        let mut entry = serde_json::json!({
            "ph": "X", "name": bar.job.to_string(), "pid": self.process, "tid": bar.slot.number(),
            "cat": if evicted { "evicted" } else { "run" },
            "ts": micros(bar.since), "dur": micros(end) - micros(bar.since),
            "args": { "priority": priority, "attempt": bar.attempt, "ended": how }
        });
        if evicted {
            // One of the viewer's own colours.
            entry["cname"] = "terrible".into();
        }
        self.entry(&entry)?;
        let Some((cause, since)) = bar.stopping.filter(|(_, since)| *since < end) else {
            return Ok(());
        };
        self.entry(&serde_json::json!({
            "ph": "X", "name": cause.to_string(), "cat": "stopping", "pid": self.process,
            "tid": bar.slot.number(), "ts": micros(since), "dur": micros(end) - micros(since),
        }))
    }

    fn arrow(&mut self, end: &str, id: u64, slot: SlotId, at: Instant) -> io::Result<()> {
        let mut entry = serde_json::json!({
            "ph": end, "id": id, "name": "evicts", "cat": "eviction", "pid": self.process,
            "tid": slot.number(), "ts": micros(at)
        });
        if end == "f" {
            // To the bar that begins here, not to the next one.
            entry["bp"] = "e".into();
        }
        self.entry(&entry)
    }

    fn entry(&mut self, entry: &serde_json::Value) -> io::Result<()> {
        let before = if std::mem::replace(&mut self.begun, true) { ",\n" } else { "\n" };
        // First into a text: serde_json without `std` takes a writer that fails
        // for a mistake of its own.
        let entry = entry.to_string();
        self.file.write_all(before.as_bytes())?;
        self.file.write_all(entry.as_bytes())
    }
}

impl fmt::Debug for Trace<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trace").field("process", &self.process).finish_non_exhaustive()
    }
}

/// The unit of the format: microseconds, with fractions.
fn micros(at: Instant) -> f64 {
    at.as_nanos() as f64 / 1e3
}
