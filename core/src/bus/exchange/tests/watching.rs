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
    let shown = scene.at(2).shows(r#"{"cmd":"subscribe","id":"q"}"#);
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
    assert_eq!(shown["pending"][0]["why"], "outranked by j1");
    assert_eq!(shown["pending"][1]["why"], "outranked by j3");
    assert_eq!(shown["wait_ms"]["p50"], 0);
    assert_eq!(
        (&shown["schedulers"][0]["name"], &shown["schedulers"][0]["jobs"]),
        (&"c2".into(), &1.into())
    );
}

/// The jobs of some rows, each with why it waits.
fn whys(rows: &Value) -> Vec<String> {
    let text = |row: &Value, field: &str| row[field].as_str().unwrap_or_default().to_owned();
    let rows = rows.as_array().unwrap().iter();
    rows.map(|row| format!("{}: {}", text(row, "job"), text(row, "why"))).collect()
}

pub(super) const LOOK: &str = r#"{"cmd":"subscribe"}"#;

#[test]
fn a_job_for_which_another_is_evicted_says_how_long_that_may_take() {
    let mut scene = Scene::new(&[producer(1), scheduler(2, 1)]);
    scene.submits(1, 5).reports(2, "j1", 1, "started").submits(1, 3).said();
    assert_eq!(whys(&scene.shows(LOOK)["running"]), ["j1: ", "j2: c2 evicts a run for it"]);
    let stopping = r#"{"cmd":"stopping","job":"j1","lease":1,"by":"j2","grace_ms":4500}"#;
    scene.hears(2, stopping);
    let (_, told) = scene.exchange.poll_transmit().unwrap();
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((&told["state"], &told["final"]), (&"stopping".into(), &false.into()));
    assert_eq!((&told["room_for"], &told["grace_ms"]), (&"j2".into(), &4500.into()));
    assert_eq!(told.get("by"), None, "it was not evicted yet");
    let shown = scene.at(1).shows(LOOK);
    assert_eq!(shown["running"][0]["stopping"]["by"], "j2");
    assert_eq!(shown["running"][0]["stopping"]["grace_ms"], 3500);
    let why = "j2: a slot reserved, victim has 4 s of grace left (j1)";
    assert_eq!(whys(&shown["running"])[1], why);
    let shown = scene.at(5).shows(LOOK);
    assert_eq!(whys(&shown["running"])[1], "j2: a slot reserved, victim is killed (j1)");
    // Under a lease that has ended, or of another's job, it means nothing.
    scene.reports(2, "j1", 1, "evicted").said();
    assert_eq!(scene.hears(2, stopping).said(), [""; 0]);
    let foreign = r#"{"cmd":"stopping","job":"j2","lease":2,"grace_ms":1}"#;
    assert_eq!(scene.hears(1, foreign).said(), [""; 0]);
}

#[test]
fn a_slot_is_called_as_its_scheduler_calls_it() {
    let mut scene = Scene::new(&[producer(1), scheduler(2, 1)]);
    scene.submits(1, 5).submits(1, 3);
    let started = r#"{"cmd":"report","job":"j1","lease":1,"state":"started","slot":3}"#;
    scene
        .hears(2, started)
        .hears(2, r#"{"cmd":"stopping","job":"j1","lease":1,"by":"j2","grace_ms":1000}"#)
        .said();
    let shown = scene.shows(LOOK);
    assert_eq!(shown["running"][0]["slot"], 3);
    let why = "j2: slot 3 reserved, victim has 1 s of grace left (j1)";
    assert_eq!(whys(&shown["running"])[1], why);
}

#[test]
fn every_job_that_waits_says_why() {
    let mut scene = Scene::new(&[producer(1)]);
    scene.submits(1, 5).said();
    let why = |scene: &mut Scene| {
        let shown = scene.shows(LOOK);
        whys(&shown["pending"])
    };
    assert_eq!(why(&mut scene), ["j1: no scheduler is connected"]);
    for (verb, expected) in [("pause", "paused"), ("drain", "draining")] {
        scene.hears(1, &format!(r#"{{"cmd":"{verb}"}}"#)).said();
        assert_eq!(why(&mut scene), [format!("j1: the bus is {expected}")]);
    }
    scene.hears(1, r#"{"cmd":"resume"}"#);
    let (client, register) = scheduler(2, 1);
    scene.hears(client, &register).beats(2, &[]).said();
    scene.reports(2, "j1", 1, "declined").said();
    assert_eq!(why(&mut scene), ["j1: no scheduler accepts it"]);
    scene.submits(1, 6).reports(2, "j2", 2, "failed").said();
    let retries = why(&mut scene);
    assert!(retries[1].starts_with("j2: retries in "), "{retries:?}");
}

#[test]
fn a_snapshot_names_no_more_than_it_was_asked_for() {
    let mut scene = Scene::new(&[producer(1), scheduler(2, 1)]);
    for priority in [5, 6, 7, 8, 9] {
        scene.submits(1, priority);
    }
    scene.reports(2, "j1", 1, "finished").said();
    let shown = scene.shows(r#"{"cmd":"subscribe","view":{"from":1,"rows":1,"outcomes":false}}"#);
    assert_eq!((&shown["from"], &shown["counters"]["pending"]), (&1.into(), &3.into()));
    assert_eq!(whys(&shown["pending"]), ["j4: outranked by j3"]);
    assert_eq!(shown["ended"], serde_json::json!([]));
    let past = r#"{"cmd":"subscribe","view":{"from":18446744073709551615,"rows":2}}"#;
    let shown = scene.shows(past);
    assert_eq!(
        (&shown["pending"], &shown["ended"][0]["job"]),
        (&serde_json::json!([]), &"j1".into())
    );
}
