//! What is on disk before it is acknowledged, and what comes back from there.

use super::*;

#[test]
fn a_job_is_accepted_and_assigned_only_once_it_is_on_disk() {
    let mut scene = Scene::durable(&[producer(1), scheduler(2, 1)]);
    scene.submits(1, 5).submits(1, 5);
    assert!(scene.said().is_empty());
    scene.commits_once();
    assert_eq!(scene.said(), ["c1 accepted j1", "c2 assign j1 1", "c1 accepted j2"]);
    scene.reports(2, "j1", 1, "finished");
    assert!(scene.said().is_empty());
    scene.commits_once();
    assert_eq!(scene.said(), ["c2 ok", "c2 assign j2 2"]);
}

#[test]
fn changes_of_a_job_that_go_to_the_disk_together_are_one_record() {
    let mut scene = Scene::durable(&[producer(1), scheduler(2, 1)]);
    scene.submits(1, 5).queue_writes();
    let [Persist { op: PersistOp::Put(job, record), .. }] = &scene.disk.queued[..] else {
        panic!("{:?}", scene.disk.queued)
    };
    assert_eq!(job.to_string(), "j1");
    assert!(record.contains(r#""leased":{"lease":1,"#), "{record}");
}

#[test]
fn an_outcome_is_told_only_once_it_is_on_disk() {
    let mut scene = Scene::durable(&[producer(1), scheduler(2, 1)]);
    scene.hears(1, r#"{"cmd":"subscribe","since":0}"#).submits(1, 5).commit().said();
    scene.reports(2, "j1", 1, "finished");
    let before = scene.exchange.persisted;
    scene.exchange.handle_persisted(scene.now, before);
    assert!(scene.said().is_empty());
    scene.commit();
    assert_eq!(scene.said(), ["c1 3 j1 finished", "c2 ok"]);
    assert!(scene.disk.jobs.values().all(|record| record.contains(r#""state":"finished""#)));
}

#[test]
fn the_kept_events_are_those_that_were_told_and_not_what_waits_for_the_disk() {
    let mut scene = Scene::durable(&[producer(1), scheduler(2, 1)]);
    let kept = |scene: &Scene| scene.exchange.events().count();
    scene.submits(1, 5);
    assert_eq!(kept(&scene), 0);
    scene.commit();
    let before = kept(&scene);
    scene.reports(2, "j1", 1, "finished").disk_fails();
    assert_eq!((kept(&scene), scene.exchange.disk_fails()), (before, true));
    scene.commit();
    assert_eq!((kept(&scene), scene.exchange.disk_fails()), (before + 1, false));
    assert!(scene.exchange.events().last().unwrap().contains("finished"));
}

#[test]
fn a_lease_lasts_from_when_its_assignment_leaves_the_bus() {
    let mut scene = Scene::durable(&[producer(1), scheduler(2, 1)]);
    scene.submits(1, 5);
    scene.at(20).commits_once();
    assert_eq!(scene.said(), ["c1 accepted j1", "c2 assign j1 1"]);
    scene.at(34).beats(2, &[]);
    assert_eq!(scene.said(), ["c2 beat"]);
    scene.at(35).commit();
    assert_eq!(scene.said(), ["c2 revoke j1 1 superseded", "c2 assign j1 2"]);
}

#[test]
fn an_assignment_whose_lease_is_over_does_not_leave_the_bus() {
    let mut scene = Scene::durable(&[producer(1), scheduler(2, 1)]);
    scene.submits(1, 5).leaves(2, true).commit();
    assert_eq!(scene.said(), ["c1 accepted j1"]);
    assert_eq!(scene.exchange.counters().pending, 1);
}

#[test]
fn nothing_of_a_job_is_told_that_the_disk_did_not_take() {
    let mut scene = Scene::durable(&[producer(1), scheduler(2, 1), producer(3)]);
    scene.hears(1, r#"{"cmd":"subscribe","since":0}"#).commit().said();
    scene.submits(1, 5).hears(3, r#"{"cmd":"subscribe","id":"q"}"#);
    scene.hears(2, r#"{"cmd":"subscribe","since":0}"#).disk_fails();
    assert_eq!(scene.said(), ["c1 storage"]);
    assert_eq!(scene.exchange.events().count(), 0);
    scene.commits_once();
    let frames: Vec<_> = core::iter::from_fn(|| scene.exchange.poll_transmit()).collect();
    assert_eq!(frames.len(), 2, "{frames:?}");
    assert_eq!((frames[0].0.number(), short(&frames[0].1)), (2, "ok".to_owned()));
    let shown: Value = serde_json::from_str(&frames[1].1).unwrap();
    assert_eq!((frames[1].0.number(), &shown["re"]), (3, &"q".into()));
    let none = serde_json::json!([]);
    assert_eq!((&shown["pending"], &shown["running"]), (&none, &none));
    assert!(scene.disk.jobs.is_empty());
}

#[test]
fn the_slot_of_a_job_that_the_disk_did_not_take_is_free_again() {
    let mut scene = Scene::durable(&[producer(1), scheduler(2, 1), scheduler(3, 1)]);
    scene.submits(1, 8).submits(1, 8).commit().said();
    scene.submits(1, 5).leaves(3, false).disk_fails();
    assert_eq!(scene.said(), ["c1 storage"]);
    scene.commit().submits(1, 4).commit();
    assert_eq!(scene.said(), ["c1 accepted j4", "c2 assign j4 4"], "it may evict again");
}

#[test]
fn nobody_can_report_on_what_is_not_accepted_yet() {
    let mut scene = Scene::durable(&[producer(1), scheduler(2, 1)]);
    scene.submits(1, 5).reports(2, "j1", 1, "finished").commit();
    assert_eq!(scene.said(), ["c1 accepted j1", "c2 assign j1 1", "c2 stale_lease"]);
}

#[test]
fn what_was_due_while_a_job_waited_for_the_disk_is_done_once_it_is_accepted() {
    let mut scene = Scene::durable(&[producer(1)]);
    scene.submits_with(1, 5, r#"{"expires_ms":1000}"#).at(2);
    assert_eq!(scene.exchange.counters().expired, 0);
    scene.hears(1, r#"{"cmd":"subscribe","since":0}"#).commit();
    let told = ["c1 accepted j1", "c1 ok", "c1 1 j1 pending", "c1 2 j1 expired"];
    assert_eq!(scene.said(), told);
}

#[test]
fn a_disk_that_fails_refuses_submissions_and_service_resumes_when_it_does() {
    let mut scene = Scene::durable(&[producer(1), scheduler(2, 1)]);
    let key = r#"{"key":"k"}"#;
    scene.submits_with(1, 5, key).disk_fails();
    assert_eq!(scene.said(), ["c1 storage"]);
    scene.submits(1, 5).beats(2, &[]);
    assert_eq!(scene.said(), ["c1 storage", "c2 beat"]);
    scene.commit().at(300).submits_with(1, 5, key).commit();
    assert_eq!(scene.said(), ["c1 accepted j2", "c2 assign j2 2"]);
    scene.at(700).submits_with(1, 5, key).commit();
    assert_eq!(scene.said().last().unwrap(), "c1 dup j2", "its own ten minutes");
}

#[test]
fn the_second_submission_under_a_key_waits_with_the_first() {
    let mut scene = Scene::durable(&[producer(1), producer(2)]);
    let key = r#"{"key":"k"}"#;
    scene.submits_with(1, 5, key).submits_with(2, 5, key).disk_fails();
    assert_eq!(scene.said(), ["c1 storage", "c2 storage"]);
    scene.commit();
    assert!(scene.said().is_empty() && scene.disk.jobs.is_empty());
    scene.submits_with(1, 5, key).submits_with(2, 5, key).commit();
    assert_eq!(scene.said(), ["c1 accepted j2", "c2 dup j2"]);
}

#[test]
fn a_failure_does_not_undo_what_is_accepted_and_was_submitted_again() {
    let mut scene = Scene::durable(&[producer(1), producer(2)]);
    let key = r#"{"key":"k"}"#;
    scene.submits_with(1, 5, key);
    let seq = scene.queue_writes().unwrap();
    scene.disk.apply();
    // This makes the answer to the second wait for more than the first needs.
    scene.submits(2, 5).submits_with(2, 5, key);
    scene.exchange.handle_persisted(scene.now, seq);
    assert_eq!(scene.said(), ["c1 accepted j1"]);
    scene.disk_fails();
    assert_eq!(scene.said(), ["c2 storage"]);
    scene.commit();
    assert_eq!(scene.said(), ["c2 dup j1"]);
    assert_eq!(scene.disk.jobs.len(), 1);
}

/// The outcome of its job may be forgotten long before.
#[test]
fn a_key_stands_until_it_ends_over_a_crash() {
    let durability = Durability::Fsync;
    let config = ExchangeConfig { durability, outcomes_kept: 1, ..ExchangeConfig::new(0) };
    let mut scene = Scene::with(config, &[producer(1)]);
    let ends_at_once = |scene: &mut Scene, job: &str, opts: &str| {
        scene.submits_with(1, 5, opts).commit().cancels(1, job).commit();
    };
    ends_at_once(&mut scene, "j1", r#"{"key":"k"}"#);
    scene.at(300);
    for job in ["j2", "j3", "j4"] {
        ends_at_once(&mut scene, job, "{}");
    }
    assert_eq!(scene.disk.jobs.len(), 2, "the last outcome, and that of the key");
    for secs in [310, 599] {
        let (client, register) = producer(1);
        scene.crashes().at(secs).hears(client, &register);
        scene.submits_with(1, 5, r#"{"key":"k"}"#).commit();
        assert_eq!(scene.said().last().unwrap(), "c1 dup j1");
    }
    scene.at(600).commit();
    assert_eq!(scene.disk.jobs.len(), 1, "the last outcome");
    scene.submits_with(1, 5, r#"{"key":"k"}"#).commit();
    assert_eq!(scene.said(), ["c1 accepted j2001"]);
}

#[test]
fn outcomes_are_forgotten_several_at_a_time() {
    let durability = Durability::Fsync;
    let config = ExchangeConfig { durability, outcomes_kept: 16, ..ExchangeConfig::new(0) };
    let mut scene = Scene::with(config, &[producer(1)]);
    let mut on_disk = Vec::new();
    for job in 1..=20 {
        scene.submits(1, 5).commit().cancels(1, &format!("j{job}")).commit();
        on_disk.push(scene.disk.jobs.len());
    }
    assert_eq!(on_disk[14..], [15, 16, 17, 18, 16, 17]);
}

/// Every byte goes to the disk twice.
#[test]
fn of_a_job_that_has_ended_only_what_is_told_is_on_disk() {
    let mut scene = Scene::durable(&[producer(1)]);
    for (job, opts) in [("j1", r#"{"max_lost":3}"#), ("j2", r#"{"max_lost":3,"key":"k"}"#)] {
        scene.submits_with(1, 5, opts).commit().cancels(1, job).commit();
    }
    let begins = |job: &str| {
        let record = &scene.disk.jobs[&JobId::parse(job).unwrap()];
        record.split(r#","job""#).next().unwrap().to_owned()
    };
    assert_eq!(begins("j1"), r#"{"phase":{"ended":{"change":{"seq":2"#);
    let with_key =
        r#"{"opts":{"key":"k"},"submitted":1000000000000,"phase":{"ended":{"change":{"seq":4"#;
    assert_eq!(begins("j2"), with_key);
}

#[test]
fn what_a_key_alone_kept_is_forgotten_after_a_restart_that_outlasts_it() {
    let mut scene = Scene::durable(&[producer(1)]);
    for job in ["j1", "j2", "j3"] {
        let opts = format!(r#"{{"key":"of {job}"}}"#);
        scene.submits_with(1, 5, &opts).commit().cancels(1, job).commit();
    }
    scene.config.outcomes_kept = 1;
    scene.at(300).crashes().commit();
    assert_eq!((scene.exchange.ended.len(), scene.disk.jobs.len()), (1, 3));
    scene.now = Instant::from_secs(1600);
    scene.crashes().commit();
    assert_eq!((scene.exchange.ended.len(), scene.disk.jobs.len()), (1, 1));
    scene.exchange.check().unwrap();
}

#[test]
fn what_is_not_accepted_yet_cannot_be_cancelled() {
    let mut scene = Scene::durable(&[producer(1)]);
    scene.submits(1, 5).cancels(1, "j1").commit();
    assert_eq!(scene.said(), ["c1 no_job", "c1 accepted j1"]);
}

#[test]
fn a_report_is_refused_only_once_the_end_of_its_lease_is_on_disk() {
    let mut scene = Scene::durable(&[producer(1), scheduler(2, 1)]);
    scene.submits(1, 5).commit().said();
    scene.reports(2, "j1", 1, "finished").reports(2, "j1", 1, "finished");
    assert!(scene.said().is_empty(), "after a crash now, it would be accepted");
    scene.commit();
    assert_eq!(scene.said(), ["c2 ok", "c2 stale_lease"]);
}

#[test]
fn leases_go_on_after_a_crash_of_the_bus() {
    let mut scene = Scene::durable(&[producer(1), scheduler(2, 1)]);
    scene.submits(1, 5).submits(1, 6).commit().reports(2, "j1", 1, "started").commit().said();
    scene.crashes().at(10);
    let back =
        r#"{"cmd":"register","type":"scheduler","v":1,"name":"c2","slots":1,"session":"s2"}"#;
    scene.hears(7, back).beats(7, &[1]).commit();
    assert_eq!(scene.said(), ["c7 welcome s2", "c7 beat"]);
    scene.at(24).reports(7, "j1", 1, "finished").commit();
    assert_eq!(scene.said(), ["c7 ok", "c7 assign j2 1001"]);
}

#[test]
fn after_a_crash_the_bus_waits_out_the_leases_it_knows() {
    let mut scene = Scene::durable(&[producer(1), scheduler(2, 1)]);
    scene.submits(1, 5).commit().said();
    let (client, register) = scheduler(8, 1);
    scene.crashes().hears(client, &register).commit();
    assert_eq!(scene.said(), ["c8 welcome s1002"]);
    scene.at(14).commit();
    assert!(scene.said().is_empty());
    scene.at(15).commit();
    assert_eq!(scene.said(), ["c8 assign j1 1001"]);
}

#[test]
fn a_crash_does_not_make_a_scheduler_evict_for_two_jobs() {
    let mut scene = Scene::durable(&[producer(1), scheduler(2, 1)]);
    scene.submits(1, 8).commit().submits(1, 5).commit().crashes();
    let back =
        r#"{"cmd":"register","type":"scheduler","v":1,"name":"c2","slots":1,"session":"s2"}"#;
    scene.hears(7, back).beats(7, &[1, 2]).submits(7, 0).commit();
    let again =
        ["c7 welcome s2", "c7 beat", "c7 assign j1 1", "c7 assign j2 2", "c7 accepted j1001"];
    assert_eq!(scene.said(), again);
}

#[test]
fn no_session_is_given_twice_over_a_crash() {
    let mut scene = Scene::durable(&[]);
    let (client, register) = producer(1);
    scene.hears(client, &register);
    assert!(scene.said().is_empty(), "it would be given again after a crash");
    scene.commit().said();
    scene.hears(2, &register);
    assert_eq!(scene.said(), ["c2 welcome s2"], "reserved by the first");
}

#[test]
fn a_record_that_cannot_be_read_is_named() {
    let id = JobId::parse("j7").unwrap();
    let records = [
        "{",
        r#"{"priority":3,"submitted":7,"phase":"pending"}"#,
        r#"{"payload":{},"submitted":7,"phase":"pending"}"#,
        r#"{"payload":{},"priority":3,"phase":"pending"}"#,
        r#"{"opts":{"key":"k"},"phase":{"ended":{"change":{},"at":7}}}"#,
    ];
    for record in records {
        let config = ExchangeConfig::new(0);
        let restored = Exchange::restore(Instant::ZERO, config, None, [(id, record)]);
        assert_eq!(restored.unwrap_err().job, Some(id));
    }
}
