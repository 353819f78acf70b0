//! Who starts, and in which order.

use super::*;

#[test]
fn a_free_slot_is_taken_at_once_and_the_rest_waits_in_order() {
    let mut scene = Scene::new(2, Policy::seed());
    for (name, priority) in [("a", 5), ("b", 5), ("c", 7), ("d", 5), ("e", 6)] {
        scene.submit(name, priority);
    }
    assert_eq!(scene.calls(), ["start a", "start b"]);
    scene.started("a").started("b").done("a");
    assert_eq!(scene.calls(), ["start d"]);
    scene.done("b").done("d").done("e").done("c");
    assert_eq!(scene.calls(), ["start e", "start c"]);
    assert_eq!(scene.bin.stats().ended(OutcomeKind::Finished), 5);
    assert_eq!((scene.bin.free_slots(), scene.bin.pending()), (2, 0));
}

#[test]
fn an_equal_job_waits() {
    let mut scene = Scene::new(1, Policy::seed());
    scene.submit("first", 5);
    scene.submit("second", 5);
    assert_eq!(scene.calls(), ["start first"]);
}

#[test]
fn aging_starts_an_old_job_first_but_never_evicts() {
    let mut scene = Scene::new(1, Policy::durable());
    scene.submit("runs", 5);
    scene.submit("old", 5);
    scene.at(100);
    scene.submit("new", 3);
    assert_eq!(scene.calls(), ["start runs", "term runs"], "3 evicts 5; 5 did not evict 5");
    let mut scene = Scene::new(1, Policy { preempt_delta: None, ..Policy::durable() });
    scene.submit("runs", 5);
    scene.submit("old", 5);
    scene.at(100);
    scene.submit("new", 3);
    scene.done("runs");
    assert_eq!(scene.calls(), ["start runs", "start old"]);
}

#[test]
fn a_bin_without_a_queue_accepts_only_what_starts() {
    let mut scene = Scene::new(1, Policy { max_pending: 0, ..Policy::seed() });
    scene.submit("runs", 5);
    assert_eq!(scene.submit_job(JobSpec::new(Priority::new(5), "equal")), Err(Refusal::Full));
    scene.submit("urgent", 4);
    assert_eq!(scene.submit_job(JobSpec::new(Priority::new(4), "equal")), Err(Refusal::Full));
    assert_eq!(scene.calls(), ["start runs", "term runs"]);
    assert_eq!(scene.bin.stats().refused, 2);
}
