//! The way a process ended is told as it was.

use sched_core::{Exit, ExitStatus, Outcome};
use sched_runtime_smol::Process;
use sched_tests::processes::{Bench, exists, sh, within_a_minute};

#[test]
fn codes_and_signals_are_told() {
    within_a_minute(async {
        let mut bench = Bench::new(1);
        for (script, status) in [
            ("exit 0", ExitStatus::Code(0)),
            ("exit 3", ExitStatus::Code(3)),
            ("exit 255", ExitStatus::Code(255)),
            ("kill -KILL $$", ExitStatus::Signal(9)),
            ("kill -TERM $$", ExitStatus::Signal(15)),
        ] {
            let (run, pid) = bench.start(&sh(script)).await;
            assert_eq!(bench.exited(run).await, (Exit::natural(status), None), "{script}");
            assert!(!exists(pid), "told, and so reaped: {script}");
        }
        bench.assert_silent();
    });
}

#[test]
fn a_process_on_its_own_has_an_outcome() {
    within_a_minute(async {
        for (script, outcome) in [
            ("exit 0", Outcome::Finished),
            ("exit 3", Outcome::Failed(ExitStatus::Code(3))),
            ("kill -KILL $$", Outcome::Failed(ExitStatus::Signal(9))),
        ] {
            let mut process = Process::new(sh(script));
            process.start().unwrap();
            assert_eq!(process.wait().await.unwrap().outcome, outcome, "{script}");
        }
    });
}
