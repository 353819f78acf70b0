//! Who is evicted, and what becomes of the victim.

use super::*;

#[test]
fn a_more_urgent_job_evicts_the_least_urgent_run_and_takes_its_slot() {
    let mut scene = Scene::new(2, Policy::seed());
    scene.submit("low", 8);
    scene.submit("mid", 5);
    scene.started("low").started("mid");
    let urgent = scene.submit("urgent", 1);
    assert_eq!(scene.calls(), ["start low", "start mid", "term low"]);
    assert!(scene.bin.job(urgent).unwrap().reserved);
    assert_eq!(scene.bin.free_slots(), 0, "the victim has not been reaped");
    scene.died_of_term("low");
    assert_eq!(scene.calls(), ["start urgent"]);
    assert_eq!(scene.outcomes(), [(1, Outcome::Evicted { by: urgent, exit: TERM })]);
}

#[test]
fn a_requeued_victim_keeps_its_place() {
    let mut scene = Scene::new(1, Policy { aging: None, ..Policy::durable() });
    let victim = scene.submit("victim", 7);
    scene.submit("other", 7);
    scene.started("victim");
    scene.submit("urgent", 0);
    scene.died_of_term("victim").done("urgent");
    assert_eq!(scene.calls(), ["start victim", "term victim", "start urgent", "start victim"]);
    assert_eq!(scene.bin.job(victim).unwrap().evictions, 1);
    assert_eq!(scene.outcomes().len(), 1);
}

#[test]
fn after_enough_evictions_a_job_is_shielded() {
    let mut scene = Scene::new(1, Policy { max_evictions: Some(2), ..Policy::durable() });
    scene.submit("victim", 7);
    for _ in 0..2 {
        scene.submit("urgent", 0);
        scene.died_of_term("victim").done("urgent");
    }
    scene.calls();
    scene.submit("urgent", 0);
    assert_eq!(scene.calls(), Vec::<String>::new());
    scene.done("victim");
    assert_eq!(scene.calls(), ["start urgent"]);
}

#[test]
fn a_job_may_come_with_a_level_and_a_shield_of_its_own() {
    let mut scene = Scene::new(2, Policy::seed());
    let job = |priority, name| JobSpec::new(Priority::new(priority), name);
    scene.submit_job(job(9, "waited long").level(1)).unwrap();
    scene.submit_job(job(9, "shielded").shielded(true)).unwrap();
    scene.submit("urgent", 1);
    assert_eq!(scene.calls(), ["start waited long", "start shielded"]);
    scene.submit("more urgent", 0);
    assert_eq!(scene.calls(), ["term waited long"]);
}

#[test]
fn f2_a_burst_of_rising_urgency_keeps_one_process_a_slot() {
    let mut scene = Scene::new(1, Policy::seed());
    let names = ["j9", "j8", "j7", "j6", "j5"];
    for (name, priority) in names.into_iter().zip((0..5).rev()) {
        scene.submit(name, priority);
    }
    assert_eq!(scene.calls(), ["start j9", "term j9"], "stopped while it was starting");
    scene.started("j9").died_of_term("j9");
    assert_eq!(scene.calls(), ["start j5"]);
    assert_eq!(scene.bin.running(), 1);
}

#[test]
fn f3_kill_follows_the_grace_period_and_the_slot_waits_for_the_reaping() {
    let mut scene = Scene::new(1, Policy::seed());
    scene.submit("stubborn", 9);
    scene.started("stubborn");
    scene.submit("urgent", 0);
    scene.at(4);
    assert_eq!(scene.calls(), ["start stubborn", "term stubborn"]);
    scene.at(5);
    assert_eq!(scene.calls(), ["kill stubborn"]);
    assert_eq!(scene.bin.poll_timeout(), None);
    scene.exit("stubborn", Exit::stopped(ExitStatus::Signal(9)));
    assert_eq!(scene.calls(), ["start urgent"]);
}

#[test]
fn f4_an_exit_that_was_faster_than_the_eviction_is_a_natural_one() {
    let mut scene = Scene::new(1, Policy::seed());
    scene.submit("fast", 9);
    scene.started("fast");
    scene.submit("urgent", 0);
    scene.done("fast");
    assert_eq!(scene.calls(), ["start fast", "term fast", "start urgent"]);
    assert_eq!(scene.outcomes(), [(1, Outcome::Finished)]);
    assert_eq!(scene.bin.stats().wasted, Duration::ZERO);
}

#[test]
fn f16_a_victim_comes_back_at_once_when_its_successor_cannot_start() {
    let mut scene = Scene::new(1, Policy { max_attempts: NonZeroU32::MIN, ..Policy::durable() });
    scene.submit("victim", 7);
    scene.started("victim");
    scene.submit("broken", 0);
    scene.spawner.refuse = Some(SpawnFailureKind::Command);
    scene.now = Instant::from_secs(1);
    scene.bin.handle_exit(scene.now, scene.run("victim"), Exit::stopped(TERM));
    let refused = scene.bin.poll_action().is_some();
    scene.spawner.refuse = None;
    let broken = scene.bin.runs().next().unwrap().info.id;
    let why = SpawnFailure { kind: SpawnFailureKind::Command, message: "no such program".into() };
    scene.bin.handle_spawn_failed(scene.now, broken, why.clone());
    scene.settle();
    assert!(refused);
    assert_eq!(scene.outcomes(), [(2, Outcome::SpawnFailed(why))]);
    assert_eq!(scene.calls(), ["start victim", "term victim", "start victim"]);
}

#[test]
fn a_slot_that_is_being_vacated_already_is_reserved_before_another_is_evicted() {
    let mut scene = Scene::new(2, Policy::seed());
    let cancelled = scene.submit("cancelled", 4);
    scene.submit("low", 8);
    scene.started("cancelled").started("low");
    scene.verb(|bin, now| bin.cancel(now, cancelled).unwrap());
    scene.submit("urgent", 1);
    assert_eq!(scene.calls(), ["start cancelled", "start low", "term cancelled"]);
    scene.submit("urgent too", 1);
    assert_eq!(scene.calls(), ["term low"]);
}

#[test]
fn a_cancelled_evictor_leaves_the_slot_to_the_next() {
    let mut scene = Scene::new(1, Policy::durable());
    scene.submit("victim", 7);
    scene.started("victim");
    let urgent = scene.submit("urgent", 0);
    scene.verb(|bin, now| bin.cancel(now, urgent).unwrap());
    scene.died_of_term("victim");
    assert_eq!(scene.calls(), ["start victim", "term victim", "start victim"]);
    assert_eq!(scene.outcomes(), [(2, Outcome::Cancelled { exit: None })]);
}

#[test]
fn a_job_may_choose_its_own_fate() {
    let mut scene = Scene::new(1, Policy::seed());
    let job = JobSpec::new(Priority::new(5), "keeps").on_evict(OnEvict::Requeue);
    scene.submit_job(job).unwrap();
    scene.submit("urgent", 1);
    scene.died_of_term("keeps");
    assert_eq!((scene.bin.pending(), scene.outcomes().len()), (1, 0));
}
