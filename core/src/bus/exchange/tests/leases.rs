//! Until when a scheduler has what it has.

use super::*;

pub(super) const BACK: &str =
    r#"{"cmd":"register","type":"scheduler","v":1,"name":"c2","slots":1,"session":"s2"}"#;

#[test]
fn a_lease_lasts_from_the_last_beat_that_named_it() {
    let mut scene = Scene::new(&[producer(1), scheduler(2, 1)]);
    scene.submits(1, 5).said();
    scene.at(10).beats(2, &[1]);
    scene.at(24).beats(2, &[]);
    assert_eq!(scene.said(), ["c2 beat", "c2 beat"]);
    scene.at(25);
    assert_eq!(scene.said(), ["c2 revoke j1 1 superseded", "c2 assign j1 2"]);
    scene.beats(2, &[1, 2]);
    assert_eq!(scene.said(), ["c2 beat without [1]"]);
    assert_eq!(scene.exchange.counters().leases_lost, 1);
}

#[test]
fn a_job_that_loses_too_many_leases_is_lost() {
    let mut scene = Scene::new(&[producer(1), scheduler(2, 1)]);
    scene.submits_with(1, 5, r#"{"max_lost":1}"#).said();
    scene.at(15).beats(2, &[]);
    assert_eq!(scene.said(), ["c2 beat", "c2 revoke j1 1 superseded", "c2 assign j1 2"]);
    scene.at(30);
    assert_eq!(scene.said(), ["c2 revoke j1 2 superseded"]);
    assert_eq!(scene.exchange.counters().lost, 1);
}

#[test]
fn a_scheduler_that_is_silent_is_given_nothing_until_it_is_heard() {
    let mut scene = Scene::new(&[producer(1), scheduler(2, 2)]);
    scene.submits(1, 5).said();
    scene.at(15);
    assert_eq!(scene.said(), ["c2 revoke j1 1 superseded"]);
    scene.at(40).submits(1, 0);
    assert_eq!(scene.said(), ["c1 accepted j2"]);
    scene.hears(3, &scheduler(3, 1).1);
    assert_eq!(scene.said(), ["c3 welcome s3", "c3 assign j2 2"]);
    scene.at(41).beats(2, &[1]);
    assert_eq!(scene.said(), ["c2 beat without [1]", "c2 assign j1 3"]);
}

#[test]
fn a_report_under_a_lost_lease_changes_nothing() {
    let mut scene = Scene::new(&[producer(1), scheduler(2, 1), scheduler(3, 1)]);
    scene.submits(1, 5).said();
    scene.reports(3, "j1", 1, "finished").reports(2, "j2", 1, "finished");
    assert_eq!(scene.said(), ["c3 stale_lease", "c2 stale_lease"]);
    scene.at(15).said();
    scene.reports(2, "j1", 1, "finished");
    assert_eq!(scene.said(), ["c2 stale_lease"]);
    assert_eq!((scene.exchange.counters().running, scene.exchange.counters().finished), (1, 0));
}

#[test]
fn a_scheduler_that_comes_back_in_time_keeps_its_leases() {
    let mut scene = Scene::new(&[producer(1), scheduler(2, 1)]);
    scene.submits(1, 5).reports(2, "j1", 1, "started").said();
    scene.leaves(2, false).submits(1, 5);
    assert_eq!(scene.said(), ["c1 accepted j2"]);
    scene.at(10).hears(4, BACK).beats(4, &[1]);
    assert_eq!(scene.said(), ["c4 welcome s2", "c4 beat"]);
    scene.at(24).reports(4, "j1", 1, "finished");
    assert_eq!(scene.said(), ["c4 ok", "c4 assign j2 2"]);
}

#[test]
fn a_scheduler_is_told_again_what_it_may_not_have_heard() {
    let mut scene = Scene::new(&[producer(1), scheduler(2, 1)]);
    scene.submits(1, 5).said();
    scene.cancels(1, "j1").said();
    scene.hears(4, BACK);
    // Not of the assignment: whoever has not heard it must not begin.
    let again = ["c4 welcome s2", "c4 revoke j1 1 cancelled", "close c2"];
    assert_eq!(scene.said(), again);
    scene.leaves(2, false).reports(4, "j1", 1, "cancelled");
    assert_eq!(scene.said(), ["c4 ok"]);
    scene.submits(1, 5).said();
    scene.hears(6, BACK);
    assert_eq!(scene.said(), ["c6 welcome s2", "c6 assign j2 2", "close c4"]);
}

/// It may be the assignment itself that it cannot take.
#[test]
fn a_scheduler_that_loses_its_connection_again_and_again_is_not_told_for_ever() {
    let mut scene = Scene::new(&[producer(1), scheduler(2, 1)]);
    scene.submits(1, 5).said();
    let mut client = 2;
    let mut comes_back = |scene: &mut Scene, secs: u64| {
        scene.leaves(client, false);
        client += 2;
        scene.at(secs).hears(client, BACK);
        let told = scene.said();
        told.iter().any(|said| said.ends_with("assign j1 1"))
    };
    for secs in [1, 2, 3] {
        assert!(comes_back(&mut scene, secs));
    }
    assert!(!comes_back(&mut scene, 4));
    assert_eq!(scene.at(17).said(), [""; 0]);
    assert!(scene.at(18).said().iter().any(|said| said.ends_with("assign j1 2")), "it lapses");
}

#[test]
fn a_scheduler_that_leaves_in_order_gives_everything_back() {
    let mut scene = Scene::new(&[producer(1), scheduler(2, 1), scheduler(3, 1)]);
    scene.submits_with(1, 5, r#"{"max_lost":0}"#).said();
    scene.leaves(2, true);
    assert_eq!(scene.said(), ["c3 assign j1 2"]);
    scene.reports(3, "j1", 2, "cancelled");
    assert_eq!(scene.said(), ["c3 ok"]);
    scene.beats(3, &[]);
    assert_eq!(scene.said(), ["c3 beat", "c3 assign j1 3"], "it was not asked to");
    assert_eq!(scene.exchange.counters().leases_lost, 0);
}

/// As one that is stopping does, and what it was given in exchange.
#[test]
fn a_scheduler_that_gives_back_what_it_has_is_given_nothing_until_its_next_beat() {
    let mut scene = Scene::new(&[producer(1), scheduler(2, 2)]);
    scene.submits(1, 5).submits(1, 5).reports(2, "j2", 2, "started").submits(1, 0).said();
    scene.reports(2, "j1", 1, "cancelled").reports(2, "j2", 2, "cancelled");
    scene.reports(2, "j3", 3, "finished");
    assert_eq!(scene.said(), ["c2 ok", "c2 ok", "c2 ok"]);
    let shown = scene.shows(r#"{"cmd":"subscribe"}"#);
    assert_eq!(shown["pending"][0]["why"], "every scheduler gives back what it is given");
    scene.hears(3, &scheduler(3, 1).1);
    let said = scene.said();
    assert!(said.contains(&"c3 assign j1 4".to_owned()), "first come, first served: {said:?}");
    scene.beats(2, &[]);
    assert!(scene.said().contains(&"c2 assign j2 5".to_owned()));
}

#[test]
fn a_session_of_another_bus_is_not_resumed() {
    let mut scene = Scene::with(ExchangeConfig::new(1000), &[]);
    scene.hears(4, BACK);
    assert_eq!(scene.said(), ["c4 welcome s1001"]);
    scene.hears(5, &BACK.replace("s2", "s1002"));
    assert_eq!(scene.said(), ["c5 welcome s1002"]);
}

#[test]
fn f8_numbers_of_any_size_in_a_report_harm_nothing() {
    let mut scene = Scene::new(&[producer(1), scheduler(2, 2)]);
    for (job, state) in [(1, "finished"), (3, "evicted")] {
        scene.submits_with(1, 5, r#"{"on_evict":"drop"}"#);
        scene.submits_with(1, 5, r#"{"on_evict":"drop"}"#);
        scene.reports(2, &format!("j{job}"), job, state);
        let most = r#"{"cmd":"report","job":"JOB","lease":LEASE,"state":"STATE","ran_ms":18446744073709551615,"slot":4294967295}"#;
        let (lease, job) = (job + 1, format!("j{}", job + 1));
        let most = most.replace("JOB", &job).replace("LEASE", &lease.to_string());
        scene.hears(2, &most.replace("STATE", "started")).hears(2, &most.replace("STATE", state));
    }
    let counters = scene.exchange.counters();
    assert_eq!((counters.useful_ms, counters.wasted_ms), (u64::MAX, u64::MAX));
    assert_eq!((counters.finished, counters.evicted, counters.running), (2, 2, 0));
}

#[test]
fn f8_terms_of_any_size_harm_nothing() {
    let mut scene = Scene::new(&[producer(1), scheduler(2, 100_000)]);
    let most = r#"{"max_attempts":4294967295,"max_lost":4294967295,"timeout_ms":18446744073709551615,"expires_ms":18446744073709551615,"deadline_ms":18446744073709551615}"#;
    scene.submits_with(1, i32::MAX, most).submits_with(1, 0, most).said();
    let stopping =
        r#"{"cmd":"stopping","job":"j2","lease":2,"by":"j1","grace_ms":18446744073709551615}"#;
    scene.reports(2, "j1", 1, "failed").reports(2, "j2", 2, "started").hears(2, stopping);
    let subscribe =
        r#"{"cmd":"subscribe","view":{"from":18446744073709551615,"rows":18446744073709551615}}"#;
    scene.hears(1, subscribe).hears(1, r#"{"cmd":"subscribe","since":18446744073709551615}"#);
    scene.hears(
        2,
        r#"{"cmd":"beat","leases":[18446744073709551615],"free":4294967295,"floor":-2147483648}"#,
    );
    let told =
        ["c1 resync", "c2 beat without [18446744073709551615]", "c2 ok", "c2 ok", "c1 snapshot"];
    assert_eq!(scene.said(), told);
}
