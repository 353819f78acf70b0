//! Near the limit of descriptors: what does not fit is refused, nothing is lost.

use std::fs::{self, File};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sched_core::{SpawnFailureKind, Stop};
use sched_runtime_smol::{Command, Output, Report, SmolSpawner, SpawnerError};
use sched_tests::processes::{Bench, alone, children, sh, sleeper, within_a_minute};

fn limit(soft: u64, hard: u64) {
    let limit = Rlimit { current: Some(soft), maximum: Some(hard) };
    setrlimit(Resource::Nofile, limit).expect("a limit below the hard one");
}

#[test]
fn runs_that_cannot_fit_are_refused_when_the_spawner_is_made() {
    alone("descriptors_run_out::runs_that_cannot_fit_are_refused_when_the_spawner_is_made", || {
        limit(256, 256);
        let too_many = NonZeroUsize::new(1_000).unwrap();
        match SmolSpawner::new(too_many).unwrap_err() {
            SpawnerError::TooManyRuns { max_runs: 1_000, limit: 256, fits, needed } => {
                assert!(needed > 3_000 && (10..86).contains(&fits), "{needed}, {fits}");
                let fits = usize::try_from(fits).ok().and_then(NonZeroUsize::new).unwrap();
                SmolSpawner::new(fits).unwrap();
            }
            other => panic!("{other}"),
        }
    });
}

#[test]
fn the_runs_of_all_spawners_are_added_up() {
    alone("descriptors_run_out::the_runs_of_all_spawners_are_added_up", || {
        limit(256, 256);
        // The first one opens what all need.
        drop(SmolSpawner::new(NonZeroUsize::MIN).unwrap());
        let all = places_left();
        let first = SmolSpawner::new(NonZeroUsize::new(all - 1).unwrap()).unwrap();
        assert_eq!(places_left(), 1);
        drop(first);
        assert_eq!(places_left(), all);
    });
}

/// How many runs a spawner could have at once.
fn places_left() -> usize {
    match SmolSpawner::new(NonZeroUsize::MAX).expect_err("a limit") {
        SpawnerError::TooManyRuns { fits, .. } => usize::try_from(fits).expect("a small number"),
        other => panic!("{other}"),
    }
}

#[test]
fn the_soft_limit_is_raised_also_for_the_output_of_runs_that_have_ended() {
    const TEST: &str = "descriptors_run_out::\
                        the_soft_limit_is_raised_also_for_the_output_of_runs_that_have_ended";
    alone(TEST, || {
        limit(1_024, 2_000);
        let few = SmolSpawner::new(NonZeroUsize::new(100).unwrap()).unwrap();
        assert_eq!(getrlimit(Resource::Nofile).current, Some(1_024), "not without need");
        drop(few);
        let _many = SmolSpawner::new(NonZeroUsize::new(250).unwrap()).unwrap();
        assert_eq!(getrlimit(Resource::Nofile).current, Some(2_000));
    });
}

#[test]
fn the_soft_limit_is_raised_and_the_children_keep_the_old_one() {
    alone(
        "descriptors_run_out::the_soft_limit_is_raised_and_the_children_keep_the_old_one",
        || {
            limit(128, 2_000);
            within_a_minute(async {
                let mut bench = Bench::new(300);
                assert_eq!(getrlimit(Resource::Nofile).current, Some(2_000));
                let (run, pid) = bench.start(&sleeper()).await;
                let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
                let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
                let words: Vec<_> = line.split_whitespace().collect();
                assert_eq!(words[3..5], ["128", "2000"], "{line}");
                bench.stop(run, Stop::Kill);
                bench.exited(run).await;
            });
        },
    );
}

#[test]
fn with_none_left_a_start_fails_and_succeeds_again_later() {
    alone("descriptors_run_out::with_none_left_a_start_fails_and_succeeds_again_later", || {
        within_a_minute(async {
            let mut bench = Bench::new(10);
            // The first run makes what all need: threads, the reactor.
            bench.complete(&sh("exit 0")).await;
            limit(200, 200);
            for spare in 0..10 {
                let mut taken = take_all();
                taken.truncate(taken.len() - spare);
                for output in [Output::Null, Output::CAPTURE, Output::Inherit, Output::Spool] {
                    tell_one_end(&mut bench, &sh("exit 0").output(output)).await;
                }
            }
            assert!(bench.complete(&sh("exit 0")).await.0.status.is_success());
            assert_eq!(children(), [0; 0]);
        });
    });
}

/// It may start or not, but what is told is true.
async fn tell_one_end(bench: &mut Bench, command: &Command) {
    let run = bench.spawn(command);
    match bench.report().await {
        Report::SpawnFailed { why, .. } => {
            assert_eq!(why.kind, SpawnFailureKind::Exhausted, "{why}");
        }
        Report::Started { .. } => assert!(bench.exited(run).await.0.status.is_success()),
        other => panic!("{other:?}"),
    }
}

/// Descriptors go and come at every moment of a start. Who is told that there is no
/// process finds none.
#[test]
fn no_process_runs_that_was_told_not_to_have_started() {
    alone("descriptors_run_out::no_process_runs_that_was_told_not_to_have_started", || {
        within_a_minute(async {
            let mut bench = Bench::new(4);
            bench.complete(&sh("exit 0")).await;
            limit(100, 100);
            let over = Arc::new(AtomicBool::new(false));
            let hogs: Vec<_> = (0..2)
                .map(|_| {
                    let over = Arc::clone(&over);
                    thread::spawn(move || {
                        while !over.load(Ordering::Relaxed) {
                            drop(take_all());
                        }
                    })
                })
                .collect();
            let (ran, refused) = many_starts(&mut bench).await;
            over.store(true, Ordering::Relaxed);
            for hog in hogs {
                hog.join().unwrap();
            }
            println!("{ran} ran, {refused} did not");
            assert_eq!(children(), [0; 0]);
            assert!(bench.complete(&sh("exit 0")).await.0.status.is_success());
        });
    });
}

async fn many_starts(bench: &mut Bench) -> (usize, usize) {
    // Not so long that one that is lost keeps this test's output open for ever.
    let command = Command::new("sleep").arg("30").output(Output::Inherit);
    let (mut ran, mut refused) = (0, 0);
    for _ in 0..1_500 {
        let run = bench.spawn(&command);
        match bench.report().await {
            Report::Started { .. } => {
                bench.stop(run, Stop::Kill);
                bench.exited(run).await;
                ran += 1;
            }
            Report::SpawnFailed { why, .. } => {
                assert_eq!(why.kind, SpawnFailureKind::Exhausted, "{why}");
                refused += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    (ran, refused)
}

/// Every descriptor that is left.
fn take_all() -> Vec<File> {
    std::iter::from_fn(|| File::open("/dev/null").ok()).collect()
}
