//! What an owner does to a job and to the bin.

use super::*;

#[test]
fn f11_a_cancelled_run_frees_its_slot_for_the_next() {
    let mut scene = Scene::new(1, Policy::seed());
    let first = scene.submit("first", 5);
    scene.submit("second", 5);
    scene.started("first").verb(|bin, now| bin.cancel(now, first).unwrap());
    scene.died_of_term("first");
    assert_eq!(scene.calls(), ["start first", "term first", "start second"]);
    assert_eq!(scene.outcomes(), [(1, Outcome::Cancelled { exit: Some(TERM) })]);
    assert_eq!(scene.bin.cancel(scene.now, first), Err(UnknownJob(first)));
}

#[test]
fn f12_stop_starts_nothing_and_tells_what_never_ran() {
    let mut scene = Scene::new(1, Policy::durable());
    scene.submit("runs", 5);
    scene.submit("waits", 5);
    scene.started("runs").verb(SchedulerBin::stop);
    assert_eq!(scene.submit_job(JobSpec::new(Priority::new(0), "late")), Err(Refusal::Stopped));
    assert_eq!(scene.bin.mode(), Mode::Stopping);
    scene.died_of_term("runs");
    assert_eq!(scene.calls(), ["start runs", "term runs"]);
    let cancelled = |exit| Outcome::Cancelled { exit };
    assert_eq!(scene.outcomes(), [(2, cancelled(None)), (1, cancelled(Some(TERM)))]);
    assert_eq!(scene.events.last(), Some(&EventKind::Stopped));
    assert_eq!(scene.bin.mode(), Mode::Stopped);
}

#[test]
fn pause_and_drain_start_nothing_and_resume_goes_on() {
    let mut scene = Scene::new(2, Policy::seed());
    scene.submit("runs", 5);
    scene.verb(SchedulerBin::pause);
    scene.submit("waits", 0);
    assert_eq!(scene.calls(), ["start runs"]);
    scene.verb(SchedulerBin::drain);
    assert_eq!(scene.submit_job(JobSpec::new(Priority::new(0), "late")), Err(Refusal::Draining));
    scene.done("runs");
    assert_eq!(scene.events.last(), Some(&EventKind::Drained));
    scene.verb(SchedulerBin::resume);
    assert_eq!(scene.calls(), ["start waits"]);
}

#[test]
fn a_job_is_killed_without_grace_also_while_it_is_being_cancelled() {
    let mut scene = Scene::new(2, Policy::seed());
    let (first, second) = (scene.submit("first", 5), scene.submit("second", 5));
    assert_eq!(scene.calls(), ["start first", "start second"]);
    scene.verb(|bin, now| bin.kill_job(now, first).unwrap());
    scene.verb(|bin, now| bin.cancel(now, second).unwrap());
    scene.verb(|bin, now| bin.kill_job(now, second).unwrap());
    assert_eq!(scene.calls(), ["kill first", "term second", "kill second"]);
}
