use std::time::{Duration, Instant};

use crate::eye::Eye;
use crate::fleet::{Bus, Traces, run};

const ROUNDS: usize = 5;

/// From being submitted to running, with the death of the victim, which here
/// takes no time of its own. The machine may be busy with other tests: the
/// best of some rounds counts.
const AT_ONCE: Duration = Duration::from_millis(200);

#[test]
fn an_urgent_job_starts_at_once_in_a_full_cluster_and_its_victim_comes_back() {
    run(async {
        let (bus, traces) = (Bus::with(|_| {}).await, Traces::new("urgent"));
        let mut eye = Eye::open(&bus.url()).await;
        let _schedulers = ["a", "b"].map(|name| bus.scheduler(&traces, name, 2));
        let fill = |n: usize| traces.first_run_stays(9, &format!("low{n}"));
        let mut lows = eye.submit_all((0..4).map(fill)).await;
        let mut best = Duration::MAX;
        for round in 0..ROUNDS {
            for (n, low) in lows.iter().enumerate() {
                eye.seen(|it| it.job == *low && it.state == "running").await;
                traces.pid(&format!("low{n}")).await;
            }
            let asked = Instant::now();
            let urgent = eye.submit(traces.job(0, "exit 0")).await;
            let runs = eye.seen(|it| it.job == urgent && it.state == "running").await;
            best = best.min(runs.heard - asked);
            assert_eq!(eye.outcome(urgent).await.state, "finished");
            let evicted = eye.seen(|it| it.by == Some(urgent)).await;
            assert_eq!(evicted.state, "pending", "it is to come back");
            assert!(lows.contains(&evicted.job));
            let states: Vec<_> = eye.story(evicted.job).iter().map(|it| &*it.state).collect();
            let told = ["pending", "assigned", "running", "stopping", "pending"];
            assert_eq!(states[..5], told, "its stop was told before its end");
            assert_eq!(evicted.on, runs.on, "the victim was where the urgent job is");
            assert_eq!(eye.outcome(evicted.job).await.state, "finished", "its second run");
            assert_eq!(eye.outcomes(evicted.job), ["finished"]);
            // Another one in its place.
            lows.push(eye.submit(fill(4 + round)).await);
        }
        assert!(best <= AT_ONCE, "the best of {ROUNDS} took {best:?}");
        for low in lows {
            if eye.outcomes(low).is_empty() {
                eye.cancel(low).await;
            }
            eye.outcome(low).await;
        }
    });
}
