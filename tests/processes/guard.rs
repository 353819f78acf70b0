//! What a program started ends with it, however it dies: the end of the pipe to
//! its guard is what the guard sees of that.

use sched_runtime_smol::Guard;
use sched_tests::processes::{Bench, Fifo, FifoLines, sh, within_a_minute};
use smol::future::yield_now;

/// A process, one in a session of its own, and one that ignores TERM, all of
/// which hold the pipe open; ready when all have said so.
async fn family(bench: &mut Bench, pipe: &Fifo, mark: (&str, &str)) -> FifoLines {
    let script = format!(
        "exec 3> {}; setsid sh -c 'echo session >&3; sleep 600' & \
         sh -c 'trap \"\" TERM; echo deaf >&3; sleep 600' & echo leader >&3; wait",
        pipe.name()
    );
    bench.start(&sh(&script).env(mark.0, mark.1)).await;
    let mut lines = pipe.lines().await;
    let mut said = Vec::new();
    for _ in 0..3 {
        said.push(lines.next().await.expect("all three are there").expect("a line"));
    }
    said.sort();
    assert_eq!(said, ["deaf", "leader", "session"]);
    lines
}

#[test]
fn a_guard_ends_what_bears_its_mark_and_nothing_else() {
    within_a_minute(async {
        let (pipe, others, mut bench) = (Fifo::new(), Fifo::new(), Bench::new(3));
        let (guard, other) = (Guard::post().await.unwrap(), Guard::post().await.unwrap());
        let mut lines = family(&mut bench, &pipe, guard.mark()).await;
        let spared = sh(&format!("exec 3> {}; echo here >&3; sleep 600", others.name()));
        let (name, mark) = other.mark();
        let (_, spared_pid) = bench.start(&spared.env(name, mark)).await;
        let mut spared = others.lines().await;
        spared.expect("here").await;
        // As when this program dies.
        drop(guard);
        lines.expect_end().await;
        assert!(std::fs::exists(format!("/proc/{spared_pid}")).unwrap());
        drop(other);
        spared.expect_end().await;
    });
}

#[test]
fn a_guard_that_was_dismissed_ends_nothing() {
    within_a_minute(async {
        let (pipe, mut bench) = (Fifo::new(), Bench::new(1));
        let guard = Guard::post().await.unwrap();
        let (name, mark) = guard.mark();
        let go = Fifo::new();
        let command =
            sh(&format!("exec 3> {}; read x < {}; echo done >&3", pipe.name(), go.name()));
        let mark_of_it = format!("{name}={mark}");
        let (run, _) = bench.start(&command.env(name, mark)).await;
        let mut lines = pipe.lines().await;
        assert!(on_duty(&mark_of_it));
        guard.dismiss();
        while on_duty(&mark_of_it) {
            yield_now().await;
        }
        let go = go.name().to_string();
        smol::unblock(move || std::fs::write(go, "go\n")).await.unwrap();
        lines.expect("done").await;
        assert!(!bench.exited(run).await.0.after_stop);
    });
}

/// Whether there is a guard for this mark: it has it among its arguments.
fn on_duty(mark: &str) -> bool {
    let all = std::fs::read_dir("/proc").expect("a /proc").filter_map(Result::ok);
    let arguments = all.filter_map(|it| std::fs::read(it.path().join("cmdline")).ok());
    arguments.into_iter().any(|it| String::from_utf8_lossy(&it).contains(mark))
}
