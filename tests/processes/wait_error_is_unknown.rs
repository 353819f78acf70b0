//! A status that cannot be learned is told as unknown, and nothing hangs.

use std::num::NonZeroUsize;

use sched_core::{ExitStatus, Outcome};
use sched_runtime_smol::{Process, SmolSpawner, SpawnerError};
use sched_tests::processes::{Fifo, alone_under, sh, within_a_minute};

/// Whoever ignores SIGCHLD has its children reaped by the kernel.
const IGNORE_CHILDREN: [&str; 2] = ["env", "--ignore-signal=CHLD"];

#[test]
fn the_status_of_a_process_that_others_have_reaped_is_unknown() {
    let name = "wait_error_is_unknown::the_status_of_a_process_that_others_have_reaped_is_unknown";
    alone_under(&IGNORE_CHILDREN, name, || {
        within_a_minute(async {
            let pipe = Fifo::new();
            let script = format!("exec 3> {}; echo up >&3; exec sleep 600", pipe.name());
            let mut process = Process::new(sh(&script));
            process.start().unwrap();
            pipe.lines().await.expect("up").await;
            process.terminate().unwrap();
            let outcome = process.wait().await.unwrap().outcome;
            assert_eq!(outcome, Outcome::Cancelled { exit: Some(ExitStatus::Unknown) });
        });
    });
}

#[test]
fn a_scheduler_does_not_begin_where_no_status_can_be_learned() {
    let name = "wait_error_is_unknown::a_scheduler_does_not_begin_where_no_status_can_be_learned";
    alone_under(&IGNORE_CHILDREN, name, || {
        let refused = SmolSpawner::new(NonZeroUsize::MIN).unwrap_err();
        assert!(matches!(refused, SpawnerError::ChildrenIgnored), "{refused}");
    });
}
