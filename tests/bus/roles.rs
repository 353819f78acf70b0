//! Roles end with their connection.

use sched_core::bus::Role;

use crate::support::{Bus, JOB, request, run};

#[test]
fn f18_both_roles_of_a_connection_end_with_it() {
    run(async {
        let bus = Bus::start().await;
        let mut both = bus.raw_scheduler().await;
        both.say(r#"{"cmd":"register","type":"producer"}"#).await;
        bus.until(|now| (now.producers, now.schedulers) == (1, 1)).await;
        drop(both);
        let stats = bus.until(|now| now.clients == 0).await;
        assert_eq!((stats.producers, stats.schedulers), (0, 0));
        let mut producer = bus.raw().await;
        producer.say(&request(JOB)).await;
        producer.settle().await;
        let stats = bus.drop().await.broker;
        assert_eq!((stats.jobs, stats.dropped, stats.transmitted), (1, 1, 0));
    });
}

#[test]
fn a_role_ends_by_an_orderly_close_too() {
    run(async {
        let bus = Bus::start().await;
        let scheduler = bus.connected(Role::Scheduler).await;
        let stats = scheduler.close().await;
        assert_eq!(stats.connections, 1);
        let stats = bus.until(|now| now.clients == 0).await;
        assert_eq!((stats.schedulers, stats.violations), (0, 0));
        bus.drop().await;
    });
}
