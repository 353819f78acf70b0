//! The faults of the prototype that can be shown without a process, each by
//! its number: here they do not exist.

use sched_core::{
    Duration, EventKind, ExitStatus, JobSpec, JobState, Mode, OnEvict, Outcome, Policy, Priority,
    SpawnFailureKind, StopCause, TimeBound,
};
use sched_tests::sim::scene::Scene;

fn job(priority: i32, name: &'static str) -> JobSpec<&'static str> {
    JobSpec::new(Priority::new(priority), name)
}

#[test]
fn f1_the_end_of_one_job_strikes_no_equal_off() {
    let mut scene = Scene::new(2, Policy::seed());
    let (one, other) = (scene.running(job(5, "one")), scene.running(job(5, "other")));
    let next = scene.submit(5, "next").unwrap();
    assert_eq!(scene.calls(), ["spawn one", "spawn other"]);

    scene.exits(other, 0);
    assert_eq!(scene.outcomes(other), [Outcome::Finished]);
    assert!(matches!(scene.state(one), Some(JobState::Running(_))));
    assert_eq!((scene.calls(), scene.bin.running()), (vec!["spawn next".into()], 2));

    scene.input(|bin, now| bin.kill(now));
    assert_eq!(scene.calls(), ["kill one", "kill next"], "nobody outlives the shutdown");
    scene.dies(one);
    scene.dies(next);
    assert_eq!(scene.bin.mode(), Mode::Stopped);
}

#[test]
fn f2_a_burst_of_rising_urgency_into_one_slot_leaves_one_process() {
    let mut scene = Scene::new(1, Policy::seed());
    let names = ["p10", "p9", "p8", "p7", "p6", "p5", "p4", "p3", "p2", "p1"];
    let jobs: Vec<_> =
        (1..=10).rev().zip(names).map(|(prio, name)| scene.submit(prio, name).unwrap()).collect();
    assert_eq!(scene.calls(), ["spawn p10", "term p10"], "one victim, and nobody beside it");
    assert_eq!(scene.bin.running(), 1);

    // It had only just been started; it is stopped all the same.
    scene.started(jobs[0]);
    scene.wait(5);
    assert_eq!(scene.calls(), ["kill p10"]);
    scene.dies(jobs[0]);
    assert_eq!(scene.calls(), ["spawn p1"], "the most urgent takes the slot");
    assert_eq!(scene.bin.running(), 1);

    scene.input(|bin, now| bin.kill(now));
    scene.dies(jobs[9]);
    assert_eq!(scene.calls(), ["kill p1"]);
    assert!(jobs.iter().all(|job| scene.outcomes(*job).len() == 1));
}

#[test]
fn f4_an_exit_that_races_an_eviction_discards_nobody() {
    let mut scene = Scene::new(1, Policy::seed());
    let fast = scene.running(job(7, "fast"));
    let urgent = scene.submit(1, "urgent").unwrap();
    let patient = scene.submit(9, "patient").unwrap();
    assert_eq!(scene.calls(), ["spawn fast", "term fast"]);

    // It had exited before TERM reached it.
    scene.exits(fast, 0);
    assert_eq!(scene.outcomes(fast), [Outcome::Finished]);
    assert_eq!(scene.bin.stats().evictions, 0);
    assert_eq!(scene.calls(), ["spawn urgent"]);
    scene.started(urgent);
    scene.exits(urgent, 0);
    assert_eq!(scene.calls(), ["spawn patient"]);
    scene.started(patient);
    scene.exits(patient, 0);
    for job in [urgent, patient] {
        assert_eq!(scene.outcomes(job), [Outcome::Finished]);
    }
}

#[test]
fn f5_every_job_has_one_outcome_and_an_eviction_is_told() {
    let mut scene = Scene::new(1, Policy::seed());
    let dropped = scene.running(job(9, "dropped"));
    let kept = scene.submit_job(job(5, "kept").on_evict(OnEvict::Requeue)).unwrap();
    scene.dies(dropped);
    let exit = ExitStatus::Signal(15);
    assert_eq!(scene.outcomes(dropped), [Outcome::Evicted { by: kept, exit }]);

    scene.started(kept);
    let urgent = scene.submit(0, "urgent").unwrap();
    scene.dies(kept);
    assert_eq!(scene.outcomes(kept), [], "it comes back");
    assert!(scene.events.iter().any(|event| matches!(
        event.kind,
        EventKind::Stopping { job, cause: StopCause::Evicted { by }, .. } if job == kept && by == urgent
    )));
    scene.started(urgent);
    scene.exits(urgent, 0);
    scene.started(kept);
    scene.exits(kept, 3);
    assert_eq!(scene.outcomes(kept), [Outcome::Failed(ExitStatus::Code(3))]);
    assert_eq!(scene.bin.stats().ended_total(), scene.bin.stats().accepted);
}

#[test]
fn f6_equals_start_first_come_first_served_whatever_their_time_limits() {
    let mut scene = Scene::new(1, Policy::seed());
    let mut running = scene.running(job(5, "first"));
    let limit = |secs| Duration::from_secs(secs);
    let waiting = [
        scene.submit_job(job(5, "long").time_limit(limit(900))).unwrap(),
        scene.submit_job(job(5, "unlimited")).unwrap(),
        scene.submit_job(job(5, "short").time_limit(limit(1))).unwrap(),
    ];
    assert_eq!(scene.bin.pending_in_order(), waiting);
    for next in waiting {
        scene.exits(running, 0);
        scene.started(next);
        running = next;
    }
    assert_eq!(scene.calls(), ["spawn first", "spawn long", "spawn unlimited", "spawn short"]);
}

#[test]
fn f7_a_time_limit_dies_with_its_process() {
    let mut scene = Scene::new(1, Policy::seed());
    let limited = scene.running(job(5, "limited").time_limit(Duration::from_secs(10)));
    let next = scene.submit(5, "next").unwrap();
    scene.wait(9);
    scene.exits(limited, 0);
    scene.started(next);
    scene.wait(60);
    assert_eq!(scene.calls(), ["spawn limited", "spawn next"], "and no stop of either");
    assert_eq!(scene.outcomes(limited), [Outcome::Finished]);
    assert!(matches!(scene.state(next), Some(JobState::Running(_))));
    assert_eq!(scene.bin.poll_timeout(), None);

    // The limit of one that still runs does act, and no earlier.
    scene.exits(next, 0);
    let late = scene.running(job(5, "late").time_limit(Duration::from_secs(10)));
    scene.wait(9);
    assert_eq!(scene.calls(), ["spawn late"]);
    scene.wait(1);
    assert_eq!(scene.calls(), ["term late"]);
    scene.dies(late);
    let exit = ExitStatus::Signal(15);
    assert_eq!(scene.outcomes(late), [Outcome::TimedOut { limit: TimeBound::Run, exit }]);
}

#[test]
fn f11_a_job_ended_by_hand_gives_its_slot_back_when_it_is_reaped() {
    let mut scene = Scene::new(1, Policy::seed());
    let running = scene.running(job(5, "running"));
    let next = scene.submit(5, "next").unwrap();
    scene.input(|bin, now| bin.cancel(now, running)).unwrap();
    assert_eq!(scene.calls(), ["spawn running", "term running"]);
    assert_eq!(scene.bin.free_slots(), 0, "its process is still there");
    scene.dies(running);
    assert_eq!(scene.calls(), ["spawn next"]);
    let exit = Some(ExitStatus::Signal(15));
    assert_eq!(scene.outcomes(running), [Outcome::Cancelled { exit }]);
    scene.started(next);
    scene.exits(next, 0);
    assert_eq!(scene.bin.free_slots(), 1);
}

#[test]
fn f12_stop_takes_nothing_starts_nothing_and_tells_the_truth() {
    let mut scene = Scene::new(2, Policy::durable());
    let (heeds, deaf) = (scene.running(job(5, "heeds")), scene.running(job(5, "deaf")));
    let waiting = scene.submit(5, "waiting").unwrap();
    let starts = scene.calls();
    scene.input(|bin, now| bin.stop(now));
    assert_eq!((starts.len(), scene.calls()), (2, vec!["term heeds".into(), "term deaf".into()]));
    assert_eq!(scene.outcomes(waiting), [Outcome::Cancelled { exit: None }], "it never ran");
    assert_eq!(scene.submit(0, "too late"), None);

    scene.dies(heeds);
    let exit = Some(ExitStatus::Signal(15));
    assert_eq!(scene.outcomes(heeds), [Outcome::Cancelled { exit }]);
    assert_eq!(scene.bin.mode(), Mode::Stopping);
    scene.wait(10);
    assert_eq!(scene.calls(), ["kill deaf"], "and nothing was started");
    scene.dies(deaf);
    assert_eq!(scene.bin.mode(), Mode::Stopped);
    assert_eq!(scene.submit(0, "far too late"), None);
    assert_eq!((scene.calls(), scene.bin.poll_timeout()), (vec![], None));
}

#[test]
fn f16_a_successor_that_cannot_start_is_told_and_the_victim_comes_back() {
    let mut scene = Scene::new(1, Policy::durable());
    let victim = scene.running(job(9, "victim"));
    let broken =
        scene.submit_job(job(1, "broken").max_attempts(std::num::NonZeroU32::MIN)).unwrap();
    scene.spawner.refuse_next(SpawnFailureKind::Command);
    scene.dies(victim);
    assert_eq!(
        scene.calls(),
        ["spawn victim", "term victim", "refuse broken", "spawn victim"],
        "the victim is back at once"
    );
    assert!(matches!(scene.outcomes(broken), [Outcome::SpawnFailed(_)]));
    assert!(scene.events.iter().any(|event| matches!(
        event.kind,
        EventKind::SpawnFailed { job, .. } if job == broken
    )));
    scene.started(victim);
    scene.exits(victim, 0);
    assert_eq!(scene.outcomes(victim), [Outcome::Finished]);
}
