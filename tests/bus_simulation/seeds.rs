//! Random plans, one for each seed.

use std::ops::Range;
use std::thread;

use sched_tests::bussim::plan::Plan;
use sched_tests::bussim::world::{self, Done};

/// The seeds of the normal run.
const SEEDS: Range<u64> = 0..1000;

#[test]
fn no_promise_is_broken_and_every_job_has_its_outcome_in_the_end() {
    let seeds = seeds();
    println!("seeds {seeds:?}");
    let middle = seeds.start + (seeds.end - seeds.start) / 2;
    let halves = [seeds.start..middle, middle..seeds.end];
    let halves = halves.map(|half| thread::spawn(|| half.map(try_seed).collect::<Vec<_>>()));
    let runs = halves.into_iter().flat_map(|half| half.join().unwrap());
    let (done, failed): (Vec<_>, Vec<_>) = runs.partition(|(_, verdict)| verdict.is_ok());
    let done: Vec<Done> = done.into_iter().filter_map(|(_, verdict)| verdict.ok()).collect();
    let sum = |of: fn(&Done) -> usize| done.iter().map(of).sum::<usize>();
    println!("{} steps, {} jobs", sum(|it| it.steps), sum(|it| it.jobs));
    println!("{} steps with a process that outlived its lease", sum(|it| it.overlaps));
    complain(&failed);
    assert!(sum(|it| it.jobs) > done.len(), "hardly any job was accepted");
}

fn try_seed(seed: u64) -> (u64, Result<Done, String>) {
    (seed, world::run(&Plan::random(seed)))
}

fn complain(failed: &[(u64, Result<Done, String>)]) {
    for (seed, verdict) in failed.iter().take(20) {
        let why = verdict.as_ref().err().cloned().unwrap_or_default();
        println!("SCHED_BUSSIM_SEED={seed}: {}", why.lines().next().unwrap_or_default());
    }
    if let Some((seed, verdict)) = failed.first() {
        let count = failed.len();
        let why = verdict.as_ref().err().cloned().unwrap_or_default();
        panic!("{count} seeds fail; SCHED_BUSSIM_SEED={seed} replays this:\n{why}");
    }
}

fn seeds() -> Range<u64> {
    if let Some(seed) = number("SCHED_BUSSIM_SEED") {
        return seed..seed + 1;
    }
    match number("SCHED_BUSSIM_SEEDS") {
        Some(count) => {
            let start = fastrand::u64(0..1 << 40);
            start..start + count
        }
        None => SEEDS,
    }
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text} is not a number")))
}
