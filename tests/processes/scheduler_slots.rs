//! What runs in the slots of a real scheduler, and what is left of it: nothing.

use std::time::Duration;

use sched_core::{EventKind, ExitStatus, Outcome, Policy};
use sched_runtime_smol::Command;
use sched_tests::processes::{Fifo, sh, sleeper, within_a_minute};
use sched_tests::scheduling::Scene;

/// Runs until somebody writes into the pipe.
fn until_written(pipe: &Fifo) -> Command {
    sh(&format!("read line < {}", pipe.name()))
}

async fn write(pipe: &Fifo) {
    let path = pipe.path().to_owned();
    smol::unblock(move || std::fs::write(path, "go\n")).await.expect("the pipe is there");
}

#[test]
fn f1_of_two_equal_jobs_only_the_one_that_ended_is_struck_off() {
    within_a_minute(async {
        let (pipe, mut scene) = (Fifo::new(), Scene::new(2, Policy::seed()).await);
        let first = scene.submit(5, sleeper()).await;
        let second = scene.submit(5, until_written(&pipe)).await;
        let third = scene.submit(5, sleeper()).await;
        write(&pipe).await;
        assert_eq!(scene.until_ended(&second).await, Outcome::Finished);
        scene.until_started(&third).await;
        let live = scene
            .scheduler
            .inspect(|manager, _| manager.bins().map(|it| it.running()).sum::<usize>());
        assert_eq!(live.await.unwrap(), 2);
        assert_eq!((scene.processes().len(), scene.peak), (2, 2));
        scene.end().await;
        let cancelled = Outcome::Cancelled { exit: Some(ExitStatus::Signal(15)) };
        assert_eq!(first.ended().await.unwrap().outcome, cancelled);
    });
}

#[test]
fn f2_a_burst_of_rising_urgency_leaves_one_process_in_one_slot() {
    within_a_minute(async {
        let mut scene = Scene::new(1, Policy::seed()).await;
        let mut jobs = Vec::new();
        for priority in (0..10).rev() {
            jobs.push(scene.submit(priority, sleeper()).await);
        }
        scene.until_started(&jobs[9]).await;
        assert_eq!((scene.peak, scene.processes().len()), (1, 1));
        scene.end().await;
        let outcome = jobs[0].ended().await.unwrap().outcome;
        assert!(matches!(outcome, Outcome::Evicted { .. }), "{outcome}");
    });
}

#[test]
fn f3_the_successor_of_a_stubborn_victim_starts_when_that_is_reaped() {
    within_a_minute(async {
        let grace = Duration::from_millis(100);
        let mut scene = Scene::new(1, Policy { grace, ..Policy::seed() }).await;
        let ready = Fifo::new();
        let stubborn = sh(&format!("trap '' TERM; echo ready > {}; exec sleep 600", ready.name()));
        let victim = scene.submit(9, stubborn).await;
        ready.lines().await.expect("ready").await;
        let urgent = scene.submit(0, sleeper()).await;
        scene.until_started(&urgent).await;
        assert_eq!(scene.processes().len(), 1, "the victim lives beside its successor");
        let exit = ExitStatus::Signal(9);
        let evicted = Outcome::Evicted { by: urgent.id(), exit };
        assert_eq!(victim.ended().await.unwrap().outcome, evicted);
        scene.end().await;
    });
}

#[test]
fn f11_cancelling_a_run_lets_the_next_job_start() {
    within_a_minute(async {
        let mut scene = Scene::new(1, Policy::seed()).await;
        let first = scene.submit(5, sleeper()).await;
        let second = scene.submit(5, sleeper()).await;
        scene.until_started(&first).await;
        scene.scheduler.cancel(first.id()).await.unwrap();
        scene.until_started(&second).await;
        assert!(scene.scheduler.cancel(first.id()).await.is_err(), "it has ended");
        assert_eq!(scene.peak, 1);
        scene.end().await;
    });
}

#[test]
fn many_short_jobs_never_outnumber_the_slots() {
    within_a_minute(async {
        let mut scene = Scene::new(8, Policy::seed()).await;
        let mut jobs = Vec::new();
        for _ in 0..400 {
            jobs.push(scene.submit(5, Command::new("true")).await);
        }
        for job in &jobs {
            assert_eq!(job.ended().await.unwrap().outcome, Outcome::Finished);
        }
        scene
            .until(|it| matches!(it, EventKind::Ended { job, .. } if *job == jobs[399].id()))
            .await;
        assert_eq!(scene.peak, 8);
        scene.end().await;
    });
}

#[test]
fn dropping_the_last_handle_ends_everything() {
    within_a_minute(async {
        let mut scene = Scene::new(2, Policy::seed()).await;
        let pipe = Fifo::new();
        let command = sh(&format!("exec 3> {}; echo up >&3; exec sleep 600", pipe.name()));
        let job = scene.submit(5, command).await;
        let mut lines = pipe.lines().await;
        lines.expect("up").await;
        scene.until_started(&job).await;
        drop(scene);
        lines.expect_end().await;
        let outcome = job.ended().await.unwrap().outcome;
        assert_eq!(outcome, Outcome::Cancelled { exit: Some(ExitStatus::Signal(15)) });
    });
}
