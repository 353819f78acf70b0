//! F4, invariant 11: an exit that was seen before a signal was sent is natural.

use sched_core::{Exit, ExitStatus, Stop};
use sched_tests::processes::{Bench, exists, sh, within_a_minute};

#[test]
fn a_stop_after_the_exit_changes_nothing() {
    within_a_minute(async {
        let mut bench = Bench::new(1);
        let (run, pid) = bench.start(&sh("exit 5")).await;
        // Reaped, though its report is still unread.
        while exists(pid) {
            smol::future::yield_now().await;
        }
        bench.stop(run, Stop::Terminate);
        bench.stop(run, Stop::Kill);
        assert_eq!(bench.exited(run).await.0, Exit::natural(ExitStatus::Code(5)));
        bench.stop(run, Stop::Kill);
        bench.assert_silent();
    });
}

#[test]
fn f4_whichever_is_first_there_is_one_exit_and_it_is_true() {
    within_a_minute(async {
        let mut bench = Bench::new(1);
        let mut natural = 0;
        for round in 0..300 {
            let (run, _) = bench.start(&sh("exit 5")).await;
            // Later from round to round, until the exit is always first.
            for _ in 0..round * 2 {
                smol::future::yield_now().await;
            }
            bench.stop(run, Stop::Terminate);
            let (exit, _) = bench.exited(run).await;
            match exit {
                Exit { status: ExitStatus::Code(5), after_stop } => {
                    natural += usize::from(!after_stop)
                }
                Exit { status: ExitStatus::Signal(15), after_stop: true } => {}
                other => panic!("round {round}: {other:?}"),
            }
        }
        println!("{natural} of 300 exits came before their stop");
        bench.assert_silent();
    });
}
