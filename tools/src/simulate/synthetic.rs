//! Workloads that are made up.

use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::time::Duration;

use fastrand::Rng;

use super::Work;
use crate::workload::Workload;

/// Jobs as the test producer makes them, after waits as between independent
/// submissions: exponentially distributed.
#[derive(Clone, Debug)]
pub struct Synthetic {
    /// How many jobs.
    pub jobs: usize,
    /// What they ask for, as a share of what the slots can give: at 1 and more
    /// the queue grows without end.
    pub load: f64,
    /// How many jobs run at once.
    pub slots: NonZeroUsize,
    /// The priorities, each equally likely.
    pub priorities: RangeInclusive<i32>,
    /// The runtimes, each equally likely.
    pub runtimes: RangeInclusive<Duration>,
    /// The same seed gives the same jobs.
    pub seed: u64,
}

impl Synthetic {
    /// The jobs, in the order of their submission.
    #[must_use]
    pub fn works(&self) -> Vec<Work> {
        let mean = (*self.runtimes.start() + *self.runtimes.end()).as_secs_f64() / 2.0;
        let period = mean / (self.load * self.slots.get() as f64);
        let mut random = Rng::with_seed(self.seed);
        let mut jobs = Workload {
            priorities: self.priorities.clone(),
            runtimes: self.runtimes.clone(),
            period: Duration::ZERO,
            sigma: None,
            random: random.fork(),
        };
        let mut submitted = 0.0;
        let mut work = || {
            let job = jobs.job();
            let at = Duration::try_from_secs_f64(submitted).unwrap_or(Duration::MAX);
            // 1 - [0, 1) is never 0, whose logarithm would be infinite.
            submitted -= period * (1.0 - random.f64()).ln();
            let (runtime, priority) = (job.runtime, job.priority.number());
            Work { submitted: at, runtime, priority, limit: None }
        };
        (0..self.jobs).map(|_| work()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_ask_for_what_the_load_says_and_are_the_same_again() {
        let synthetic = Synthetic {
            jobs: 20_000,
            load: 0.8,
            slots: NonZeroUsize::MIN.saturating_add(3),
            priorities: 0..=10,
            runtimes: Duration::from_secs(3)..=Duration::from_secs(15),
            seed: 1,
        };
        let works = synthetic.works();
        assert_eq!(works.len(), 20_000);
        assert!(works.is_sorted_by_key(|work| work.submitted));
        let asked: f64 = works.iter().map(|work| work.runtime.as_secs_f64()).sum();
        let span = works.last().unwrap().submitted.as_secs_f64();
        let load = asked / (4.0 * span);
        assert!((load - 0.8).abs() < 0.03, "{load}");
        assert_eq!(works, synthetic.works());
        assert_ne!(works, Synthetic { seed: 2, ..synthetic }.works());
    }
}
