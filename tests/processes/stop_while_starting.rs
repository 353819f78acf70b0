//! F2: a stop that comes before there is a process takes effect as soon as there is one,
//! or keeps it from being started.

use sched_core::{Exit, ExitStatus, SpawnFailureKind, Stop};
use sched_runtime_smol::Report;
use sched_tests::processes::{Bench, exists, sleeper, within_a_minute};

#[test]
fn f2_a_burst_of_starts_and_stops_leaves_nobody_alive() {
    within_a_minute(async {
        let mut bench = Bench::new(10);
        let runs: Vec<_> = (0..10).map(|_| bench.spawn(&sleeper())).collect();
        for run in &runs {
            bench.stop(*run, Stop::Terminate);
        }
        let (mut pids, mut ended, mut never) = (Vec::new(), Vec::new(), 0);
        while ended.len() < runs.len() {
            match bench.report().await {
                Report::Started { pid, .. } => pids.push(pid),
                Report::Exited { run, exit, .. } => {
                    assert_eq!(exit, Exit::stopped(ExitStatus::Signal(15)), "{run}");
                    ended.push(run);
                }
                Report::SpawnFailed { run, why } => {
                    assert_eq!(why.kind, SpawnFailureKind::Stopped, "{run}: {why}");
                    ended.push(run);
                    never += 1;
                }
            }
        }
        ended.sort();
        assert_eq!((pids.len() + never, ended), (10, runs));
        assert!(pids.into_iter().all(|pid| !exists(pid)));
        bench.assert_silent();
    });
}

#[test]
fn kill_while_starting_kills() {
    within_a_minute(async {
        let mut bench = Bench::new(1);
        let run = bench.spawn(&sleeper());
        bench.stop(run, Stop::Kill);
        match bench.report().await {
            Report::Started { .. } => {
                assert_eq!(bench.exited(run).await.0, Exit::stopped(ExitStatus::Signal(9)));
            }
            Report::SpawnFailed { why, .. } => assert_eq!(why.kind, SpawnFailureKind::Stopped),
            other => panic!("{other:?}"),
        }
        bench.assert_silent();
    });
}
