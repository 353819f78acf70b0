//! A signal that was refused has stopped nothing: who has changed its user, and
//! ends by itself, has its natural outcome.

use std::fs::File;

use rustix::process::geteuid;
use sched_core::{Exit, ExitStatus, Stop};
use sched_tests::processes::{Bench, Fifo, alone_under, sh, within_a_minute};

#[test]
fn an_end_after_a_refused_stop_is_natural() {
    const TEST: &str = "refused_signal::an_end_after_a_refused_stop_is_natural";
    if !geteuid().is_root() {
        eprintln!("SKIPPED: only root can start a process that is another user's");
        return;
    }
    // Without this right root may not send signals to others either.
    alone_under(&["setpriv", "--bounding-set=-kill"], TEST, || {
        within_a_minute(async {
            let (up, go) = (Fifo::new(), Fifo::new());
            let script = format!(
                "exec >{} <{}; exec setpriv --reuid=1 --clear-groups \
                 sh -c 'echo up; read go; exit 7'",
                up.name(),
                go.name()
            );
            let mut bench = Bench::new(1);
            let (run, _) = bench.start(&sh(&script)).await;
            let mut lines = up.lines().await;
            let name = go.path().to_owned();
            let writer = smol::unblock(|| File::options().write(true).open(name)).await.unwrap();
            lines.expect("up").await;
            bench.stop(run, Stop::Terminate);
            bench.stop(run, Stop::Kill);
            drop(writer);
            assert_eq!(bench.exited(run).await.0, Exit::natural(ExitStatus::Code(7)));
        });
    });
}
