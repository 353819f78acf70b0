//! A scheduler at one moment, and as text.

use std::fmt::Write as _;
use std::time::Duration;

use sched_core::{
    Instant, JobId, OutcomeKind, Priority, SchedulerBin, SchedulerManager, Stats, StopCause,
    TaskState,
};
use sched_runtime_smol::Command;

/// How many waiting jobs are shown one by one.
const QUEUE_SHOWN: usize = 12;
/// How wide the bar of a run is.
const BAR: usize = 16;

/// What is to be seen of a scheduler at one moment.
#[derive(Debug)]
pub struct Picture {
    slots: Vec<Option<Run>>,
    queue: Vec<Waiting>,
    pending: usize,
    stats: Stats,
    elapsed: Duration,
}

#[derive(Debug)]
struct Run {
    job: JobId,
    priority: Priority,
    evictions: u32,
    state: TaskState,
    command: String,
    /// Since it has had a process.
    ran: Option<Duration>,
}

#[derive(Debug)]
struct Waiting {
    job: JobId,
    priority: Priority,
    reserved: bool,
}

impl Picture {
    /// Takes it.
    #[must_use]
    pub fn take(manager: &SchedulerManager<Command>, now: Instant) -> Self {
        let mut picture = Self {
            slots: Vec::new(),
            queue: Vec::new(),
            pending: 0,
            stats: manager.stats(),
            elapsed: now - Instant::ZERO,
        };
        for bin in manager.bins() {
            picture.add(bin, now);
        }
        picture
    }

    fn add(&mut self, bin: &SchedulerBin<Command>, now: Instant) {
        let first = self.slots.len();
        self.slots.resize_with(first + bin.slots(), || None);
        for run in bin.runs() {
            let Some(job) = bin.job(run.info.job) else { continue };
            let since = match run.state {
                TaskState::Running { since } => Some(since),
                TaskState::Stopping { running, .. } => running,
                _ => None,
            };
            self.slots[first + run.info.slot.number() as usize] = Some(Run {
                job: job.id,
                priority: job.spec.priority,
                evictions: job.evictions,
                state: run.state,
                command: job.spec.command.to_string(),
                ran: since.map(|since| now - since),
            });
        }
        self.pending += bin.pending();
        let shown = bin.pending_in_order().into_iter().take(QUEUE_SHOWN);
        let waiting = shown.filter_map(|id| bin.job(id)).map(|job| Waiting {
            job: job.id,
            priority: job.spec.priority,
            reserved: job.reserved,
        });
        self.queue.extend(waiting);
    }

    /// The picture as lines, none wider than `width` columns.
    #[must_use]
    pub fn lines(&self, width: usize) -> Vec<String> {
        let mut lines =
            vec![format!("{:>4}  {:<6} {:>8}  {:<34}", "slot", "job", "priority", "state")];
        for (slot, run) in self.slots.iter().enumerate() {
            lines.push(match run {
                None => format!("{slot:>4}  free"),
                Some(run) => format!("{slot:>4}  {}", run.line()),
            });
        }
        lines.push(String::new());
        lines.push(self.queue_line());
        lines.push(self.stats_line());
        for line in &mut lines {
            *line = line.chars().take(width).collect();
        }
        lines
    }

    fn queue_line(&self) -> String {
        let mut line = format!("{} waiting", self.pending);
        for (place, job) in self.queue.iter().enumerate() {
            let separator = if place == 0 { ": " } else { ", " };
            let reserved = if job.reserved { " next" } else { "" };
            let _ = write!(line, "{separator}{} (priority {}{reserved})", job.job, job.priority);
        }
        if self.pending > self.queue.len() && !self.queue.is_empty() {
            line.push_str(", …");
        }
        line
    }

    fn stats_line(&self) -> String {
        let mut line = format!("{} jobs", self.stats.accepted);
        for kind in OutcomeKind::ALL {
            match self.stats.ended(kind) {
                0 => {}
                count => {
                    let _ = write!(line, " · {kind} {count}");
                }
            }
        }
        let used = (self.stats.useful + self.stats.wasted).as_secs_f64();
        let wasted = 100.0 * self.stats.wasted.as_secs_f64() / used.max(f64::MIN_POSITIVE);
        let _ = write!(line, " · evictions {} · wasted {wasted:.1} %", self.stats.evictions);
        let _ = write!(line, " · {:.1} s", self.elapsed.as_secs_f64());
        line
    }
}

impl Run {
    fn line(&self) -> String {
        let Self { job, priority, command, .. } = self;
        let (job, priority) = (job.to_string(), priority.to_string());
        let back = match self.evictions {
            0 => String::new(),
            times => format!(", evicted {times}× before"),
        };
        format!("{job:<6} {priority:>8}  {} ({command}{back})", self.state())
    }

    fn state(&self) -> String {
        let ran = self.ran.unwrap_or_default().as_secs_f64();
        match self.state {
            TaskState::Starting => "starting".into(),
            TaskState::Running { .. } => format!("running {ran:>5.1} s {}", bar(ran)),
            TaskState::Stopping { cause: StopCause::Evicted { by }, killed, .. } => {
                format!("makes room for {by}{}", if killed { ", killed" } else { "" })
            }
            TaskState::Stopping { cause, .. } => format!("ends: {cause}"),
            TaskState::Exited { .. } => "ended".into(),
        }
    }
}

/// A bar that grows by a cell every half second.
fn bar(seconds: f64) -> String {
    let cells = ((seconds * 2.0) as usize).min(BAR);
    "█".repeat(cells)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sched_core::{JobSpec, Policy};
    use std::num::NonZeroUsize;

    #[test]
    fn shows_slots_queue_and_counts_within_the_width() {
        let mut manager = SchedulerManager::new();
        manager.add_bin(NonZeroUsize::MIN.saturating_add(1), Policy::durable());
        let mut submit = |priority, seconds: &str| {
            let command = Command::new("sleep").arg(seconds);
            let job = JobSpec::new(Priority::new(priority), command);
            manager.submit(Instant::ZERO, job).unwrap()
        };
        submit(5, "3");
        submit(9, "4");
        let urgent = submit(0, "1");
        let lines = Picture::take(&manager, Instant::from_secs(2)).lines(200);
        assert!(lines[1].contains("j1") && lines[1].contains("starting"), "{}", lines[1]);
        assert!(lines[2].contains(&format!("makes room for {urgent}")), "{}", lines[2]);
        assert_eq!(lines[4], "1 waiting: j3 (priority 0 next)");
        assert!(lines[5].starts_with("3 jobs · evictions 0"), "{}", lines[5]);
        let narrow = Picture::take(&manager, Instant::ZERO).lines(20);
        assert!(narrow.iter().all(|line| line.chars().count() <= 20));
    }
}
