//! There is room for as many runs as were asked for, and no more.

use sched_core::{SpawnFailureKind, Stop};
use sched_tests::processes::{Bench, sh, sleeper, within_a_minute};

#[test]
fn one_run_too_many_is_refused_and_a_place_is_free_once_the_end_is_told() {
    within_a_minute(async {
        let mut bench = Bench::new(2);
        let (first, _) = bench.start(&sleeper()).await;
        bench.start(&sleeper()).await;
        let refused = bench.try_spawn(&sleeper()).unwrap_err();
        assert_eq!(refused.kind, SpawnFailureKind::Exhausted);
        for _ in 0..100 {
            bench.stop(first, Stop::Kill);
        }
        bench.exited(first).await;
        for _ in 0..100 {
            bench.complete(&sh("exit 0")).await;
        }
        bench.assert_silent();
    });
}

#[test]
fn who_does_not_read_the_reports_is_refused_new_runs() {
    within_a_minute(async {
        let mut bench = Bench::new(1);
        let mut accepted = 0;
        let refused = loop {
            match bench.try_spawn(&sh("exit 0")) {
                Ok(_) => accepted += 1,
                Err(why) if why.message.contains("not been read") => break why,
                Err(_) => smol::future::yield_now().await,
            }
        };
        assert_eq!(refused.kind, SpawnFailureKind::Exhausted);
        // The second one may slip in just before the end of the first is told.
        assert!((1..=2).contains(&accepted), "{accepted} runs in one place");
        for _ in 0..2 * accepted {
            bench.report().await;
        }
        assert!(bench.complete(&sh("exit 0")).await.0.status.is_success());
        bench.assert_silent();
    });
}
