//! Who gets which job.

use super::*;
use crate::time::Duration;

#[test]
fn the_bytes_of_all_jobs_have_a_bound() {
    let config =
        ExchangeConfig { max_bytes: 2 * "{\"priority\":5}".len(), ..ExchangeConfig::new(0) };
    let mut scene = Scene::with(config, &[producer(1)]);
    scene.submits(1, 5).submits(1, 5).submits(1, 5);
    assert_eq!(scene.said(), ["c1 full", "c1 accepted j1", "c1 accepted j2"]);
    scene.cancels(1, "j1").submits(1, 5);
    assert_eq!(scene.said(), ["c1 ok", "c1 accepted j3"]);
}

#[test]
fn a_job_that_would_not_fit_into_its_assignment_is_refused() {
    let mut scene = Scene::new(&[producer(1), scheduler(2, 1)]);
    let most = scene.config.max_frame;
    let submit = |size: usize| {
        let payload = format!(r#"{{"priority":5,"x":"{}"}}"#, "x".repeat(size));
        format!(r#"{{"cmd":"submit","payload":{payload}}}"#)
    };
    scene.hears(1, &submit(most - 100));
    assert_eq!(scene.said(), ["c1 too_large"]);
    scene.hears(1, &submit(most - 400));
    let frames: Vec<_> = core::iter::from_fn(|| scene.exchange.poll_transmit()).collect();
    assert_eq!(frames.len(), 2, "accepted, and assigned");
    assert!(frames.iter().all(|(_, frame)| frame.len() <= most));
}

#[test]
fn a_free_slot_takes_a_job_at_once() {
    let mut scene = Scene::new(&[producer(1), scheduler(2, 1)]);
    scene.submits(1, 5);
    assert_eq!(scene.said(), ["c1 accepted j1", "c2 assign j1 1"]);
    scene.reports(2, "j1", 1, "started").reports(2, "j1", 1, "finished");
    assert_eq!(scene.said(), ["c2 ok", "c2 ok"]);
    assert_eq!((scene.exchange.counters().finished, scene.exchange.counters().pending), (1, 0));
}

#[test]
fn the_most_urgent_job_goes_first_and_within_a_priority_the_first() {
    let mut scene = Scene::new(&[producer(1), scheduler(2, 1)]);
    scene.submits(1, 0).submits(1, 5).submits(1, 3).submits(1, 3);
    assert_eq!(scene.said().last().unwrap(), "c1 accepted j4");
    for (lease, (job, next)) in [("j1", "j3 2"), ("j3", "j4 3"), ("j4", "j2 4")].iter().enumerate()
    {
        scene.reports(2, job, lease as u64 + 1, "finished");
        assert_eq!(scene.said(), ["c2 ok".to_owned(), format!("c2 assign {next}")]);
    }
}

#[test]
fn the_emptiest_scheduler_gets_the_next_job() {
    let mut scene = Scene::new(&[producer(1), scheduler(2, 1), scheduler(3, 2)]);
    scene.submits(1, 5).submits(1, 5).submits(1, 5).submits(1, 5);
    let assigned: Vec<_> = scene.said().into_iter().filter(|it| it.contains("assign")).collect();
    assert_eq!(assigned, ["c3 assign j1 1", "c2 assign j2 2", "c3 assign j3 3"]);
}

#[test]
fn an_eviction_goes_to_the_scheduler_with_the_least_urgent_run() {
    let mut scene = Scene::new(&[producer(1), scheduler(2, 1), scheduler(3, 1)]);
    scene.submits(1, 7).submits(1, 8).said();
    scene.submits(1, 2);
    assert_eq!(scene.said(), ["c1 accepted j3", "c3 assign j3 3"]);
}

#[test]
fn equals_do_not_evict() {
    let mut scene = Scene::new(&[producer(1), scheduler(2, 1)]);
    scene.submits(1, 5).said();
    scene.submits(1, 5);
    assert_eq!(scene.said(), ["c1 accepted j2"]);
}

#[test]
fn a_scheduler_evicts_for_one_job_at_a_time() {
    let mut scene = Scene::new(&[producer(1), scheduler(2, 2)]);
    scene.submits(1, 8).submits(1, 9).said();
    scene.submits(1, 1).submits(1, 0);
    assert_eq!(scene.said(), ["c1 accepted j3", "c2 assign j3 3", "c1 accepted j4"]);
    scene.reports(2, "j2", 2, "evicted");
    assert_eq!(scene.said(), ["c2 ok"]);
    scene.reports(2, "j3", 3, "started");
    assert_eq!(scene.said(), ["c2 ok", "c2 assign j4 4"]);
}

#[test]
fn a_scheduler_that_has_too_much_already_evicts_for_nobody() {
    let mut scene = Scene::new(&[producer(1), scheduler(2, 1)]);
    scene.submits(1, 8).submits(1, 5).submits(1, 0).said();
    scene.reports(2, "j2", 2, "started");
    assert_eq!(scene.said(), ["c2 ok"], "j1 waits there for a run that has no lease");
    scene.reports(2, "j1", 1, "declined");
    assert_eq!(scene.said(), ["c2 ok", "c2 assign j3 3"]);
}

#[test]
fn a_scheduler_that_spares_all_evicts_nothing() {
    let mut scene = Scene::new(&[producer(1), scheduler(2, 1)]);
    scene.submits(1, 8).hears(2, r#"{"cmd":"beat","leases":[1],"floor":null}"#).said();
    scene.submits(1, 0);
    assert_eq!(scene.said(), ["c1 accepted j2"]);
    scene.beats(2, &[1]);
    assert_eq!(scene.said(), ["c2 beat", "c2 assign j2 2"]);
}

#[test]
fn a_victim_keeps_its_place_in_the_queue() {
    let mut scene = Scene::new(&[producer(1), scheduler(2, 1)]);
    scene.submits(1, 8).submits(1, 8).submits(1, 0).said();
    scene.reports(2, "j1", 1, "evicted").reports(2, "j3", 2, "started");
    assert_eq!(scene.said(), ["c2 ok", "c2 ok"]);
    scene.reports(2, "j3", 2, "finished");
    assert_eq!(scene.said(), ["c2 ok", "c2 assign j1 3"]);
}

#[test]
fn a_victim_that_is_to_be_dropped_has_its_outcome() {
    let mut scene = Scene::new(&[producer(1), scheduler(2, 1)]);
    scene.submits_with(1, 8, r#"{"on_evict":"drop"}"#).submits(1, 0).said();
    scene.reports(2, "j1", 1, "evicted").reports(2, "j2", 2, "finished");
    assert_eq!(scene.said(), ["c2 ok", "c2 ok"]);
    assert_eq!(scene.exchange.counters().evicted, 1);
}

#[test]
fn a_job_that_was_evicted_too_often_is_shielded() {
    let mut scene = Scene::new(&[producer(1), scheduler(2, 1)]);
    scene.submits(1, 8);
    for round in 0..3 {
        let (victim, evictor) = (2 * round + 1, format!("j{}", round + 2));
        scene.submits(1, 0).reports(2, "j1", victim, "evicted");
        scene.reports(2, &evictor, victim + 1, "finished");
    }
    assert_eq!(scene.said().last().unwrap(), "c2 assign j1 7 shielded");
    scene.submits(1, 0);
    assert_eq!(scene.said(), ["c1 accepted j5"]);
}

#[test]
fn a_declined_job_does_not_come_again_and_holds_up_nobody() {
    let mut scene = Scene::new(&[producer(1), scheduler(2, 1)]);
    scene.submits(1, 3).said();
    scene.reports(2, "j1", 1, "declined");
    assert_eq!(scene.said(), ["c2 ok"]);
    scene.submits(1, 5);
    assert_eq!(scene.said(), ["c1 accepted j2", "c2 assign j2 2"]);
    let (client, register) = scheduler(3, 1);
    scene.hears(client, &register);
    assert_eq!(scene.said(), ["c3 welcome s3", "c3 assign j1 3"]);
}

#[test]
fn a_declined_job_waits_its_turn_for_a_new_scheduler() {
    let mut scene = Scene::new(&[producer(1), scheduler(2, 1)]);
    scene.submits(1, 9).reports(2, "j1", 1, "declined").submits(1, 5).submits(1, 5).said();
    let (client, register) = scheduler(3, 1);
    scene.hears(client, &register);
    assert_eq!(scene.said(), ["c3 welcome s3", "c3 assign j3 3"]);
}

#[test]
fn a_declined_job_may_evict_elsewhere_although_a_slot_is_free_here() {
    let mut scene = Scene::new(&[producer(1), scheduler(2, 1), scheduler(3, 2)]);
    scene.submits(1, 1).submits(1, 9).submits(1, 9).said();
    scene.reports(3, "j1", 1, "declined");
    assert_eq!(scene.said(), ["c3 ok", "c2 assign j1 4"]);
}

/// How often jobs are looked at in a round of messages, while so many wait that
/// one scheduler has declined and the other has no room for.
fn looks_while_declined_jobs_wait(waiting: u64) -> usize {
    let mut scene = Scene::new(&[producer(1), scheduler(2, 1), scheduler(3, 1)]);
    let declined = |scene: &mut Scene, job: u64, lease: u64| {
        scene.submits(1, 5).reports(2, &format!("j{job}"), lease, "declined");
    };
    scene.submits(1, 0).reports(2, "j1", 1, "declined");
    (2..2 + waiting).for_each(|job| declined(&mut scene, job, job + 1));
    assert_eq!(scene.exchange.counters().pending, waiting);
    scene.said();
    scene.exchange.jobs.looks();
    let lease = waiting + 3;
    scene.beats(3, &[2]).beats(2, &[]).reports(3, "j1", 2, "finished").beats(3, &[lease]);
    declined(&mut scene, waiting + 2, lease + 1);
    scene.cancels(1, "j3");
    let looks = scene.exchange.jobs.looks();
    let counters = scene.exchange.counters();
    assert_eq!((counters.pending, counters.running), (waiting - 1, 1));
    assert!(scene.said().contains(&format!("c3 assign j2 {lease}")));
    looks
}

#[test]
fn jobs_that_wait_for_another_scheduler_are_not_looked_at_again_and_again() {
    assert_eq!(looks_while_declined_jobs_wait(10), looks_while_declined_jobs_wait(1000));
}

#[test]
fn jobs_wait_in_order_whoever_has_declined_them() {
    let mut scene = Scene::new(&[producer(1), scheduler(2, 1), scheduler(3, 1), scheduler(4, 1)]);
    scene.submits(1, 0).submits(1, 0).submits(1, 5).reports(4, "j3", 3, "declined");
    scene.reports(2, "j1", 1, "finished").reports(2, "j3", 4, "declined").submits(1, 0);
    scene.submits(1, 7).reports(4, "j5", 6, "declined").submits(1, 0);
    scene.submits(1, 6).submits(1, 6).said();
    // c3 may have all of them, c4 neither j3 nor j5, and c2 not j3.
    let shown = scene.shows(r#"{"cmd":"subscribe"}"#);
    let rows = shown["pending"].as_array().unwrap();
    let order: Vec<&str> = rows.iter().filter_map(|row| row["job"].as_str()).collect();
    assert_eq!(order, ["j3", "j7", "j8", "j5"]);
    let mut next = |client: u64, job: &str, lease: u64| {
        let said = scene.reports(client, job, lease, "finished").said();
        said.into_iter().find(|it| it.contains(" assign "))
    };
    assert_eq!(next(2, "j4", 5).unwrap(), "c2 assign j7 8");
    assert_eq!(next(3, "j2", 2).unwrap(), "c3 assign j3 9");
    assert_eq!(next(3, "j3", 9).unwrap(), "c3 assign j8 10");
    assert_eq!(next(4, "j6", 7), None, "it does not accept what is left");
    assert_eq!(next(3, "j8", 10).unwrap(), "c3 assign j5 11");
}

#[test]
fn a_failed_attempt_is_tried_again_after_its_back_off() {
    let mut scene = Scene::new(&[producer(1), scheduler(2, 1)]);
    scene.submits_with(1, 5, r#"{"max_attempts":2}"#).said();
    scene.reports(2, "j1", 1, "failed");
    assert_eq!(scene.said(), ["c2 ok"]);
    let due = scene.exchange.poll_timeout().unwrap();
    assert!(due > scene.now && due <= scene.now + Duration::from_secs(1), "{due}");
    scene.now = due;
    scene.exchange.handle_timeout(due);
    assert_eq!(scene.said(), ["c2 assign j1 2"]);
    scene.reports(2, "j1", 2, "failed");
    assert_eq!(scene.said(), ["c2 ok"]);
    assert_eq!(scene.exchange.counters().failed, 1);
}

#[test]
fn the_second_submission_under_a_key_is_the_first() {
    let mut scene = Scene::new(&[producer(1)]);
    let key = r#"{"key":"k"}"#;
    scene.submits_with(1, 5, key).submits_with(1, 5, key);
    assert_eq!(scene.said(), ["c1 accepted j1", "c1 dup j1"]);
    scene.at(600).submits_with(1, 5, key);
    assert_eq!(scene.said(), ["c1 accepted j2"]);
}

/// With fewer, the oldest would end early, and its job might run twice.
#[test]
fn no_more_keys_stand_than_may_stand() {
    let config = ExchangeConfig { max_keys: 2, ..ExchangeConfig::new(0) };
    let mut scene = Scene::with(config, &[producer(1)]);
    scene.submits_with(1, 5, r#"{"key":"a"}"#).cancels(1, "j1").said();
    scene.at(300).submits_with(1, 5, r#"{"key":"b"}"#).submits_with(1, 5, r#"{"key":"c"}"#);
    scene.submits_with(1, 5, r#"{"key":"a"}"#).submits(1, 5);
    assert_eq!(scene.said(), ["c1 full", "c1 accepted j2", "c1 dup j1", "c1 accepted j3"]);
    scene.at(600).submits_with(1, 5, r#"{"key":"c"}"#);
    assert_eq!(scene.said(), ["c1 accepted j4"]);
}

#[test]
fn no_more_jobs_wait_than_may_wait() {
    let mut config = ExchangeConfig::new(0);
    config.policy.max_pending = 1;
    let mut scene = Scene::with(config, &[producer(1)]);
    scene.submits(1, 5).submits(1, 0);
    assert_eq!(scene.said(), ["c1 full", "c1 accepted j1"]);
}

#[test]
fn pause_drain_and_resume_of_the_bus() {
    let mut scene = Scene::new(&[producer(1), scheduler(2, 1)]);
    scene.hears(1, r#"{"cmd":"pause"}"#).submits(1, 5);
    assert_eq!(scene.said(), ["c1 ok", "c1 accepted j1"]);
    scene.hears(1, r#"{"cmd":"drain"}"#).submits(1, 5);
    assert_eq!(scene.said(), ["c1 draining", "c1 ok"]);
    scene.hears(1, r#"{"cmd":"resume"}"#);
    assert_eq!(scene.said(), ["c1 ok", "c2 assign j1 1"]);
}

#[test]
fn pause_and_resume_of_one_scheduler() {
    let mut scene = Scene::new(&[producer(1), scheduler(2, 1), scheduler(3, 1)]);
    scene.hears(1, r#"{"cmd":"pause","target":"c2"}"#).submits(1, 5).submits(1, 5);
    assert_eq!(scene.said(), ["c1 ok", "c1 accepted j1", "c3 assign j1 1", "c1 accepted j2"]);
    scene.hears(1, r#"{"cmd":"resume","target":"c2"}"#);
    assert_eq!(scene.said(), ["c1 ok", "c2 assign j2 2"]);
    scene.hears(1, r#"{"cmd":"pause","target":"nobody"}"#);
    assert_eq!(scene.said(), ["c1 bad_params"]);
}

#[test]
fn what_waits_too_long_expires_and_what_has_started_does_not() {
    let mut scene = Scene::new(&[producer(1), scheduler(2, 1)]);
    let opts = r#"{"expires_ms":3000}"#;
    scene.submits_with(1, 5, opts).submits_with(1, 5, opts).reports(2, "j1", 1, "started").said();
    scene.at(3);
    assert_eq!((scene.said().len(), scene.exchange.counters().expired), (0, 1));
    scene.reports(2, "j1", 1, "evicted");
    assert_eq!(scene.said(), ["c2 ok", "c2 assign j1 2"]);
}

#[test]
fn what_is_not_started_in_time_expires_also_with_a_scheduler() {
    let mut scene = Scene::new(&[producer(1), scheduler(2, 2)]);
    let opts = r#"{"expires_ms":3000}"#;
    scene.submits_with(1, 5, opts).submits_with(1, 5, opts).said();
    scene.at(2).reports(2, "j2", 2, "started");
    assert_eq!(scene.said(), ["c2 ok"]);
    scene.at(3);
    assert_eq!(scene.said(), ["c2 revoke j1 1 expired"]);
    scene.reports(2, "j1", 1, "cancelled").reports(2, "j2", 2, "finished");
    assert_eq!(scene.said(), ["c2 ok", "c2 ok"]);
    assert_eq!((scene.exchange.counters().expired, scene.exchange.counters().finished), (1, 1));
}

#[test]
fn what_waits_for_its_next_attempt_and_has_not_started_expires() {
    let mut scene = Scene::new(&[producer(1), scheduler(2, 1)]);
    scene.submits_with(1, 5, r#"{"expires_ms":3}"#).reports(2, "j1", 1, "spawn_failed").said();
    let due = scene.exchange.poll_timeout().unwrap();
    assert_eq!(due, scene.now + Duration::from_millis(3), "before it would be tried again");
    scene.exchange.handle_timeout(due);
    assert_eq!(scene.exchange.counters().expired, 1);
}

/// It begins to run on its own before it hears that it is not to; then it is
/// stopped for that.
#[test]
fn what_is_started_after_it_has_expired_has_expired() {
    let mut scene = Scene::durable(&[producer(1), scheduler(2, 1)]);
    scene.submits_with(1, 5, r#"{"expires_ms":3000}"#).commit().said();
    scene.at(3).reports(2, "j1", 1, "started").commit();
    assert_eq!(scene.said(), ["c2 revoke j1 1 expired", "c2 ok"]);
    scene.crashes().hears(4, leases::BACK).commit();
    assert_eq!(scene.said(), ["c4 welcome s2", "c4 revoke j1 1 expired"]);
    scene.reports(4, "j1", 1, "cancelled").commit();
    assert_eq!((scene.said(), scene.exchange.counters().expired), (["c4 ok".into()].into(), 1));
}

#[test]
fn a_lost_lease_of_an_expired_job_ends_it() {
    let mut scene = Scene::new(&[producer(1), scheduler(2, 1)]);
    scene.submits_with(1, 5, r#"{"expires_ms":3000}"#).said();
    assert_eq!(scene.at(3).said(), ["c2 revoke j1 1 expired"]);
    scene.at(14).beats(2, &[]);
    scene.at(15);
    assert_eq!(scene.said(), ["c2 beat", "c2 revoke j1 1 superseded"]);
    assert_eq!(scene.exchange.counters().expired, 1);
}

#[test]
fn what_comes_to_its_deadline_before_it_has_started_has_expired() {
    let mut scene = Scene::new(&[producer(1), scheduler(2, 1)]);
    scene.submits_with(1, 5, r#"{"deadline_ms":3000}"#).said();
    assert_eq!(scene.at(3).said(), ["c2 revoke j1 1 expired"]);
    scene.reports(2, "j1", 1, "cancelled");
    assert_eq!(scene.said(), ["c2 ok"]);
    assert_eq!((scene.exchange.counters().timed_out, scene.exchange.counters().expired), (0, 1));
}

/// What follows from it: nobody begins what is over.
#[test]
fn what_is_over_before_its_assignment_has_left_the_bus_is_not_assigned() {
    let mut scene = Scene::durable(&[producer(1), scheduler(2, 1)]);
    scene.hears(1, r#"{"cmd":"pause"}"#).submits(1, 5).commit();
    scene.submits_with(1, 5, r#"{"expires_ms":3000}"#).commit().said();
    scene.hears(1, r#"{"cmd":"resume"}"#).cancels(1, "j1");
    scene.at(3).commit();
    assert_eq!(scene.said(), ["c1 ok", "c1 ok"]);
    assert_eq!((scene.exchange.counters().cancelled, scene.exchange.counters().expired), (1, 1));
}

#[test]
fn a_deadline_ends_a_job_wherever_it_is() {
    let mut scene = Scene::new(&[producer(1), scheduler(2, 1)]);
    let opts = r#"{"deadline_ms":3000}"#;
    scene.submits_with(1, 5, opts).submits_with(1, 5, opts).reports(2, "j1", 1, "started").said();
    scene.at(3);
    assert_eq!(scene.said(), ["c2 revoke j1 1 expired"]);
    scene.reports(2, "j1", 1, "cancelled");
    assert_eq!(scene.said(), ["c2 ok"]);
    assert_eq!((scene.exchange.counters().timed_out, scene.exchange.counters().expired), (1, 1));
}

#[test]
fn an_attempt_that_fails_at_its_deadline_is_the_last() {
    let mut scene = Scene::new(&[producer(1), scheduler(2, 1)]);
    scene.submits_with(1, 5, r#"{"deadline_ms":3000}"#).said();
    scene.at(3).reports(2, "j1", 1, "failed");
    assert_eq!(scene.said(), ["c2 revoke j1 1 expired", "c2 ok"]);
    assert_eq!(scene.exchange.counters().failed, 1);
}

#[test]
fn a_cancelled_job_ends_at_once_if_it_waits_and_else_with_its_run() {
    let mut scene = Scene::new(&[producer(1), scheduler(2, 1)]);
    scene.submits(1, 5).submits(1, 5).said();
    scene.cancels(1, "j2").cancels(1, "j2").cancels(1, "j1");
    assert_eq!(scene.said(), ["c1 ok", "c1 no_job", "c2 revoke j1 1 cancelled", "c1 ok"]);
    scene.reports(2, "j1", 1, "cancelled");
    assert_eq!(scene.said(), ["c2 ok"]);
    assert_eq!(scene.exchange.counters().cancelled, 2);
}
