//! Corners that the random plans have led to, each as the shortest scene that
//! shows it.

use sched_core::{
    Backoff, Duration, ExitStatus, JobSpec, JobState, OnEvict, Outcome, Policy, Priority,
    SpawnFailureKind, TimeBound,
};
use sched_tests::sim::scene::Scene;
use std::num::NonZeroU32;

fn job(priority: i32, name: &'static str) -> JobSpec<&'static str> {
    JobSpec::new(Priority::new(priority), name)
}

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn twice() -> Policy {
    let retry = Backoff { first: secs(1), cap: secs(1) };
    Policy { max_attempts: NonZeroU32::MIN.saturating_add(1), retry, ..Policy::seed() }
}

#[test]
fn a_retry_that_is_due_does_not_start_just_to_be_evicted_by_a_submission() {
    let mut scene = Scene::new(1, twice());
    let again = scene.running(job(6, "again"));
    scene.exits(again, 1);
    // The driver is late: the retry has long been due when this comes.
    scene.oversleep(5);
    let urgent = scene.submit(4, "urgent").unwrap();
    assert_eq!(scene.calls(), ["spawn again", "spawn urgent"]);
    assert_eq!(scene.bin.pending_in_order(), [again]);
    assert!(matches!(scene.state(urgent), Some(JobState::Starting(_))));
}

#[test]
fn of_two_limits_that_have_passed_the_earlier_one_counts() {
    let mut scene = Scene::new(1, Policy::seed());
    let late = scene.running(job(5, "late").time_limit(secs(3)).deadline(secs(4)));
    scene.oversleep(9);
    scene.input(|bin, now| bin.handle_timeout(now));
    assert_eq!(scene.calls(), ["spawn late", "term late"]);
    scene.dies(late);
    let exit = ExitStatus::Signal(15);
    assert_eq!(scene.outcomes(late), [Outcome::TimedOut { limit: TimeBound::Run, exit }]);
}

#[test]
fn of_two_limits_at_the_same_instant_the_deadline_counts() {
    let mut scene = Scene::new(1, Policy::seed());
    let late = scene.running(job(5, "late").time_limit(secs(3)).deadline(secs(3)));
    scene.wait(3);
    scene.dies(late);
    let exit = ExitStatus::Signal(15);
    assert_eq!(scene.outcomes(late), [Outcome::TimedOut { limit: TimeBound::Deadline, exit }]);
}

#[test]
fn the_evictor_gets_its_slot_also_when_its_reservation_went_to_another() {
    let mut scene = Scene::new(2, Policy { aging: Some(secs(1)), ..Policy::durable() });
    let (old, free) = (scene.running(job(9, "old")), scene.running(job(0, "free")));
    scene.wait(10);
    let evictor = scene.submit(5, "evictor").unwrap();
    scene.wait(1);
    scene.submit(3, "another").unwrap();
    assert_eq!(scene.calls(), ["spawn old", "spawn free", "term old"]);
    // The other one takes over the reservation, and then does not need it.
    scene.exits(free, 0);
    assert_eq!(scene.calls(), ["spawn another"]);
    // Old as it is, the victim would be first in the queue.
    scene.dies(old);
    assert_eq!(scene.calls(), ["spawn evictor"]);
    assert!(matches!(scene.state(evictor), Some(JobState::Starting(_))));
    assert_eq!(scene.bin.pending_in_order(), [old]);
}

#[test]
fn a_victim_that_was_cancelled_and_fails_by_itself_is_not_tried_again() {
    for fate in [OnEvict::Drop, OnEvict::Requeue] {
        let mut scene = Scene::new(1, twice());
        let victim = scene.running(job(9, "victim").on_evict(fate));
        scene.submit(1, "urgent").unwrap();
        scene.input(|bin, now| bin.cancel(now, victim)).unwrap();
        scene.exits(victim, 1);
        assert_eq!(scene.outcomes(victim), [Outcome::Failed(ExitStatus::Code(1))]);
        scene.wait(60);
        assert_eq!(scene.calls(), ["spawn victim", "term victim", "spawn urgent"]);
    }
}

#[test]
fn a_reserved_job_that_has_expired_does_not_start() {
    let mut scene = Scene::new(1, Policy::durable());
    let victim = scene.running(job(9, "victim"));
    let hasty = scene.submit_job(job(1, "hasty").expiry(secs(2))).unwrap();
    scene.oversleep(3);
    scene.dies(victim);
    assert_eq!(scene.outcomes(hasty), [Outcome::Expired]);
    assert_eq!(scene.calls(), ["spawn victim", "term victim", "spawn victim"]);
}

#[test]
fn the_evictor_gets_the_slot_of_a_victim_that_never_started() {
    let mut scene = Scene::new(1, Policy { aging: Some(secs(1)), ..Policy::seed() });
    let victim = scene.submit(5, "victim").unwrap();
    let old = scene.submit(9, "old").unwrap();
    scene.wait(20);
    scene.submit(3, "evictor").unwrap();
    assert_eq!(scene.bin.pending_in_order()[0], old, "of the two it has waited longer");
    scene.not_started(victim, SpawnFailureKind::Command);
    assert_eq!(scene.calls(), ["spawn victim", "term victim", "spawn evictor"]);
    assert!(matches!(scene.outcomes(victim), [Outcome::SpawnFailed(_)]));
}

#[test]
fn a_victim_that_was_stopped_before_its_start_is_evicted_all_the_same() {
    let mut scene = Scene::new(1, Policy::seed());
    let victim = scene.submit(5, "victim").unwrap();
    let evictor = scene.submit(3, "evictor").unwrap();
    scene.not_started(victim, SpawnFailureKind::Stopped);
    let exit = ExitStatus::Unknown;
    assert_eq!(scene.outcomes(victim), [Outcome::Evicted { by: evictor, exit }]);
    assert_eq!(scene.calls(), ["spawn victim", "term victim", "spawn evictor"]);
}

#[test]
fn an_eviction_before_the_start_is_no_attempt() {
    let mut scene = Scene::new(1, Policy { max_attempts: NonZeroU32::MIN, ..Policy::durable() });
    let victim = scene.submit(5, "victim").unwrap();
    let evictor = scene.submit(3, "evictor").unwrap();
    scene.not_started(victim, SpawnFailureKind::Stopped);
    assert_eq!(scene.outcomes(victim), []);
    scene.started(evictor);
    scene.exits(evictor, 0);
    assert_eq!(scene.calls(), ["spawn victim", "term victim", "spawn evictor", "spawn victim"]);
    assert_eq!(scene.bin.stats().evictions, 1);
}
