//! Who follows, who is behind, and what waits for whom.

use super::watching::LOOK;
use super::*;

const ALL: &str = r#"{"cmd":"subscribe","since":0}"#;
const NUMBER: ClientId = ClientId::new(1);

/// A scene with so many jobs of client 1 that wait.
fn with_jobs(count: usize) -> Scene {
    let mut scene = Scene::new(&[producer(1)]);
    (0..count).for_each(|_| _ = scene.submits(1, 5).said());
    scene
}

fn durable_with(max_waiting: usize, clients: &[(u64, String)]) -> Scene {
    let durability = Durability::Fsync;
    Scene::with(ExchangeConfig { durability, max_waiting, ..ExchangeConfig::new(0) }, clients)
}

#[test]
fn a_client_has_one_snapshot_on_its_way_at_most() {
    let mut scene = Scene::new(&[producer(1), producer(2)]);
    scene.hears(1, LOOK).hears(1, LOOK).hears(2, LOOK).hears(1, LOOK);
    let told = ["c1 full", "c1 full", "c1 snapshot", "c2 snapshot"];
    assert_eq!(scene.said(), told);
    assert_eq!(scene.hears(1, LOOK).said(), ["c1 snapshot"]);
}

#[test]
fn what_was_missed_is_not_copied_however_often_it_is_asked_for() {
    let mut scene = with_jobs(50);
    (0..100).for_each(|_| _ = scene.hears(1, ALL));
    let answers = scene.exchange.waiting_bytes();
    assert!(answers <= 100 * 100, "{answers} bytes");
    let said = scene.said();
    assert!(said[..100].iter().all(|it| it == "c1 ok"), "{said:?}");
    let told: Vec<_> = (1..=50).map(|n| format!("c1 {n} j{n} pending")).collect();
    assert_eq!(said[100..], told);
}

#[test]
fn what_happens_while_a_client_is_behind_comes_after_what_it_missed() {
    let mut scene = with_jobs(3);
    scene.hears(1, ALL);
    let it = &mut scene.exchange;
    assert_eq!(it.poll_missed(NUMBER), None, "its answer comes first");
    assert_eq!(short(&it.poll_transmit().unwrap().1), "ok");
    assert_eq!(short(&it.poll_missed(NUMBER).unwrap()), "1 j1 pending");
    scene.submits(1, 5).hears(1, LOOK).hears(1, LOOK);
    let told = ["c1 full", "c1 accepted j4"];
    let missed = ["c1 2 j2 pending", "c1 3 j3 pending", "c1 4 j4 pending", "c1 snapshot"];
    assert_eq!(scene.said(), [&told[..], &missed[..]].concat());
    assert_eq!(scene.submits(1, 5).said(), ["c1 5 j5 pending", "c1 accepted j5"]);
}

#[test]
fn who_is_behind_hears_of_its_own_jobs_only_if_that_is_what_it_wants() {
    let mut scene = Scene::new(&[producer(1), producer(2)]);
    scene.submits(1, 5).submits(2, 5).submits(1, 5).said();
    scene.hears(1, r#"{"cmd":"subscribe","since":0,"jobs":"mine"}"#);
    assert_eq!(scene.said(), ["c1 ok", "c1 1 j1 pending", "c1 3 j3 pending"]);
}

#[test]
fn who_does_not_keep_up_is_told_later_and_everything_once() {
    let mut scene = Scene::new(&[producer(1), producer(2)]);
    scene.hears(2, LOOK).submits(1, 5).said();
    scene.exchange.hold_back(ClientId::new(2));
    scene.submits(1, 5).submits(1, 5);
    let it = &mut scene.exchange;
    let now: Vec<_> = core::iter::from_fn(|| it.poll_transmit()).map(|(to, _)| to).collect();
    assert_eq!(now, [NUMBER, NUMBER]);
    assert_eq!(scene.said(), ["c2 2 j2 pending", "c2 3 j3 pending"]);
    assert_eq!(scene.submits(1, 5).said(), ["c2 4 j4 pending", "c1 accepted j4"]);
}

#[test]
fn who_is_so_far_behind_that_the_next_event_is_gone_is_closed() {
    let config = ExchangeConfig { events_kept: 8, ..ExchangeConfig::new(0) };
    let mut scene = Scene::with(config, &[producer(1), producer(2)]);
    (0..8).for_each(|_| _ = scene.submits(1, 5));
    // One event more is kept for who is being told.
    scene.hears(2, ALL).submits(1, 5);
    assert_eq!(scene.said().last().unwrap(), "c2 9 j9 pending");
    scene.exchange.hold_back(ClientId::new(2));
    (0..10).for_each(|_| _ = scene.submits(1, 5));
    assert!(scene.said().iter().all(|it| it.starts_with("c1 accepted")));
    assert_eq!(scene.exchange.poll_slow(), Some(ClientId::new(2)));
    scene.leaves(2, false).hears(2, &producer(2).1);
    scene.hears(2, r#"{"cmd":"subscribe","since":9}"#);
    assert_eq!(scene.said(), ["c2 welcome s3", "c2 resync"]);
}

#[test]
fn events_that_wait_for_the_disk_are_not_copied_without_bound() {
    const MOST: usize = 64 * 1024;
    let waiting = |observed: bool| {
        let mut scene = durable_with(MOST, &[producer(1), producer(2)]);
        if observed {
            scene.hears(2, LOOK).said();
        }
        (0..100).for_each(|_| _ = scene.submits(1, 5));
        (scene.exchange.waiting_bytes(), scene)
    };
    let ((without, _), (with, mut scene)) = (waiting(false), waiting(true));
    assert!(with > without && with - without <= MOST / 64, "{with} bytes, {without} without");
    assert!(scene.said().is_empty(), "none of it is on disk");
    let mut said = scene.commit().said();
    said.retain(|it| it.starts_with("c2"));
    let told: Vec<_> = (1..=100).map(|n| format!("c2 {n} j{n} pending")).collect();
    assert_eq!(said, told);
}

#[test]
fn what_a_client_submits_that_is_given_up_is_its_own_when_it_comes_back() {
    let mut scene = Scene::new(&[producer(1), scheduler(2, 1)]);
    scene.exchange.end_roles(scene.now, NUMBER);
    scene.submits(1, 5).hears(1, &scheduler(1, 9).1);
    assert_eq!(scene.said(), ["c2 assign j1 1"], "it takes no role, and is told nothing");
    scene.hears(3, r#"{"cmd":"register","type":"producer","v":1,"session":"s1"}"#);
    scene.hears(3, r#"{"cmd":"subscribe","since":0,"jobs":"mine"}"#);
    assert_eq!(scene.said(), ["c3 welcome s1", "c3 ok", "c3 1 j1 pending", "c3 2 j1 assigned"]);
    scene.leaves(1, false).submits(1, 5);
    assert_eq!(scene.said(), [""; 0], "it is nobody, as with version 0");
}

#[test]
fn a_client_for_which_too_much_waits_is_closed_and_nobody_else() {
    let mut scene = durable_with(4096, &[producer(1), producer(2)]);
    scene.submits(2, 5);
    let before = scene.exchange.waiting_bytes();
    (0..1000).for_each(|_| {
        scene.cancels(1, "j99");
        assert!(scene.exchange.waiting_bytes() <= before + 4096 + 200);
    });
    assert_eq!(scene.exchange.waiting_bytes(), before);
    assert_eq!(scene.exchange.poll_slow(), Some(NUMBER));
    assert_eq!(scene.exchange.poll_slow(), None, "it is said once");
    assert_eq!(scene.commit().said(), ["c2 accepted j1"]);
    scene.leaves(1, false).hears(1, &producer(1).1);
    assert_eq!(scene.said(), ["c1 welcome s3"]);
}

#[test]
fn nothing_waits_for_who_has_gone_but_its_leases_begin_and_lapse() {
    let mut scene = Scene::durable(&[producer(1), scheduler(2, 1)]);
    scene.submits(1, 5).leaves(1, false).leaves(2, false);
    assert_eq!(scene.exchange.waiting_bytes(), 0);
    scene.at(20).disk_fails();
    assert_eq!(scene.exchange.counters().running, 0, "it was not accepted");
    let (client, register) = scheduler(3, 1);
    scene.hears(client, &register).beats(3, &[]).hears(1, &producer(1).1).commit().said();
    scene.submits(1, 5).leaves(3, false).commits_once();
    assert_eq!(scene.said(), ["c1 accepted j2"]);
    scene.at(34).commit();
    assert_eq!(scene.exchange.counters().running, 1);
    scene.at(35).commit();
    assert_eq!((scene.exchange.counters().running, scene.exchange.counters().pending), (0, 1));
}

#[test]
fn a_snapshot_that_is_made_anew_takes_the_place_of_what_was_missed() {
    let mut scene = Scene::durable(&[producer(1), scheduler(2, 1), producer(3)]);
    scene.submits(1, 5).commit().said();
    scene.submits(1, 5).hears(3, LOOK);
    scene.exchange.hold_back(ClientId::new(3));
    scene.reports(2, "j1", 1, "finished").disk_fails();
    assert_eq!(scene.said(), ["c1 storage"]);
    scene.commit();
    assert_eq!(scene.said(), ["c2 ok", "c3 snapshot"], "it has the outcome of j1");
    let said = scene.submits(1, 5).commit().said();
    assert!(said.iter().any(|it| it == "c3 7 j3 assigned"), "{said:?}");
}
