use std::time::Duration;

use crate::eye::Eye;
use crate::fleet::{Bus, Traces, first_run_stays, lives, release, run, until_gone};

const LEASE: Duration = Duration::from_secs(1);

/// One job ends while its scheduler is halted, the other would go on for ever.
/// Both are given to another scheduler. When the first one goes on it is too
/// late for its report, and it ends what it still runs.
#[test]
fn a_scheduler_that_was_halted_too_long_is_not_believed_and_ends_its_runs() {
    run(async {
        let (bus, traces) = (Bus::with_lease(LEASE).await, Traces::new("halted"));
        let mut eye = Eye::open(&bus.url()).await;
        let a = bus.scheduler(&traces, "a", 2);
        let pipe = traces.pipe("pipe");
        let late = "[ -e late ] && exit 0; echo $$ > late; cat pipe; exit 7";
        let late = eye.submit(traces.job(5, late)).await;
        let stubborn = format!("trap '' TERM; {}", first_run_stays("stays"));
        let stays = eye.submit(traces.job(5, &stubborn)).await;
        for job in [late, stays] {
            eye.runs_on(job, "a").await;
        }
        let (ends, stays_pid) = (traces.pid("late").await, traces.pid("stays").await);
        a.signal("STOP");
        release(pipe).await;
        let _b = bus.scheduler(&traces, "b", 2);
        for job in [late, stays] {
            eye.runs_on(job, "b").await;
            assert_eq!(eye.outcome(job).await.state, "finished");
        }
        assert!(!lives(ends) && lives(stays_pid));
        a.signal("CONT");
        // Without its grace period, which is 5 s.
        until_gone(stays_pid, Duration::from_secs(4)).await;
        // What `a` does next comes after its late reports.
        let next = eye.submit_all((0..8).map(|_| traces.job(5, "sleep 0.2"))).await;
        eye.seen(|it| next.contains(&it.job) && it.last && it.on.as_deref() == Some("a")).await;
        eye.look().await;
        assert!(eye.stale_reports >= 1, "the late reports are refused");
        for job in [late, stays] {
            assert_eq!(eye.outcomes(job), ["finished"], "{:#?}", eye.story(job));
        }
    });
}

#[test]
fn a_scheduler_that_was_halted_for_a_moment_goes_on() {
    run(async {
        let lease = Duration::from_secs(30);
        let (bus, traces) = (Bus::with_lease(lease).await, Traces::new("moment"));
        let mut eye = Eye::open(&bus.url()).await;
        let a = bus.scheduler(&traces, "a", 1);
        let pipe = traces.pipe("pipe");
        let job = eye.submit(traces.job(5, "echo run >> runs; cat pipe; exit 3")).await;
        eye.runs_on(job, "a").await;
        a.signal("STOP");
        release(pipe).await;
        a.signal("CONT");
        let failed = eye.seen(|it| it.job == job && it.code == Some(3)).await;
        assert_eq!(failed.on.as_deref(), Some("a"));
        assert_eq!(traces.read("runs"), "run\n");
        eye.cancel(job).await;
        assert_eq!(eye.outcome(job).await.state, "cancelled");
    });
}
