//! A job goes to every scheduler, as it came, and not back.

use sched_core::Priority;
use sched_core::bus::{Role, TestJob};
use std::time::Duration;

use crate::support::{Bus, JOB, request, run};

#[test]
fn every_scheduler_gets_every_job_in_order() {
    run(async {
        let bus = Bus::start().await;
        let producer = bus.connected(Role::Producer).await;
        let mut schedulers = Vec::new();
        for _ in 0..5 {
            schedulers.push(bus.connected(Role::Scheduler).await);
        }
        let job = |n| TestJob { priority: Priority::new(n), runtime: Duration::from_millis(1500) };
        for n in 0..100 {
            producer.send_job(&job(n)).await.unwrap();
        }
        for scheduler in &schedulers {
            for n in 0..100 {
                let payload = scheduler.next_payload().await.unwrap();
                assert_eq!(payload.as_str(), format!(r#"{{"priority":{n},"runtime":1.5}}"#));
                assert_eq!(TestJob::from_payload(&payload), Ok(job(n)));
            }
        }
        let accepted = producer.close().await;
        assert_eq!((accepted.accepted, accepted.unsent, accepted.discarded), (100, 0, 0));
        let stats = bus.drop().await;
        assert_eq!((stats.broker.jobs, stats.broker.transmitted), (100, 500));
        assert_eq!((stats.broker.faults, stats.broker.dropped), (0, 0));
    });
}

#[test]
fn f17_a_payload_is_passed_on_byte_for_byte() {
    run(async {
        let bus = Bus::start().await;
        let scheduler = bus.connected(Role::Scheduler).await;
        let mut producer = bus.raw().await;
        let long =
            format!("{{\"priority\": 1, \"runtime\": 2, \"pad\": \"{}\"}}", "é".repeat(9000));
        let payloads = [
            "{ \"runtime\" : 1.50,\r\n\t\"priority\":3 ,\"seed\":123456789012345678901234567890 }",
            "{\"z\":1,\"a\":\"\\u00e9\\ud83d\\ude00 😀\",\"priority\":0.0,\"runtime\":1E2}",
            &long,
            "null",
            "\"text\"",
        ];
        for payload in payloads {
            producer.say(&format!(" {{ \"payload\" : {payload} , \"cmd\":\"job_request\"}}")).await;
            assert_eq!(scheduler.next_payload().await.unwrap().as_str(), payload);
        }
        bus.drop().await;
    });
}

#[test]
fn a_job_does_not_come_back_to_the_socket_that_sent_it() {
    run(async {
        let bus = Bus::start().await;
        let mut both = bus.raw_scheduler().await;
        let mut other = bus.raw_scheduler().await;
        both.say(&request(r#"{"priority":1,"runtime":1}"#)).await;
        both.settle().await;
        other.say(&request(JOB)).await;
        assert_eq!(both.text().await, JOB, "its own job did not come before");
        assert_eq!(other.text().await, r#"{"priority":1,"runtime":1}"#);
        bus.drop().await;
    });
}

#[test]
fn a_producer_is_sent_nothing() {
    run(async {
        let bus = Bus::start().await;
        let mut producer = bus.raw().await;
        producer.say(r#"{"cmd":"register","type":"producer"}"#).await;
        let scheduler = bus.connected(Role::Scheduler).await;
        let mut other = bus.raw().await;
        for _ in 0..10 {
            producer.say(&request(JOB)).await;
            other.say(&request(JOB)).await;
            producer.say("nonsense").await;
        }
        for _ in 0..20 {
            assert_eq!(scheduler.next_payload().await.unwrap().as_str(), JOB);
        }
        bus.shutdown();
        let (close, texts) = producer.closed().await;
        assert_eq!((close.map(|close| u16::from(close.0)), texts), (Some(1001), 0));
        bus.drop().await;
    });
}
