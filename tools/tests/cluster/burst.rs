use std::collections::{BTreeMap, BTreeSet};

use crate::eye::Eye;
use crate::fleet::{Bus, Traces, run};

const JOBS: usize = 300;

/// Says when it starts and ends; also when it is evicted. A run that is ended
/// before it could say anything has not said that it started.
const SCRIPT: &str = r#"
say() { echo "$1 $SCHED_JOB $SCHED_ATTEMPT $$" >> log; }
trap 'say end; exit 143' TERM
say start
sleep 0.02 & wait $!
trap '' TERM
say end"#;

#[test]
fn a_burst_over_two_schedulers_runs_every_job_and_none_twice_at_once() {
    run(async {
        let (bus, traces) = (Bus::with(|_| {}).await, Traces::new("burst"));
        let mut eye = Eye::open(&bus.url()).await;
        let _schedulers = ["a", "b"].map(|name| bus.scheduler(&traces, name, 4));
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut random = fastrand::Rng::with_seed(seed);
        let jobs = (0..JOBS).map(|_| traces.job(random.i32(0..=4), SCRIPT));
        let jobs = eye.submit_all(jobs.collect::<Vec<_>>()).await;
        for job in &jobs {
            eye.outcome(*job).await;
        }
        for job in &jobs {
            assert_eq!(eye.outcomes(*job), ["finished"], "{:#?}", eye.story(*job));
        }
        let names: Vec<String> = jobs.iter().map(ToString::to_string).collect();
        assert_eq!(check_log(&traces.read("log")), names.iter().map(String::as_str).collect());
        let on = |name| eye.changes.iter().filter(|it| it.on.as_deref() == Some(name)).count();
        assert!(on("a") > 0 && on("b") > 0, "both take part: {} and {}", on("a"), on("b"));
    });
}

/// Whether no job was run twice at once; returns those that ran.
fn check_log(log: &str) -> BTreeSet<&str> {
    let mut running = BTreeMap::new();
    let mut ran = BTreeSet::new();
    for line in log.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let [what, job, attempt, pid] = words[..] else { panic!("{line:?}") };
        assert_eq!(attempt, "1", "an eviction is no attempt: {line}");
        if what == "start" {
            let other = running.insert(job, pid);
            assert_eq!(other, None, "{job} runs twice at once, the second time as {pid}");
            ran.insert(job);
        } else if running.get(job) == Some(&pid) {
            running.remove(job);
        }
    }
    assert!(running.is_empty(), "{running:?} did not end");
    ran
}
