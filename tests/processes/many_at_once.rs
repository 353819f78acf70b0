//! F10: many processes are awaited at once, without a thread each.

use rustix::process::Signal;
use sched_core::{Exit, ExitStatus};
use sched_runtime_smol::Report;
use sched_tests::processes::{Bench, exists, proc_status, send, sleeper, within_a_minute};

const MANY: usize = 200;

#[test]
fn f10_each_exit_is_told_at_once_whatever_else_runs() {
    within_a_minute(async {
        let mut bench = Bench::new(MANY);
        let mut live = Vec::new();
        for _ in 0..MANY {
            bench.spawn(&sleeper());
        }
        while live.len() < MANY {
            match bench.report().await {
                Report::Started { run, pid } => live.push((run, pid)),
                other => panic!("{other:?}"),
            }
        }
        let threads: usize = proc_status("self", "Threads").parse().unwrap();
        assert!(threads < MANY / 2, "{threads} threads for {MANY} processes");

        let seed = fastrand::u64(..);
        println!("seed {seed}");
        fastrand::Rng::with_seed(seed).shuffle(&mut live);
        for (run, pid) in live {
            send(pid, Signal::KILL);
            assert_eq!(bench.exited(run).await.0, Exit::natural(ExitStatus::Signal(9)));
            assert!(!exists(pid), "{run} is told, but not reaped");
        }
        bench.assert_silent();
    });
}
