//! Several bins: the first that accepts a job takes it.

use sched_core::{
    EventKind, Exit, ExitStatus, Instant, JobId, JobSpec, Policy, Priority, ProcessSpawner,
    Refusal, RunId, RunInfo, SchedulerManager, SpawnFailure, Stop,
};
use std::num::NonZeroUsize;

/// A policy under which a bin takes a job only if it starts at once.
const NO_QUEUE: Policy = Policy { preempt_delta: None, max_pending: 0, ..Policy::seed() };

#[derive(Default)]
struct Starts(Vec<RunInfo>);

impl ProcessSpawner for Starts {
    type Command = &'static str;

    fn spawn(&mut self, run: &RunInfo, _: &&'static str) -> Result<(), SpawnFailure> {
        self.0.push(*run);
        Ok(())
    }

    fn stop(&mut self, _: RunId, _: Stop) {}
}

fn job(name: &'static str) -> JobSpec<&'static str> {
    JobSpec::new(Priority::new(5), name)
}

fn manager(bins: &[(usize, Policy)]) -> SchedulerManager<&'static str> {
    let mut manager = SchedulerManager::new();
    for (slots, policy) in bins {
        manager.add_bin(NonZeroUsize::new(*slots).unwrap(), policy.clone());
    }
    manager
}

fn place(job: JobId) -> usize {
    job.bin().place()
}

#[test]
fn the_first_bin_that_accepts_takes_the_job() {
    let mut manager = manager(&[(1, NO_QUEUE), (2, NO_QUEUE), (1, Policy::seed())]);
    let places: Vec<_> = ["a", "b", "c", "d", "e"]
        .map(|name| place(manager.submit(Instant::ZERO, job(name)).unwrap()))
        .into();
    assert_eq!(places, [0, 1, 1, 2, 2], "the last one has a queue");
}

#[test]
fn a_job_that_no_bin_accepts_is_handed_back() {
    let mut manager = manager(&[(1, NO_QUEUE), (1, NO_QUEUE)]);
    for name in ["a", "b"] {
        manager.submit(Instant::ZERO, job(name)).unwrap();
    }
    let refused = manager.submit(Instant::ZERO, job("c")).unwrap_err();
    assert_eq!((refused.why, *refused.job), (Refusal::NoBin, job("c")));
    assert_eq!(manager.rejected(), 1);
}

#[test]
fn a_manager_without_bins_hands_everything_back() {
    let mut manager = SchedulerManager::new();
    let refused = manager.submit(Instant::ZERO, job("a")).unwrap_err();
    assert_eq!((refused.why, *refused.job), (Refusal::NoBin, job("a")));
}

#[test]
fn a_bin_that_drains_or_stops_passes_its_jobs_on() {
    let mut manager = manager(&[(1, Policy::seed()), (1, Policy::seed())]);
    manager.drain(Instant::ZERO);
    let refused = manager.submit(Instant::ZERO, job("a")).unwrap_err();
    assert_eq!(*refused.job, job("a"));
    manager.resume(Instant::ZERO);
    assert_eq!(place(manager.submit(Instant::ZERO, job("a")).unwrap()), 0);
    manager.stop(Instant::ZERO);
    assert!(manager.submit(Instant::ZERO, job("b")).is_err());
    assert!(!manager.is_stopped(), "a still runs");
}

#[test]
fn what_is_reported_finds_its_way_to_the_bin_of_the_run() {
    let mut manager = manager(&[(1, NO_QUEUE), (1, NO_QUEUE)]);
    let jobs = ["a", "b"].map(|name| manager.submit(Instant::ZERO, job(name)).unwrap());
    let mut starts = Starts::default();
    manager.dispatch(Instant::ZERO, &mut starts);
    let runs: Vec<_> = starts.0.iter().map(|run| (run.job, run.id)).collect();
    assert_eq!(runs.iter().map(|(job, _)| *job).collect::<Vec<_>>(), jobs);

    let second = runs[1].1;
    manager.handle_started(Instant::from_secs(1), second);
    manager.handle_exit(Instant::from_secs(2), second, Exit::natural(ExitStatus::Code(0)));
    assert!(manager.job(jobs[1]).is_none(), "it has ended");
    assert!(manager.job(jobs[0]).is_some(), "the other has not");
    let ended: Vec<_> = std::iter::from_fn(|| manager.poll_event())
        .filter_map(|event| match event.kind {
            EventKind::Ended { job, .. } => Some(job),
            _ => None,
        })
        .collect();
    assert_eq!(ended, [jobs[1]]);
    let again = manager.submit(Instant::from_secs(2), job("c")).unwrap();
    assert_eq!(place(again), 1, "its slot is free again");
}
