//! Limits on time, and attempts.

use super::*;

#[test]
fn an_expired_job_never_starts() {
    let mut scene = Scene::new(1, Policy::seed());
    scene.submit("long", 0);
    let short = JobSpec::new(Priority::new(0), "short").expiry(Duration::from_secs(10));
    scene.submit_job(short).unwrap();
    assert_eq!(scene.bin.poll_timeout(), Some(Instant::from_secs(10)));
    scene.now = Instant::from_secs(10);
    scene.done("long");
    assert_eq!(scene.calls(), ["start long"]);
    assert_eq!(scene.outcomes().last(), Some(&(2, Outcome::Expired)));
}

#[test]
fn a_deadline_ends_what_runs_and_what_waits() {
    let mut scene = Scene::new(1, Policy::seed());
    let job = |name| JobSpec::new(Priority::new(0), name).deadline(Duration::from_secs(10));
    scene.submit_job(job("runs")).unwrap();
    scene.submit_job(job("waits")).unwrap();
    scene.started("runs").at(10).died_of_term("runs");
    assert_eq!(scene.calls(), ["start runs", "term runs"]);
    let timed_out = Outcome::TimedOut { limit: crate::job::TimeBound::Deadline, exit: TERM };
    assert_eq!(scene.outcomes(), [(2, Outcome::Expired), (1, timed_out)]);
}

#[test]
fn a_failed_attempt_is_tried_again_after_its_back_off() {
    let mut scene = Scene::new(1, Policy::durable());
    let job = scene.submit("flaky", 3);
    scene.started("flaky").exit("flaky", Exit::natural(ExitStatus::Code(1)));
    assert_eq!((scene.bin.backing_off(), scene.bin.pending(), scene.bin.free_slots()), (1, 0, 1));
    let due = scene.bin.poll_timeout().unwrap();
    assert!(due >= Instant::from_millis(500) && due <= Instant::from_secs(1), "{due}");
    scene.at(1).done("flaky");
    assert_eq!(scene.calls(), ["start flaky", "start flaky"]);
    assert!(
        scene
            .events
            .contains(&EventKind::Requeued { job, why: Requeue::Retry { at: due, failed: 1 } })
    );
    assert_eq!(scene.outcomes(), [(1, Outcome::Finished)]);
}

#[test]
fn the_last_attempt_decides() {
    let mut scene = Scene::new(1, Policy::durable());
    scene.submit("broken", 3);
    for attempt in 1..=3 {
        scene.exit("broken", Exit::natural(ExitStatus::Code(attempt))).at(attempt as u64 * 400);
    }
    assert_eq!(scene.outcomes(), [(1, Outcome::Failed(ExitStatus::Code(3)))]);
    assert_eq!(scene.bin.stats().runs, 3);
}

#[test]
fn an_exhausted_machine_pauses_spawning_and_counts_no_attempt() {
    let mut scene = Scene::new(1, Policy::durable());
    scene.spawner.refuse = Some(SpawnFailureKind::Exhausted);
    let job = scene.submit("patient", 3);
    assert_eq!(scene.calls(), ["refuse patient"]);
    assert_eq!((scene.bin.pending(), scene.bin.free_slots()), (1, 1));
    scene.spawner.refuse = None;
    scene.at(1);
    assert_eq!(scene.calls(), ["start patient"]);
    assert_eq!(scene.bin.job(job).unwrap().attempt, 1);
    let fail = Policy { on_exhausted: OnExhausted::Fail, ..Policy::durable() };
    let mut scene = Scene::new(1, fail);
    scene.spawner.refuse = Some(SpawnFailureKind::Exhausted);
    scene.submit("hasty", 3);
    assert_eq!(scene.bin.stats().ended(OutcomeKind::SpawnFailed), 1);
}
