//! After many runs there is no child, no zombie and no open descriptor more than before.

use std::collections::BTreeSet;

use sched_core::Stop;
use sched_runtime_smol::{Output, Report};
use sched_tests::processes::{Bench, alone, children, descriptors, sh, sleeper, within_a_minute};

const SLOTS: usize = 8;
const RUNS: usize = 1_000;

/// Those that make what stays: threads, and what each keeps open.
const FIRST: usize = 100;

#[test]
fn children_zombies_descriptors() {
    alone("nothing_is_left_behind::children_zombies_descriptors", || {
        within_a_minute(many_runs());
    });
}

async fn many_runs() {
    let mut bench = Bench::new(SLOTS);
    run_many(&mut bench, FIRST).await;
    let before = descriptors("self");
    run_many(&mut bench, RUNS).await;
    assert_eq!(children(), [0; 0], "children, zombies included");
    assert_eq!(descriptors("self"), before);
}

async fn run_many(bench: &mut Bench, runs: usize) {
    let (mut made, mut live, mut ended) = (0, 0, 0);
    let mut stopped = BTreeSet::new();
    while ended < runs {
        while live < SLOTS && made < runs {
            // By turns: one ends by itself, one is stopped.
            let long = made % 2 == 0;
            let command = if long { sleeper() } else { sh("echo out; sleep 0 & exit 0") };
            let run = bench.spawn(&command.output(Output::CAPTURE));
            if long {
                stopped.insert(run);
            }
            (made, live) = (made + 1, live + 1);
        }
        match bench.report().await {
            Report::Started { run, .. } => {
                assert!(children().len() <= SLOTS, "{:?}", children());
                if stopped.remove(&run) {
                    bench.stop(run, Stop::Terminate);
                }
            }
            Report::Exited { .. } => (live, ended) = (live - 1, ended + 1),
            Report::SpawnFailed { why, .. } => panic!("{why}"),
        }
    }
    bench.assert_silent();
}
