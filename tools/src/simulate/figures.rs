//! What came of a workload, in figures.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::time::Duration;

use sched_core::{Event, EventKind, OutcomeKind, Stats};

use super::Work;

/// Below this runtime a job's slowdown is not counted against it: the usual
/// bound of "bounded slowdown", so that jobs of an instant do not decide the
/// mean (Feitelson and Rudolph, 1998).
const SLOWDOWN_BOUND: Duration = Duration::from_secs(10);

/// What came of a workload.
#[derive(Clone, PartialEq, Debug)]
pub struct Figures {
    /// How many jobs were accepted.
    pub accepted: u64,
    /// How many were refused because too many were waiting.
    pub refused: u64,
    /// How many jobs ended in each way.
    pub outcomes: BTreeMap<OutcomeKind, u64>,
    /// How many runs were evicted.
    pub evictions: u64,
    /// From the first submission to the last outcome.
    pub span: Duration,
    /// The share of all slot time in that span in which a slot was taken.
    pub utilisation: f64,
    /// The share of the taken slot time that went into runs that were evicted.
    pub wasted: f64,
    /// How long jobs waited without a slot, over all their runs.
    pub wait: Percentiles,
    /// From submission to outcome.
    pub turnaround: Percentiles,
    /// The mean of a job's turnaround over its runtime, at least 1, where the
    /// runtime is taken to be at least 10 s. Of jobs that finished.
    pub slowdown: f64,
    /// Waits by priority.
    pub wait_by_priority: BTreeMap<i32, Percentiles>,
    /// Turnarounds by priority.
    pub turnaround_by_priority: BTreeMap<i32, Percentiles>,
}

/// The spread of some times: of all values, so many per cent are no greater.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Percentiles {
    /// 50 %.
    pub p50: Duration,
    /// 90 %.
    pub p90: Duration,
    /// 99 %.
    pub p99: Duration,
    /// All of them.
    pub max: Duration,
}

impl Percentiles {
    /// Of these times, which are brought into order. The nearest rank, so that
    /// each is a time that occurred.
    fn of(times: &mut [Duration]) -> Self {
        times.sort_unstable();
        let rank = |per_cent: usize| {
            let rank = (times.len() * per_cent).div_ceil(100).max(1);
            times.get(rank - 1).copied().unwrap_or_default()
        };
        Self { p50: rank(50), p90: rank(90), p99: rank(99), max: rank(100) }
    }
}

/// Keeps the figures while the simulation runs.
pub(super) struct Book {
    /// Of each job that was accepted.
    works: Vec<(i32, Duration)>,
    /// Priority, wait, and turnaround of each job that has ended.
    ended: Vec<(i32, Duration, Duration)>,
    slowdowns: f64,
    first: Option<Duration>,
    last: Duration,
}

impl Book {
    pub(super) fn new(jobs: usize) -> Self {
        Self {
            works: Vec::with_capacity(jobs),
            ended: Vec::with_capacity(jobs),
            slowdowns: 0.0,
            first: None,
            last: Duration::ZERO,
        }
    }

    /// The next job was accepted.
    pub(super) fn accept(&mut self, work: &Work) {
        self.works.push((work.priority, work.runtime));
        self.first.get_or_insert(work.submitted);
    }

    pub(super) fn tell(&mut self, event: &Event) {
        let EventKind::Ended { job, outcome, tally } = &event.kind else { return };
        // The ids of a bin's jobs are counted from 1.
        let index = usize::try_from(job.count() - 1).unwrap_or(usize::MAX);
        let (priority, runtime) = self.works.get(index).copied().unwrap_or_default();
        self.ended.push((priority, tally.waited, tally.total));
        self.last = Duration::from_nanos(event.at.as_nanos());
        if outcome.kind() == OutcomeKind::Finished {
            self.slowdowns += slowdown(tally.total, runtime);
        }
    }

    pub(super) fn close(self, slots: NonZeroUsize, stats: &Stats) -> Figures {
        let span = self.last.saturating_sub(self.first.unwrap_or_default());
        let taken = stats.useful + stats.wasted;
        let of = |part: Duration, whole: f64| match whole > 0.0 {
            true => part.as_secs_f64() / whole,
            false => 0.0,
        };
        let finished = stats.ended(OutcomeKind::Finished);
        let outcomes = OutcomeKind::ALL.map(|kind| (kind, stats.ended(kind)));
        Figures {
            accepted: stats.accepted,
            refused: stats.refused,
            outcomes: outcomes.into_iter().filter(|(_, count)| *count > 0).collect(),
            evictions: stats.evictions,
            span,
            utilisation: of(taken, span.as_secs_f64() * slots.get() as f64),
            wasted: of(stats.wasted, taken.as_secs_f64()),
            wait: Percentiles::of(&mut self.ended.iter().map(|it| it.1).collect::<Vec<_>>()),
            turnaround: Percentiles::of(&mut self.ended.iter().map(|it| it.2).collect::<Vec<_>>()),
            slowdown: if finished > 0 { self.slowdowns / finished as f64 } else { 0.0 },
            wait_by_priority: by_priority(self.ended.iter().map(|it| (it.0, it.1))),
            turnaround_by_priority: by_priority(self.ended.iter().map(|it| (it.0, it.2))),
        }
    }
}

fn slowdown(total: Duration, runtime: Duration) -> f64 {
    (total.as_secs_f64() / runtime.max(SLOWDOWN_BOUND).as_secs_f64()).max(1.0)
}

fn by_priority(times: impl Iterator<Item = (i32, Duration)>) -> BTreeMap<i32, Percentiles> {
    let mut all = BTreeMap::<i32, Vec<Duration>>::new();
    for (priority, time) in times {
        all.entry(priority).or_default().push(time);
    }
    all.into_iter().map(|(priority, mut times)| (priority, Percentiles::of(&mut times))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_times_that_occurred() {
        let seconds = Duration::from_secs;
        let mut times: Vec<_> = (1..=200).rev().map(seconds).collect();
        let all = Percentiles::of(&mut times);
        let expected = Percentiles {
            p50: seconds(100),
            p90: seconds(180),
            p99: seconds(198),
            max: seconds(200),
        };
        assert_eq!(all, expected);
        assert_eq!(Percentiles::of(&mut [seconds(7)]).p50, seconds(7));
        assert_eq!(Percentiles::of(&mut []), Percentiles::default());
    }
}
