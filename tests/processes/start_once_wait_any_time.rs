//! F15: a second start is an error, and wait answers at any time after the first.

use sched_core::{ExitStatus, Outcome};
use sched_runtime_smol::{AlreadyStarted, NotStarted, Process};
use sched_tests::processes::{Fifo, sh, sleeper, within_a_minute};

#[test]
fn f15_wait_answers_while_it_runs_just_after_and_long_after() {
    within_a_minute(async {
        let mut process = Process::new(sh("exit 3"));
        process.start().unwrap();
        let waiters: Vec<_> = (0..5).map(|_| smol::spawn(process.wait())).collect();
        let first = process.wait().await.unwrap();
        assert_eq!(first.outcome, Outcome::Failed(ExitStatus::Code(3)));
        for waiter in waiters {
            assert_eq!(waiter.await.as_ref(), Ok(&first));
        }
        assert_eq!(process.wait().await, Ok(first.clone()));
        let late = process.wait();
        drop(process);
        assert_eq!(late.await, Ok(first), "the future outlives the handle");
    });
}

#[test]
fn f15_a_second_start_is_an_error_while_it_runs_and_after() {
    within_a_minute(async {
        let pipe = Fifo::new();
        let script = format!("exec 3> {}; echo up >&3; exec sleep 600", pipe.name());
        let mut process = Process::new(sh(&script));
        process.start().unwrap();
        pipe.lines().await.expect("up").await;
        assert_eq!(process.start(), Err(AlreadyStarted));
        process.terminate().unwrap();
        let outcome = process.wait().await.unwrap().outcome;
        assert_eq!(outcome, Outcome::Cancelled { exit: Some(ExitStatus::Signal(15)) });
        assert_eq!(process.start(), Err(AlreadyStarted));
        assert_eq!(process.wait().await.unwrap().outcome, outcome, "the result stands");
        assert_eq!(process.terminate(), Ok(()), "nothing to terminate");
    });
}

#[test]
fn before_the_start_there_is_nothing_to_wait_for_or_to_terminate() {
    within_a_minute(async {
        let process = Process::new(sleeper());
        assert_eq!(process.wait().await, Err(NotStarted));
        assert_eq!(process.terminate(), Err(NotStarted));
    });
}
