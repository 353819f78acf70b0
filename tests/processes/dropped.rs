//! What nobody can stop any more is killed.

use std::time::Duration;

use sched_core::{Exit, ExitStatus, Outcome};
use sched_runtime_smol::{Process, Report};
use sched_tests::processes::{Bench, Fifo, exists, sh, sleeper, within_a_minute};

#[test]
fn dropping_the_spawner_ends_its_runs() {
    within_a_minute(async {
        let mut bench = Bench::new(3);
        let (run, pid) = bench.start(&sleeper()).await;
        let Bench { spawner, reports, .. } = bench;
        drop(spawner);
        let exit = Exit::stopped(ExitStatus::Signal(9));
        assert_eq!(
            reports.recv().await,
            Ok(Report::Exited { run, exit, output: None, spooled: None })
        );
        assert!(!exists(pid));
        assert!(reports.recv().await.is_err(), "nothing is left that could report");
    });
}

#[test]
fn dropping_the_spawner_ends_what_is_still_starting() {
    within_a_minute(async {
        let mut bench = Bench::new(20);
        for _ in 0..20 {
            bench.spawn(&sleeper());
        }
        let Bench { spawner, reports, .. } = bench;
        drop(spawner);
        let (mut started, mut ended) = (0, 0);
        while let Ok(report) = reports.recv().await {
            match report {
                Report::Started { .. } => started += 1,
                Report::SpawnFailed { .. } => ended += 1,
                Report::Exited { exit, .. } => {
                    assert_eq!(exit.status, ExitStatus::Signal(9));
                    (started, ended) = (started - 1, ended + 1);
                }
            }
        }
        assert_eq!((started, ended), (0, 20));
    });
}

#[test]
fn dropping_a_process_kills_it_and_those_who_wait_are_told() {
    within_a_minute(async {
        let pipe = Fifo::new();
        let script = format!("trap '' TERM; exec 3> {}; echo up >&3; sleep 600", pipe.name());
        let mut process = Process::new(sh(&script)).grace(Duration::from_secs(600));
        process.start().unwrap();
        let mut lines = pipe.lines().await;
        lines.expect("up").await;
        let wait = process.wait();
        drop(process);
        let outcome = wait.await.unwrap().outcome;
        assert_eq!(outcome, Outcome::Cancelled { exit: Some(ExitStatus::Signal(9)) });
        lines.expect_end().await;
    });
}
