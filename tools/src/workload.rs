//! Test jobs and the waits between them, drawn at random from a seed.

use std::ops::RangeInclusive;
use std::time::Duration;

use fastrand::Rng;
use sched_core::Priority;
use sched_core::bus::TestJob;

/// No random wait is shorter.
const SHORTEST_WAIT: Duration = Duration::from_millis(5);

/// What jobs look like, and when they come. The same seed gives the same jobs
/// after the same waits.
#[derive(Clone, Debug)]
pub struct Workload {
    /// The priorities of jobs, each equally likely.
    pub priorities: RangeInclusive<i32>,
    /// The runtimes of jobs, each equally likely: whole seconds if both ends
    /// are, milliseconds otherwise.
    pub runtimes: RangeInclusive<Duration>,
    /// The wait between two jobs, or the mean of it.
    pub period: Duration,
    /// The standard deviation of the wait; `None`: it is always the same.
    pub sigma: Option<Duration>,
    /// Where chance comes from.
    pub random: Rng,
}

impl Workload {
    /// The next job.
    pub fn job(&mut self) -> TestJob {
        let priority = Priority::new(self.random.i32(self.priorities.clone()));
        TestJob { priority, runtime: self.runtime() }
    }

    /// The wait until the next job: never less than 5 ms where it is random.
    pub fn wait(&mut self) -> Duration {
        let Some(sigma) = self.sigma else { return self.period };
        let seconds = self.period.as_secs_f64() + sigma.as_secs_f64() * normal(&mut self.random);
        Duration::try_from_secs_f64(seconds).unwrap_or(SHORTEST_WAIT).max(SHORTEST_WAIT)
    }

    fn runtime(&mut self) -> Duration {
        let (start, end) = (*self.runtimes.start(), *self.runtimes.end());
        if start.subsec_nanos() == 0 && end.subsec_nanos() == 0 {
            return Duration::from_secs(self.random.u64(start.as_secs()..=end.as_secs()));
        }
        let millis = |of: Duration| u64::try_from(of.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(self.random.u64(millis(start)..=millis(end)))
    }
}

/// A number of the standard normal distribution (the Box-Muller transform).
fn normal(random: &mut Rng) -> f64 {
    // 1 - [0, 1) is never 0, whose logarithm would be infinite.
    let radius = (-2.0 * (1.0 - random.f64()).ln()).sqrt();
    radius * (std::f64::consts::TAU * random.f64()).cos()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workload(seed: u64) -> Workload {
        Workload {
            priorities: 0..=10,
            runtimes: Duration::from_secs(3)..=Duration::from_secs(15),
            period: Duration::from_secs(5),
            sigma: Some(Duration::from_secs(2)),
            random: Rng::with_seed(seed),
        }
    }

    #[test]
    fn a_seed_gives_the_same_jobs_and_waits() {
        let draw = |seed| {
            let mut workload = workload(seed);
            (0..50).map(|_| (workload.job(), workload.wait())).collect::<Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }

    #[test]
    fn jobs_fill_their_ranges() {
        let mut workload = workload(1);
        let jobs: Vec<_> = (0..2000).map(|_| workload.job()).collect();
        let priorities = jobs.iter().map(|job| job.priority.number());
        assert_eq!((priorities.clone().min(), priorities.max()), (Some(0), Some(10)));
        let runtimes = jobs.iter().map(|job| job.runtime);
        let (least, most) = (Duration::from_secs(3), Duration::from_secs(15));
        assert_eq!((runtimes.clone().min(), runtimes.max()), (Some(least), Some(most)));
        assert!(jobs.iter().all(|job| job.runtime.subsec_nanos() == 0));
    }

    #[test]
    fn fractions_in_a_range_give_fractions() {
        let mut workload = workload(1);
        workload.runtimes = Duration::from_millis(250)..=Duration::from_millis(1500);
        let runtimes: Vec<_> = (0..100).map(|_| workload.job().runtime).collect();
        assert!(runtimes.iter().all(|runtime| workload.runtimes.contains(runtime)));
        assert!(runtimes.iter().any(|runtime| runtime.subsec_millis() % 1000 != 0));
    }

    #[test]
    fn waits_have_the_mean_and_the_deviation_that_were_asked_for() {
        let mut workload = workload(3);
        let waits: Vec<f64> = (0..20_000).map(|_| workload.wait().as_secs_f64()).collect();
        let mean = waits.iter().sum::<f64>() / waits.len() as f64;
        let variance =
            waits.iter().map(|wait| (wait - mean).powi(2)).sum::<f64>() / waits.len() as f64;
        assert!((mean - 5.0).abs() < 0.1, "mean {mean}");
        assert!((variance.sqrt() - 2.0).abs() < 0.1, "deviation {}", variance.sqrt());
    }

    #[test]
    fn a_random_wait_is_never_under_5_ms() {
        let mut workload = workload(4);
        workload.sigma = Some(Duration::from_secs(1000));
        let least = (0..1000).map(|_| workload.wait()).min();
        assert_eq!(least, Some(SHORTEST_WAIT));
    }

    #[test]
    fn without_a_deviation_waits_are_periodic() {
        let mut workload = Workload { sigma: None, ..workload(5) };
        assert!((0..10).all(|_| workload.wait() == Duration::from_secs(5)));
    }
}
