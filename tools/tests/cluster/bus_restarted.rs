use std::time::Duration;

use sched_runtime_smol::bus::BusConfig;

use crate::eye::Eye;
use crate::fleet::{Bus, Traces, lives, release, run, until_gone};

#[test]
fn a_bus_that_kept_nothing_has_its_schedulers_end_what_they_run() {
    run(async {
        let (bus, traces) = (Bus::with(|_| {}).await, Traces::new("forgot"));
        let mut eye = Eye::open(&bus.url()).await;
        let _a = bus.scheduler(&traces, "a", 1);
        let job = eye.submit(traces.first_run_stays(5, "first")).await;
        eye.runs_on(job, "a").await;
        let first = traces.pid("first").await;
        let address = bus.kill().await;
        assert!(lives(first), "the loss of its bus alone does not end a run");
        let bus = Bus::again(address, |_| {}).await;
        until_gone(first, Duration::from_secs(30)).await;
        let mut eye = Eye::open(&bus.url()).await;
        let next = eye.submit(traces.job(5, "echo $SCHED_JOB")).await;
        eye.runs_on(next, "a").await;
        let finished = eye.outcome(next).await;
        assert_eq!(finished.state, "finished");
        assert_eq!(finished.output, Some(format!("{next}\n")));
    });
}

/// One job ends while there is no bus, the other one after it has come back.
#[test]
fn a_bus_with_a_disk_comes_back_to_runs_that_went_on() {
    run(async {
        let traces = Traces::new("kept");
        let data = traces.path("data");
        let terms = |config: &mut BusConfig| {
            (config.lease, config.beat) = (Duration::from_secs(30), Duration::from_secs(1));
            config.data = Some(data.clone().into());
        };
        let bus = Bus::with(terms).await;
        let mut eye = Eye::open(&bus.url()).await;
        let _a = bus.scheduler(&traces, "a", 2);
        let mut jobs = Vec::new();
        for name in ["before", "after"] {
            traces.pipe(name);
            let script = format!("echo $SCHED_JOB >> runs; cat {name}; echo {name}");
            let job = eye.submit(traces.job(5, &script)).await;
            eye.runs_on(job, "a").await;
            jobs.push(job);
        }
        let address = bus.kill().await;
        release(traces.path("before")).await;
        let _bus = Bus::again(address, terms).await;
        let before = eye.outcome(jobs[0]).await;
        release(traces.path("after")).await;
        let after = eye.outcome(jobs[1]).await;
        for change in [&before, &after] {
            assert_eq!((change.state.as_str(), change.attempt), ("finished", 1));
        }
        assert_eq!(after.output.as_deref(), Some("after\n"));
        assert_eq!(traces.read("runs"), format!("{}\n{}\n", jobs[0], jobs[1]), "each ran once");
    });
}
