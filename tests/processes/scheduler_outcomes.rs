//! Every job gets one outcome, and it is told.

use std::num::NonZeroU32;

use sched_core::{EventKind, ExitStatus, JobSpec, Outcome, Policy, Priority, SpawnFailureKind};
use sched_runtime_smol::{Command, Output};
use sched_tests::processes::{sh, sleeper, within_a_minute};
use sched_tests::scheduling::{Scene, outcomes};

#[test]
fn f4_exits_that_race_evictions_discard_no_job() {
    within_a_minute(async {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut random = fastrand::Rng::with_seed(seed);
        let scene = Scene::new(2, Policy::durable()).await;
        let mut jobs = Vec::new();
        for _ in 0..300 {
            jobs.push(scene.submit(random.i32(0..10), Command::new("true")).await);
            if random.u8(..4) == 0 {
                jobs[random.usize(..jobs.len())].ended().await.unwrap();
            }
        }
        for job in &jobs {
            assert_eq!(job.ended().await.unwrap().outcome, Outcome::Finished, "{}", job.id());
        }
        scene.end().await;
        let ended = outcomes(&scene.rest().await);
        let mut ids: Vec<_> = ended.iter().map(|(job, _)| *job).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!((ended.len(), ids.len()), (300, 300), "an outcome was told twice or never");
    });
}

#[test]
fn f5_an_evicted_job_is_told_for_whom() {
    within_a_minute(async {
        let mut scene = Scene::new(1, Policy::seed()).await;
        let victim = scene.submit(9, sleeper()).await;
        scene.until_started(&victim).await;
        let urgent = scene.submit(0, sleeper()).await;
        let ended = victim.ended().await.unwrap();
        let exit = ExitStatus::Signal(15);
        assert_eq!(ended.outcome, Outcome::Evicted { by: urgent.id(), exit });
        assert_eq!((ended.tally.runs, ended.tally.evictions), (1, 1));
        scene.end().await;
    });
}

#[test]
fn f6_jobs_of_equal_priority_start_first_come_first_served() {
    within_a_minute(async {
        let mut scene = Scene::new(1, Policy::seed()).await;
        scene.scheduler.pause().await.unwrap();
        let mut expected = Vec::new();
        for _ in 0..12 {
            expected.push(scene.submit(5, Command::new("true")).await.id());
        }
        scene.scheduler.resume().await.unwrap();
        let last = expected[11];
        let told =
            scene.until(|it| matches!(it, EventKind::Ended { job, .. } if *job == last)).await;
        let started: Vec<_> = told
            .iter()
            .filter_map(|it| match it {
                EventKind::Starting { run, .. } => Some(run.job),
                _ => None,
            })
            .collect();
        assert_eq!(started, expected);
        scene.end().await;
    });
}

#[test]
fn f12_stop_starts_nothing_and_tells_what_never_ran() {
    within_a_minute(async {
        let mut scene = Scene::new(1, Policy::durable()).await;
        let runs = scene.submit(5, sleeper()).await;
        let waits = scene.submit(5, sleeper()).await;
        scene.until_started(&runs).await;
        scene.end().await;
        let late = JobSpec::new(Priority::new(0), sleeper());
        assert!(scene.scheduler.submit(late).await.is_err(), "accepted after the end");
        assert_eq!(waits.ended().await.unwrap().outcome, Outcome::Cancelled { exit: None });
        let rest = scene.rest().await;
        let starts = rest.iter().filter(|it| matches!(it, EventKind::Starting { .. })).count();
        assert_eq!((starts, outcomes(&rest).len()), (0, 2));
    });
}

#[test]
fn f14_a_subscriber_or_a_look_that_fails_harms_nobody_else() {
    within_a_minute(async {
        let mut scene = Scene::new(1, Policy::seed()).await;
        let never_read = scene.scheduler.subscribe().await.unwrap();
        drop(scene.scheduler.subscribe().await.unwrap());
        let look =
            scene.scheduler.inspect(|_, _| -> u32 { panic!("a look that fails, on purpose") });
        assert!(look.await.is_err());
        for _ in 0..3 {
            let job = scene.submit(5, Command::new("true")).await;
            assert_eq!(scene.until_ended(&job).await, Outcome::Finished);
        }
        scene.end().await;
        drop(never_read);
    });
}

#[test]
fn f16_a_victim_comes_back_when_its_successor_cannot_start() {
    within_a_minute(async {
        let mut scene = Scene::new(1, Policy::durable()).await;
        let victim = scene.submit(9, sleeper()).await;
        scene.until_started(&victim).await;
        let broken = JobSpec::new(Priority::new(0), Command::new("/no/such/program"));
        let broken = scene.submit_job(broken.max_attempts(NonZeroU32::MIN)).await;
        match scene.until_ended(&broken).await {
            Outcome::SpawnFailed(why) => {
                assert_eq!(why.kind, SpawnFailureKind::Command);
                assert!(why.message.contains("/no/such/program"), "{why}");
            }
            other => panic!("expected a failure to start, got {other}"),
        }
        scene.until_started(&victim).await;
        scene.end().await;
    });
}

#[test]
fn output_and_figures_come_with_the_outcome_as_often_as_asked() {
    within_a_minute(async {
        let scene = Scene::new(1, Policy::seed()).await;
        let command = sh(
            "echo job $SCHED_JOB run $SCHED_RUN attempt $SCHED_ATTEMPT slot $SCHED_SLOT; exit 3",
        );
        let job = scene.submit(5, command.output(Output::CAPTURE)).await;
        for _ in 0..2 {
            let ended = job.clone().ended().await.unwrap();
            assert_eq!(ended.outcome, Outcome::Failed(ExitStatus::Code(3)));
            let output = ended.output.unwrap();
            assert_eq!(output.text(), "job j1 run r1 attempt 1 slot 0\n");
            assert_eq!(ended.tally.runs, 1);
        }
        scene.end().await;
    });
}
