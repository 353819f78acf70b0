use std::time::{Duration, Instant};

use crate::eye::{Change, Eye};
use crate::fleet::{Bus, Traces, lives, release, run, until_gone};

const LEASE: Duration = Duration::from_secs(1);

#[test]
fn what_a_killed_scheduler_had_runs_elsewhere_once_its_leases_are_over() {
    run(async {
        let (bus, traces) = (Bus::with_lease(LEASE).await, Traces::new("killed"));
        let mut eye = Eye::open(&bus.url()).await;
        let a = bus.scheduler(&traces, "a", 1);
        let job = eye.submit(traces.first_run_stays(5, "first")).await;
        eye.runs_on(job, "a").await;
        let orphan = traces.pid("first").await;
        let _b = bus.scheduler(&traces, "b", 1);
        a.signal("KILL");
        let killed = Instant::now();
        // Its guard ends what it ran.
        until_gone(orphan, Duration::from_secs(30)).await;
        let again = eye.runs_on(job, "b").await;
        let after = again.heard - killed;
        assert!(after >= LEASE - LEASE / 5 - Duration::from_millis(100), "after {after:?}");
        assert!(after <= LEASE + Duration::from_secs(5), "after {after:?}");
        assert_eq!(again.attempt, 1, "a lost lease is no attempt");
        assert_eq!(eye.outcome(job).await.state, "finished");
        assert_eq!(eye.outcomes(job), ["finished"]);
    });
}

#[test]
fn what_a_scheduler_had_that_ends_in_order_runs_elsewhere_at_once() {
    run(async {
        let lease = Duration::from_secs(60);
        let (bus, traces) = (Bus::with_lease(lease).await, Traces::new("ended"));
        let mut eye = Eye::open(&bus.url()).await;
        let a = bus.scheduler(&traces, "a", 1);
        let job = eye.submit(traces.first_run_stays(5, "first")).await;
        eye.runs_on(job, "a").await;
        let first = traces.pid("first").await;
        let _b = bus.scheduler(&traces, "b", 1);
        a.signal("TERM");
        eye.runs_on(job, "b").await;
        assert!(!lives(first), "its first run is over before the second begins");
        assert_eq!(eye.outcome(job).await.state, "finished");
        assert_eq!(eye.outcomes(job), ["finished"]);
        assert_eq!(a.status().await, Some(0));
    });
}

/// What it gives back is not assigned to it again while it waits for a run that
/// takes its time to end.
#[test]
fn a_scheduler_that_is_ending_is_given_nothing() {
    run(async {
        let (bus, traces) = (Bus::with(|_| {}).await, Traces::new("ending"));
        let mut eye = Eye::open(&bus.url()).await;
        let a = bus.scheduler(&traces, "a", 2);
        let pipe = traces.pipe("pipe");
        let slow = "[ -e slow ] && exit 0; trap 'cat pipe; exit 0' TERM; echo $$ > slow; sleep 1000 & wait";
        let slow = eye.submit(traces.job(5, slow)).await;
        let quick = eye.submit(traces.first_run_stays(5, "quick")).await;
        traces.pid("slow").await;
        traces.pid("quick").await;
        let waits = eye.submit_all((0..20).map(|_| traces.job(6, "exit 0"))).await;
        a.signal("TERM");
        for job in [quick, slow] {
            if job == slow {
                release(pipe.clone()).await;
            }
            let came_back = |it: &Change| it.job == job && it.state == "pending" && it.on.is_some();
            eye.seen(came_back).await;
        }
        assert_eq!(a.status().await, Some(0));
        eye.look().await;
        let assigned = eye.changes.iter().filter(|it| it.state == "assigned");
        assert_eq!(assigned.count(), 2, "{:#?}", eye.changes);
        let _b = bus.scheduler(&traces, "b", 4);
        for job in waits.into_iter().chain([quick, slow]) {
            assert_eq!(eye.outcome(job).await.state, "finished");
        }
    });
}
