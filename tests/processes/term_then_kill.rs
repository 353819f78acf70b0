//! F3: what ignores TERM is killed after the grace period.

use std::time::{Duration, Instant};

use sched_core::{ExitStatus, Outcome, Stop};
use sched_runtime_smol::{Command, Process};
use sched_tests::processes::{Bench, Fifo, sh, within_a_minute};

/// Ignores TERM, as its descendants do, and says when it has begun to.
fn stubborn(ready: &Fifo) -> Command {
    sh(&format!("trap '' TERM; echo ready > {}; sleep 600", ready.name()))
}

#[test]
fn f3_a_process_that_ignores_term_is_killed_after_the_grace_period() {
    within_a_minute(async {
        let (ready, grace) = (Fifo::new(), Duration::from_millis(150));
        let mut process = Process::new(stubborn(&ready)).grace(grace);
        process.start().unwrap();
        ready.lines().await.expect("ready").await;
        let asked = Instant::now();
        process.terminate().unwrap();
        let outcome = process.wait().await.unwrap().outcome;
        assert_eq!(outcome, Outcome::Cancelled { exit: Some(ExitStatus::Signal(9)) });
        assert!(asked.elapsed() >= grace, "killed early: {:?}", asked.elapsed());
    });
}

#[test]
fn term_alone_leaves_it_alive_and_kill_ends_it() {
    within_a_minute(async {
        let (ready, mut bench) = (Fifo::new(), Bench::new(2));
        let (run, _) = bench.start(&stubborn(&ready)).await;
        ready.lines().await.expect("ready").await;
        bench.stop(run, Stop::Terminate);
        // Another process, from its start to its end: time enough to die of TERM.
        let (other, _) = bench.complete(&sh("exit 0")).await;
        assert!(other.status.is_success());
        bench.stop(run, Stop::Kill);
        let (exit, _) = bench.exited(run).await;
        assert_eq!((exit.status, exit.after_stop), (ExitStatus::Signal(9), true));
    });
}

#[test]
fn a_process_may_clean_up_on_term_and_keeps_its_exit_code() {
    within_a_minute(async {
        let ready = Fifo::new();
        let script = format!(
            "trap 'exit 7' TERM; echo ready > {}; while :; do sleep 600 & wait; done",
            ready.name()
        );
        let mut process = Process::new(sh(&script));
        process.start().unwrap();
        ready.lines().await.expect("ready").await;
        process.terminate().unwrap();
        let outcome = process.wait().await.unwrap().outcome;
        assert_eq!(outcome, Outcome::Cancelled { exit: Some(ExitStatus::Code(7)) });
    });
}
