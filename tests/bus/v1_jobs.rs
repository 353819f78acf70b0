//! A job from its submission to its outcome, and who hears of it.

use crate::support::{Bus, run};
use crate::v1_support::{Peer, text};

#[test]
fn a_client_is_welcomed_and_told_the_terms() {
    run(async {
        let bus = Bus::start().await;
        let welcome = Peer::producer(&bus).await.welcome;
        assert_eq!((&welcome["v"], &welcome["durability"]), (&1.into(), &"memory".into()));
        let times = (&welcome["beat_ms"], &welcome["lease_ms"], &welcome["max_frame"]);
        assert_eq!(times, (&5000.into(), &15_000.into(), &1_048_576.into()));
        assert!(text(&welcome, "session").starts_with('s'));
        bus.drop().await;
    });
}

#[test]
fn a_job_runs_once_and_everybody_who_asked_hears_of_it() {
    run(async {
        let bus = Bus::start().await;
        let (mut producer, mut observer) = (Peer::producer(&bus).await, Peer::observer(&bus).await);
        producer.ask(r#"{"cmd":"subscribe","id":"q","jobs":"mine"}"#, "snapshot").await;
        let request = r#"{"cmd":"submit","id":"c42","payload":{"priority": 3,"runtime":7.50},"opts":{"timeout_ms":10000}}"#;
        let accepted = producer.ask(request, "accepted").await;
        assert_eq!((&accepted["re"], &accepted["dup"]), (&"c42".into(), &false.into()));
        let job = text(&accepted, "job");

        let mut scheduler = Peer::scheduler(&bus, 1).await;
        let assignment = scheduler.hears("assign").await;
        assert_eq!((text(&assignment, "job"), &assignment["attempt"]), (job, &1.into()));
        assert_eq!(assignment["opts"]["timeout_ms"], 10_000);
        scheduler.reports(&assignment, "started").await;
        assert_eq!(scheduler.hears("ok").await["re"], "r");
        scheduler.reports(&assignment, "finished").await;
        scheduler.hears("ok").await;

        for peer in [&mut producer, &mut observer] {
            for state in ["pending", "assigned", "running"] {
                assert_eq!(peer.change().await, (job.to_owned(), state.to_owned()));
            }
            let last = peer.hears("job").await;
            assert_eq!((text(&last, "state"), &last["final"]), ("finished", &true.into()));
            assert_eq!((text(&last, "on"), &last["ran_ms"]), ("g1", &5.into()));
            assert!(text(&last, "at").starts_with("20"), "{last}");
        }
        scheduler.reports(&assignment, "finished").await;
        assert_eq!(scheduler.hears("error").await["code"], -32001, "its lease has ended");
        let stats = bus.drop().await;
        assert_eq!((stats.exchange.accepted, stats.exchange.finished), (1, 1));
        assert_eq!(stats.exchange.stale_reports, 1);
    });
}

#[test]
fn what_was_missed_can_be_heard_later() {
    run(async {
        let bus = Bus::start().await;
        let mut producer = Peer::producer(&bus).await;
        let (one, two) = (producer.submits(3).await, producer.submits(2).await);
        let mut late = Peer::register(&bus, r#""type":"observer""#).await;
        late.ask(r#"{"cmd":"subscribe","id":"q","since":1,"jobs":"all"}"#, "ok").await;
        assert_eq!(late.change().await, (two.clone(), "pending".to_owned()));
        let snapshot = late.ask(r#"{"cmd":"subscribe","id":"s"}"#, "snapshot").await;
        let rows = snapshot["pending"].as_array().unwrap();
        let order: Vec<&str> = rows.iter().map(|row| text(row, "job")).collect();
        assert_eq!(order, [&two, &one]);
        assert_eq!(text(&rows[0], "why"), "no scheduler is connected");
        let gone = late.ask(r#"{"cmd":"subscribe","id":"x","since":999}"#, "error").await;
        assert_eq!(gone["name"], "resync");
        bus.drop().await;
    });
}

#[test]
fn a_key_stands_for_one_job() {
    run(async {
        let bus = Bus::start().await;
        let mut producer = Peer::producer(&bus).await;
        let request =
            r#"{"cmd":"submit","id":1,"payload":{"priority":3},"opts":{"key":"obs-118"}}"#;
        let first = producer.ask(request, "accepted").await;
        let second = Peer::producer(&bus).await.ask(request, "accepted").await;
        assert_eq!(first["job"], second["job"]);
        assert_eq!((&first["dup"], &second["dup"]), (&false.into(), &true.into()));
        bus.drop().await;
    });
}

#[test]
fn a_cancelled_job_is_revoked_where_it_runs() {
    run(async {
        let bus = Bus::start().await;
        let (mut producer, mut observer) = (Peer::producer(&bus).await, Peer::observer(&bus).await);
        let (runs, waits) = (producer.submits(3).await, producer.submits(3).await);
        let mut scheduler = Peer::scheduler(&bus, 1).await;
        let assignment = scheduler.hears("assign").await;
        scheduler.reports(&assignment, "started").await;
        scheduler.hears("ok").await;
        for job in [&waits, &runs] {
            let cancel = format!(r#"{{"cmd":"cancel","id":"c","job":"{job}"}}"#);
            assert_eq!(producer.ask(&cancel, "ok").await["re"], "c");
        }
        let revoked = scheduler.hears("revoke").await;
        assert_eq!((text(&revoked, "job"), text(&revoked, "why")), (runs.as_str(), "cancelled"));
        assert_eq!(revoked["lease"], assignment["lease"]);
        scheduler.reports(&assignment, "cancelled").await;
        let mut ended = Vec::new();
        while ended.len() < 2 {
            let change = observer.hears("job").await;
            if change["final"] == true {
                ended.push((text(&change, "job").to_owned(), text(&change, "state").to_owned()));
            }
        }
        let cancelled = "cancelled".to_owned();
        assert_eq!(ended, [(waits, cancelled.clone()), (runs, cancelled)]);
        scheduler.has_heard_nothing_of("assign").await;
        bus.drop().await;
    });
}

#[test]
fn what_is_wrong_is_said_and_the_connection_stays() {
    run(async {
        let bus = Bus::start().await;
        let mut client = Peer::producer(&bus).await;
        let cases = [
            ("{", -32700),
            ("[]", -32600),
            (r#"{"id":7}"#, -32600),
            (r#"{"cmd":"fly","id":7}"#, -32601),
            (r#"{"cmd":"cancel","id":7}"#, -32602),
            (r#"{"cmd":"submit","id":7,"payload":{"runtime":1}}"#, -32602),
            (r#"{"cmd":"submit","id":7,"payload":{"priority":"high"}}"#, -32602),
            (r#"{"cmd":"beat","leases":[1]}"#, -32602),
            (r#"{"cmd":"pause","id":7,"target":"nobody"}"#, -32602),
            (r#"{"cmd":"report","id":7,"job":"j1","lease":1,"state":"finished"}"#, -32001),
            (r#"{"cmd":"cancel","id":7,"job":"j17"}"#, -32002),
        ];
        for (request, code) in cases {
            let error = client.ask(request, "error").await;
            assert_eq!(error["code"], code, "{request}");
            assert!(!text(&error, "message").is_empty(), "{request}");
            let re = if request.contains(r#""id":7"#) { 7.into() } else { serde_json::Value::Null };
            assert_eq!(error["re"], re, "{request}");
        }
        client.submits(1).await;
        client.ask(r#"{"cmd":"drain","id":"d"}"#, "ok").await;
        let refused = r#"{"cmd":"submit","id":8,"payload":{"priority":1}}"#;
        assert_eq!(client.ask(refused, "error").await["code"], -32004);
        client.ask(r#"{"cmd":"resume","id":"d"}"#, "ok").await;
        client.submits(1).await;
        let stats = bus.drop().await;
        assert_eq!((stats.clients, stats.exchange.accepted, stats.exchange.refused), (1, 2, 1));
    });
}

#[test]
fn as_many_jobs_wait_as_may_wait() {
    run(async {
        let bus = Bus::with(|config| config.policy.max_pending = 2).await;
        let mut client = Peer::producer(&bus).await;
        client.submits(1).await;
        client.submits(1).await;
        let third = r#"{"cmd":"submit","id":3,"payload":{"priority":0}}"#;
        assert_eq!(client.ask(third, "error").await["code"], -32003);
        bus.drop().await;
    });
}
