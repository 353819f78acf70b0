//! What is told to who watches.

use super::*;

#[test]
fn a_job_that_waits_for_a_paused_scheduler_says_so() {
    let mut scene = Scene::new(&[producer(1), scheduler(2, 1)]);
    scene.hears(1, r#"{"cmd":"pause","target":"c2"}"#).submits(1, 5).said();
    scene.hears(1, r#"{"cmd":"subscribe"}"#);
    let frames: Vec<_> = core::iter::from_fn(|| scene.exchange.poll_transmit()).collect();
    assert!(frames[0].1.contains("every scheduler is paused or draining"), "{}", frames[0].1);
}

#[test]
fn a_subscriber_hears_every_change_and_the_owner_its_own() {
    let mut scene = Scene::new(&[producer(1), producer(2), scheduler(3, 1)]);
    scene.hears(1, r#"{"cmd":"subscribe","jobs":"mine"}"#).hears(2, r#"{"cmd":"subscribe"}"#);
    assert_eq!(scene.said(), ["c1 snapshot", "c2 snapshot"]);
    scene.submits(2, 5);
    let told = ["c2 1 j1 pending", "c2 accepted j1", "c2 2 j1 assigned", "c3 assign j1 1"];
    assert_eq!(scene.said(), told);
    scene.submits(1, 6).reports(3, "j1", 1, "finished");
    let told = ["c1 3 j2 pending", "c2 3 j2 pending", "c1 accepted j2", "c2 4 j1 finished"];
    assert_eq!(scene.said()[..4], told);
}

#[test]
fn who_was_away_hears_what_was_missed_or_is_told_that_it_is_gone() {
    let config = ExchangeConfig { events_kept: 2, ..ExchangeConfig::new(0) };
    let mut scene = Scene::with(config, &[producer(1)]);
    scene.submits(1, 5).submits(1, 5).submits(1, 5).said();
    scene.hears(1, r#"{"cmd":"subscribe","since":1}"#);
    assert_eq!(scene.said(), ["c1 ok", "c1 2 j2 pending", "c1 3 j3 pending"]);
    scene.hears(1, r#"{"cmd":"subscribe","since":0}"#);
    scene.hears(1, r#"{"cmd":"subscribe","since":4}"#);
    assert_eq!(scene.said(), ["c1 resync", "c1 resync"]);
}

#[test]
fn numbers_of_events_only_grow_also_over_a_crash() {
    let mut scene = Scene::durable(&[producer(1)]);
    scene.submits(1, 5).commit().said();
    let (client, register) = producer(2);
    scene.crashes().hears(client, &register).hears(2, r#"{"cmd":"subscribe","since":1}"#).commit();
    assert_eq!(scene.said(), ["c2 resync", "c2 welcome s1002"]);
    scene.hears(2, r#"{"cmd":"subscribe"}"#).cancels(2, "j1").commit();
    assert_eq!(scene.said(), ["c2 snapshot", "c2 1001 j1 cancelled", "c2 ok"]);
}

#[test]
fn a_snapshot_shows_what_runs_what_waits_and_why() {
    let mut scene = Scene::new(&[producer(1), scheduler(2, 1)]);
    scene.submits(1, 5).submits(1, 7).submits(1, 6).reports(2, "j1", 1, "started").said();
    scene.at(2).hears(1, r#"{"cmd":"subscribe","id":"q"}"#);
    let (_, frame) = scene.exchange.poll_transmit().unwrap();
    let shown: Value = serde_json::from_str(&frame).unwrap();
    assert_eq!((&shown["re"], &shown["seq"]), (&"q".into(), &5.into()));
    assert_eq!(shown["running"][0]["job"], "j1");
    assert_eq!(
        (&shown["running"][0]["state"], &shown["running"][0]["ran_ms"]),
        (&"running".into(), &2000.into())
    );
    assert_eq!(
        (&shown["pending"][0]["job"], &shown["pending"][1]["job"]),
        (&"j3".into(), &"j2".into())
    );
    assert!(shown["pending"][0]["why"].as_str().unwrap().starts_with("no slot is free"));
    assert_eq!(
        (&shown["schedulers"][0]["name"], &shown["schedulers"][0]["jobs"]),
        (&"c2".into(), &1.into())
    );
}
