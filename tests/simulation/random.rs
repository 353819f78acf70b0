//! Random plans, one for each seed.

use sched_tests::sim::checker::inv_15_same_inputs_same_outputs;
use sched_tests::sim::harness::{self, Done};
use sched_tests::sim::workload::Plan;
use std::ops::Range;
use std::thread;

/// The seeds of the normal run.
const SEEDS: Range<u64> = 0..660;
/// And how many steps they make at least, in all.
const STEPS: usize = 100_000;

#[test]
fn random_workloads_and_faults_keep_every_promise() {
    let seeds = seeds();
    println!("seeds {seeds:?}");
    let all = seeds == SEEDS;
    let middle = seeds.start + (seeds.end - seeds.start) / 2;
    let halves = [seeds.start..middle, middle..seeds.end];
    let halves = halves.map(|half| thread::spawn(|| half.map(try_seed).collect::<Vec<_>>()));
    let runs = halves.into_iter().flat_map(|half| half.join().unwrap());
    let (done, failed): (Vec<_>, Vec<_>) = runs.partition(|(_, verdict)| verdict.is_ok());
    let steps: usize = done.iter().flat_map(|(_, verdict)| verdict).sum();
    println!("{steps} steps");
    complain(&failed);
    assert!(!all || steps >= STEPS, "only {steps} steps");
}

/// How many steps the seed made, or what is wrong.
fn try_seed(seed: u64) -> (u64, Result<usize, String>) {
    (seed, run(seed).map(|done| done.steps))
}

fn run(seed: u64) -> Result<Done, String> {
    harness::run(&Plan::random(seed))
}

/// Says of every seed what is wrong, and of the first one all of it.
fn complain(failed: &[(u64, Result<usize, String>)]) {
    let why = |verdict: &Result<usize, String>| verdict.clone().err().unwrap_or_default();
    for (seed, verdict) in failed {
        let first_lines: Vec<_> = why(verdict).lines().take(3).map(str::to_owned).collect();
        println!("SCHED_SIM_SEED={seed}: {}", first_lines.join(" "));
    }
    if let Some((seed, verdict)) = failed.first() {
        let count = failed.len();
        panic!("{count} seeds fail; SCHED_SIM_SEED={seed} replays this:\n{}", why(verdict));
    }
}

#[test]
fn the_same_seed_gives_the_same_run_byte_for_byte() {
    for seed in SEEDS.take(20) {
        let log = || match run(seed) {
            Ok(done) => done.log.iter().map(|line| format!("{line:?}")).collect(),
            Err(why) => vec![why],
        };
        inv_15_same_inputs_same_outputs(&log(), &log())
            .unwrap_or_else(|why| panic!("seed {seed}: {why}"));
    }
}

fn seeds() -> Range<u64> {
    if let Some(seed) = number("SCHED_SIM_SEED") {
        return seed..seed + 1;
    }
    match number("SCHED_SIM_SEEDS") {
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
