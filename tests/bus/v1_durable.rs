//! A bus with a directory for its jobs, ended in order and started again.
//! What survives a kill is tested with the real program.

use std::time::Duration;

use sched_runtime_smol::StoreError;
use sched_runtime_smol::bus::{BindError, BusConfig, BusServer};

use crate::support::{Bus, run};
use crate::v1_support::{Directory, Peer, text};

async fn bus(directory: &Directory) -> Bus {
    Bus::with(|config| config.data = Some(directory.0.clone())).await
}

#[test]
fn what_was_accepted_is_there_again_with_its_leases_keys_and_outcomes() {
    run(async {
        let directory = Directory::new("again");
        let first = bus(&directory).await;
        let mut producer = Peer::producer(&first).await;
        assert_eq!(producer.welcome["durability"], "fsync");
        let keyed = r#"{"cmd":"submit","id":1,"payload":{"priority":1},"opts":{"key":"k"}}"#;
        let keyed_job = producer.ask(keyed, "accepted").await["job"].clone();
        let mut scheduler = Peer::scheduler(&first, 1).await;
        let ended = scheduler.hears("assign").await;
        scheduler.reports(&ended, "started").await;
        scheduler.reports(&ended, "finished").await;
        let (runs, waits) = (producer.submits(2).await, producer.submits(3).await);
        let assignment = scheduler.hears("assign").await;
        assert_eq!(text(&assignment, "job"), runs);
        let session = scheduler.session().to_owned();
        drop((producer, scheduler));
        first.end().await;

        let second = bus(&directory).await;
        let mut observer = Peer::register(&second, r#""type":"observer""#).await;
        let snapshot = observer.ask(r#"{"cmd":"subscribe","id":1}"#, "snapshot").await;
        assert_eq!(snapshot["pending"][0]["job"], waits.as_str());
        assert_eq!(snapshot["running"][0]["job"], runs.as_str());
        assert_eq!(snapshot["ended"][0]["job"], keyed_job);
        assert_eq!(snapshot["ended"][0]["state"], "finished");
        let again = Peer::producer(&second).await.ask(keyed, "accepted").await;
        assert_eq!((&again["job"], &again["dup"]), (&keyed_job, &true.into()));
        let mut back = Peer::back(&second, &session, 1).await;
        assert_eq!(back.session(), session);
        back.reports(&assignment, "finished").await;
        back.hears("ok").await;
        assert_eq!(text(&back.hears("assign").await, "job"), runs, "it was told again");
        assert_eq!(text(&back.hears("assign").await, "job"), waits);
        let stats = second.stats().await;
        assert_eq!((stats.exchange.finished, stats.exchange.leases_lost), (1, 0));
    });
}

#[test]
fn many_producers_share_commits() {
    run(async {
        let directory = Directory::new("share");
        let bus = bus(&directory).await;
        let mut producers = Vec::new();
        for _ in 0..50 {
            producers.push(Peer::producer(&bus).await);
        }
        for _ in 0..4 {
            for producer in &mut producers {
                let request = r#"{"cmd":"submit","id":1,"payload":{"priority":1}}"#;
                producer.say(request).await;
            }
            for producer in &mut producers {
                producer.hears("accepted").await;
            }
        }
        assert_eq!(bus.drop().await.exchange.accepted, 200);
    });
}

#[test]
fn a_second_bus_in_the_same_directory_is_refused_until_the_first_has_ended() {
    run(async {
        let directory = Directory::new("second");
        let first = bus(&directory).await;
        let mut config = BusConfig::new(([127, 0, 0, 1], 0).into());
        config.data = Some(directory.0.clone());
        let refused = BusServer::bind(config).await.unwrap_err();
        assert!(matches!(refused, BindError::Store(StoreError::InUse { .. })), "{refused}");
        first.end().await;
        bus(&directory).await.end().await;
    });
}

#[test]
fn a_lease_that_nobody_comes_back_for_is_waited_out() {
    run(async {
        let directory = Directory::new("waits");
        let first = bus(&directory).await;
        let mut scheduler = Peer::scheduler(&first, 1).await;
        let job = Peer::producer(&first).await.submits(1).await;
        scheduler.hears("assign").await;
        drop(scheduler);
        first.end().await;
        let second = Bus::with(|config| {
            config.data = Some(directory.0.clone());
            config.lease = Duration::from_millis(300);
        })
        .await;
        let mut other = Peer::scheduler(&second, 1).await;
        assert_eq!(text(&other.hears("assign").await, "job"), job);
        assert!(second.drop().await.exchange.leases_lost >= 1, "not before it has lapsed");
    });
}
