//! The last bytes of the output are kept; nobody waits for a full or held pipe.

use rustix::process::Signal;
use sched_core::{Exit, ExitStatus, Stop};
use sched_runtime_smol::{Command, Output};
use sched_tests::processes::{Bench, Fifo, exists, send, sh, within_a_minute};

#[test]
fn both_streams_in_the_order_in_which_they_were_written() {
    within_a_minute(async {
        let mut bench = Bench::new(1);
        let script = sh("echo one; echo two >&2; echo three").output(Output::CAPTURE);
        let output = bench.complete(&script).await.1.unwrap();
        assert_eq!((output.text().as_ref(), output.dropped), ("one\ntwo\nthree\n", 0));
    });
}

#[test]
fn the_last_64_kib_are_kept_and_the_rest_is_counted() {
    within_a_minute(async {
        let mut bench = Bench::new(1);
        let script = sh("seq 100000").output(Output::CAPTURE);
        let output = bench.complete(&script).await.1.unwrap();
        let all: String = (1..=100_000).map(|n| format!("{n}\n")).collect();
        let (dropped, kept) = all.as_bytes().split_at(all.len() - 64 * 1024);
        assert_eq!(output.bytes, kept);
        assert_eq!(output.dropped, dropped.len() as u64);
    });
}

#[test]
fn a_chatty_process_never_blocks() {
    within_a_minute(async {
        let mut bench = Bench::new(1);
        let much = 64 << 20;
        let command = Command::new("head").args(["-c", &much.to_string(), "/dev/zero"]);
        let (exit, output) = bench.complete(&command.output(Output::Capture { limit: 10 })).await;
        assert_eq!(exit, Exit::natural(ExitStatus::Code(0)));
        let output = output.unwrap();
        assert_eq!((output.bytes, output.dropped), (vec![0; 10], much - 10));
    });
}

#[test]
fn those_who_write_without_end_keep_nobody_waiting() {
    const NOISY: usize = 4;
    within_a_minute(async {
        let mut bench = Bench::new(NOISY + 1);
        let yes = Command::new("yes").output(Output::Capture { limit: 10 });
        let mut noisy = Vec::new();
        for _ in 0..NOISY {
            noisy.push(bench.start(&yes).await.0);
        }
        for _ in 0..10 {
            assert_eq!(bench.complete(&sh("exit 3")).await.0.status, ExitStatus::Code(3));
        }
        let mut dropped = 0;
        for run in noisy {
            bench.stop(run, Stop::Terminate);
            let (exit, output) = bench.exited(run).await;
            assert_eq!(exit, Exit::stopped(ExitStatus::Signal(15)));
            dropped += output.unwrap().dropped;
        }
        assert!(dropped > 0);
    });
}

#[test]
fn a_descendant_that_got_away_with_the_pipe_does_not_delay_the_exit() {
    within_a_minute(async {
        let (up, mut bench) = (Fifo::new(), Bench::new(1));
        let script = format!(
            "setsid sh -c 'echo up > {0}; exec sleep 600' & pid=$!; read up < {0}; echo $pid",
            up.name()
        );
        let (exit, output) = bench.complete(&sh(&script).output(Output::CAPTURE)).await;
        assert!(exit.status.is_success());
        let away: u32 = output.unwrap().text().trim().parse().unwrap();
        assert!(exists(away), "it holds the pipe");
        send(away, Signal::KILL);
    });
}

#[test]
fn without_a_capture_there_is_no_output() {
    within_a_minute(async {
        let mut bench = Bench::new(1);
        assert_eq!(bench.complete(&sh("echo lost")).await.1, None);
    });
}
