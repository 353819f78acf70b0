//! F13: a process gets no descriptor, handler or mask that was not meant for it.

use std::fs::File;
use std::net::TcpListener;

use rustix::io::{FdFlags, fcntl_setfd};
use sched_core::{RunId, Stop};
use sched_runtime_smol::Output;
use sched_tests::processes::{Bench, descriptors, proc_status, sleeper, within_a_minute};

/// SIGPIPE, which Rust's runtime ignores in this program, and in it alone.
const PIPE: u64 = 1 << 12;

/// Signals 32 and 33, which the C library keeps to itself and sets as it likes.
const RESERVED: u64 = 0b11 << 31;

fn signals(pid: impl std::fmt::Display, name: &str) -> u64 {
    u64::from_str_radix(&proc_status(pid, name), 16).expect("a mask") & !RESERVED
}

/// Starts a sleeper and waits until it sleeps. A start is over a moment before
/// the kernel has put the new program, and its descriptors, in place.
async fn asleep(bench: &mut Bench, output: Output) -> (RunId, u32) {
    let (run, pid) = bench.start(&sleeper().output(output)).await;
    while proc_status(pid, "Name") != "sleep" || !proc_status(pid, "State").starts_with('S') {
        smol::future::yield_now().await;
    }
    (run, pid)
}

#[test]
fn f13_no_descriptor_but_the_first_three() {
    within_a_minute(async {
        let mut bench = Bench::new(3);
        let _socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let file = File::open("/proc/self/status").unwrap();
        // As those that this program was itself given, or that C libraries open.
        fcntl_setfd(&file, FdFlags::empty()).unwrap();
        for output in [Output::Null, Output::CAPTURE, Output::Inherit] {
            let (run, pid) = asleep(&mut bench, output).await;
            assert_eq!(descriptors(pid), [0, 1, 2], "{output:?}");
            bench.stop(run, Stop::Kill);
            bench.exited(run).await;
        }
    });
}

#[test]
fn f13_no_signal_handler_and_no_blocked_signal() {
    within_a_minute(async {
        let mut bench = Bench::new(1);
        let (run, pid) = asleep(&mut bench, Output::Null).await;
        assert_ne!(
            signals("self", "SigCgt"),
            0,
            "Rust's runtime has handlers, for stack overflows"
        );
        assert_eq!(signals(pid, "SigCgt"), 0, "caught");
        assert_eq!(signals(pid, "SigIgn"), signals("self", "SigIgn") & !PIPE, "ignored");
        assert_eq!(signals(pid, "SigBlk"), 0, "blocked");
        bench.stop(run, Stop::Kill);
        bench.exited(run).await;
    });
}
