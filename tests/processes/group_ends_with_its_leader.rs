//! What a process leaves behind in its group ends with it.

use sched_core::{Exit, ExitStatus, Stop};
use sched_tests::processes::{Bench, Fifo, sh, within_a_minute};

/// Two grandchildren that hold the pipe `{0}` open, one of which ignores TERM.
fn family(pipe: &Fifo, then: &str) -> sched_runtime_smol::Command {
    sh(&format!(
        "exec 3> {}; sleep 600 & sh -c 'trap \"\" TERM; echo deaf >&3; sleep 600' & {then}",
        pipe.name()
    ))
}

#[test]
fn grandchildren_end_when_the_leader_ends_by_itself() {
    within_a_minute(async {
        let (pipe, mut bench) = (Fifo::new(), Bench::new(1));
        let (run, _) = bench.start(&family(&pipe, "exit 4")).await;
        let mut lines = pipe.lines().await;
        assert_eq!(bench.exited(run).await.0, Exit::natural(ExitStatus::Code(4)));
        while lines.next().await.is_some() {}
    });
}

#[test]
fn grandchildren_end_when_the_leader_is_stopped() {
    for how in [Stop::Terminate, Stop::Kill] {
        within_a_minute(async {
            let (pipe, mut bench) = (Fifo::new(), Bench::new(1));
            let (run, _) = bench.start(&family(&pipe, "wait")).await;
            let mut lines = pipe.lines().await;
            lines.expect("deaf").await;
            bench.stop(run, how);
            assert!(bench.exited(run).await.0.after_stop);
            lines.expect_end().await;
        });
    }
}
