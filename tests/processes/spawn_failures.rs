//! What cannot be started is told, with the reason, and holds no place.

use sched_core::{Outcome, SpawnFailureKind};
use sched_runtime_smol::{Command, Output, Process, Report};
use sched_tests::processes::{Bench, alone_under, sh, within_a_minute};

#[test]
fn a_bad_command_is_told_with_the_reason() {
    within_a_minute(async {
        let mut bench = Bench::new(1);
        for (command, reason) in [
            (Command::new("no-such-program-anywhere"), "no-such-program-anywhere"),
            (Command::new("/nowhere/at/all"), "/nowhere/at/all"),
            (Command::new("/etc/passwd"), "not an executable file"),
            (Command::new("/"), "not an executable file"),
            (sh("exit 0").cwd("/nowhere/at/all"), "working directory"),
            (Command::new("sh").arg("a\0b"), "cannot start"),
            (Command::new("sh").arg("x".repeat(4 << 20)), "cannot start"),
        ] {
            let run = bench.spawn(&command);
            match bench.report().await {
                Report::SpawnFailed { run: of, why } => {
                    assert_eq!((of, why.kind), (run, SpawnFailureKind::Command), "{why}");
                    assert!(why.message.contains(reason), "{why}");
                }
                other => panic!("{reason}: {other:?}"),
            }
        }
        assert!(bench.complete(&sh("exit 0")).await.0.status.is_success(), "the place is free");
        bench.assert_silent();
    });
}

#[test]
fn a_process_on_its_own_has_it_as_its_outcome() {
    within_a_minute(async {
        let mut process = Process::new(Command::new("/nowhere/at/all"));
        process.start().unwrap();
        match process.wait().await.unwrap().outcome {
            Outcome::SpawnFailed(why) => assert!(why.message.contains("/nowhere/at/all"), "{why}"),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn a_directory_that_cannot_take_output_is_told_by_its_name() {
    const TEST: &str = "spawn_failures::a_directory_that_cannot_take_output_is_told_by_its_name";
    alone_under(&["env", "TMPDIR=/nowhere/at/all"], TEST, || {
        within_a_minute(async {
            let mut bench = Bench::new(1);
            bench.spawn(&sh("exit 0").output(Output::Spool));
            let Report::SpawnFailed { why, .. } = bench.report().await else {
                panic!("a process without files for its output");
            };
            assert_eq!(why.kind, SpawnFailureKind::Command, "{why}");
            assert!(why.message.contains("\"/nowhere/at/all\": No such file"), "{why}");
        });
    });
}
