//! A disk without room for output: starts are to be tried again, and succeed
//! when there is room.

use std::process;

use sched_core::SpawnFailureKind;
use sched_runtime_smol::{Output, Report};
use sched_tests::processes::{Bench, alone_under, sh, within_a_minute};

/// A file system of its own, full, for all that the command after it sees.
const FULL: [&str; 6] = ["unshare", "--mount", "env", "TMPDIR=/mnt", "sh", "-c"];
const MOUNT: &str = r#"mount -t tmpfs -o nr_inodes=1 none /mnt && exec "$0" "$@""#;

#[test]
fn a_start_on_a_full_disk_is_to_be_tried_again() {
    const TEST: &str = "full_disk::a_start_on_a_full_disk_is_to_be_tried_again";
    let wrapper: Vec<_> = FULL.into_iter().chain([MOUNT]).collect();
    let tried = process::Command::new(wrapper[0]).args(&wrapper[1..]).arg("true").output();
    if !tried.is_ok_and(|it| it.status.success()) {
        eprintln!("SKIPPED: a tmpfs cannot be mounted here (are you root?)");
        return;
    }
    alone_under(&wrapper, TEST, || {
        within_a_minute(async {
            let mut bench = Bench::new(1);
            let command = sh("echo x").output(Output::Spool);
            for _ in 0..3 {
                bench.spawn(&command);
                let Report::SpawnFailed { why, .. } = bench.report().await else {
                    panic!("a process without files for its output");
                };
                assert_eq!(why.kind, SpawnFailureKind::Exhausted, "{why}");
                assert!(why.message.contains("\"/mnt\": No space left"), "{why}");
            }
            let mut grow = process::Command::new("mount");
            assert!(grow.args(["-o", "remount,nr_inodes=9", "/mnt"]).status().unwrap().success());
            bench.start(&command).await;
            let Report::Exited { spooled: Some(spooled), .. } = bench.report().await else {
                panic!("the end of a process with its output");
            };
            assert_eq!(spooled.stdout.len(), 2);
        });
    });
}
