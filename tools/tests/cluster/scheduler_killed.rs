use std::time::{Duration, Instant};

use crate::eye::Eye;
use crate::fleet::{Bus, Traces, lives, run, signal};

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
        // Nobody is left who would end what it ran.
        signal(orphan, "KILL");
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
