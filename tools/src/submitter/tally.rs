//! What became of many jobs, in a table.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::sched::span;
use crate::sched::table::Table;

/// How many times are kept; of more, a random choice is.
const KEPT: usize = 100_000;

/// What became of many jobs.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    outcomes: BTreeMap<String, u64>,
    waits: Sample,
    turnarounds: Sample,
}

impl Tally {
    /// A job has ended so.
    pub fn count(&mut self, outcome: &str) {
        match self.outcomes.get_mut(outcome) {
            Some(count) => *count += 1,
            None => {
                self.outcomes.insert(outcome.to_owned(), 1);
            }
        }
    }

    /// A job has started, so long after its submission.
    pub fn waited(&mut self, time: Duration) {
        self.waits.add(time);
    }

    /// A job has ended, so long after its submission.
    pub fn turned_around(&mut self, time: Duration) {
        self.turnarounds.add(time);
    }

    /// The table, for so wide a terminal; `open` jobs have no outcome yet.
    #[must_use]
    pub fn lines(&self, open: usize, width: usize) -> Vec<String> {
        let mut outcomes = Table::new(&["OUTCOME", "JOBS"], &[]);
        for (outcome, count) in &self.outcomes {
            outcomes.row([outcome.clone(), count.to_string()]);
        }
        if open > 0 {
            outcomes.row(["(none yet)".to_owned(), open.to_string()]);
        }
        let mut times = Table::new(&["TIME", "P50", "P99"], &[1]);
        for (name, sample) in [("wait", &self.waits), ("turnaround", &self.turnarounds)] {
            let cell = |percent| sample.percentile(percent).map_or_else(|| "-".to_owned(), span);
            times.row([name.to_owned(), cell(50), cell(99)]);
        }
        let mut lines = outcomes.lines(width);
        lines.push(String::new());
        lines.extend(times.lines(width));
        lines
    }
}

/// Times of many jobs, or of as many as are kept (Vitter, "Random Sampling with
/// a Reservoir", 1985, algorithm R).
#[derive(Clone, Debug, Default)]
struct Sample {
    seen: usize,
    kept: Vec<Duration>,
}

impl Sample {
    fn add(&mut self, time: Duration) {
        self.seen += 1;
        if self.kept.len() < KEPT {
            self.kept.push(time);
        } else if let Some(place) = self.kept.get_mut(fastrand::usize(..self.seen)) {
            *place = time;
        }
    }

    /// The least time that so many per cent do not exceed; `None`: there is no
    /// time at all.
    fn percentile(&self, percent: usize) -> Option<Duration> {
        let mut sorted = self.kept.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() * percent).div_ceil(100);
        sorted.get(rank.checked_sub(1)?).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_times_that_there_were() {
        let mut sample = Sample::default();
        assert_eq!(sample.percentile(50), None);
        for millis in (1..=200).rev() {
            sample.add(Duration::from_millis(millis));
        }
        assert_eq!(sample.percentile(50), Some(Duration::from_millis(100)));
        assert_eq!(sample.percentile(99), Some(Duration::from_millis(198)));
    }

    #[test]
    fn many_times_are_sampled() {
        let mut sample = Sample::default();
        for millis in 0..300_000 {
            sample.add(Duration::from_millis(millis));
        }
        assert_eq!((sample.seen, sample.kept.len()), (300_000, KEPT));
        let middle = sample.percentile(50).unwrap().as_millis();
        assert!((140_000..160_000).contains(&middle), "{middle}");
    }

    #[test]
    fn the_table_says_what_became_of_the_jobs() {
        let mut tally = Tally::default();
        for outcome in ["finished", "timed_out", "finished"] {
            tally.count(outcome);
            tally.turned_around(Duration::from_secs(75));
        }
        tally.waited(Duration::from_millis(250));
        let expected = [
            "OUTCOME     JOBS",
            "finished    2",
            "timed_out   1",
            "(none yet)  4",
            "",
            "TIME           P50  P99",
            "wait        0.25 s  0.25 s",
            "turnaround   1m15s  1m15s",
        ];
        assert_eq!(tally.lines(4, 80), expected);
    }
}
