//! A process halted by STOP acts on TERM.

use rustix::process::Signal;
use sched_core::{Exit, ExitStatus, Stop};
use sched_tests::processes::{Bench, proc_status, send, sleeper, within_a_minute};

#[test]
fn a_halted_process_ends_on_term() {
    within_a_minute(async {
        let mut bench = Bench::new(1);
        let (run, pid) = bench.start(&sleeper()).await;
        send(pid, Signal::STOP);
        while !proc_status(pid, "State").starts_with('T') {
            smol::future::yield_now().await;
        }
        bench.stop(run, Stop::Terminate);
        assert_eq!(bench.exited(run).await.0, Exit::stopped(ExitStatus::Signal(15)));
    });
}
