//! What a client says wrong harms nobody, not even itself.

use async_tungstenite::tungstenite::{Bytes, Message};
use sched_core::bus::{PayloadError, Role, TestJob};

use crate::support::{Bus, JOB, request, run};

#[test]
fn f8_malformed_messages_are_counted_and_the_connection_stays() {
    run(async {
        let bus = Bus::start().await;
        let scheduler = bus.connected(Role::Scheduler).await;
        let mut producer = bus.raw().await;
        let deep = "[".repeat(200_000);
        let faults = [
            "",
            "nonsense",
            "{",
            "[]",
            "{}",
            "{\"cmd\":\"register\"}",
            "{\"cmd\":\"job_request\"}",
            "{\"cmd\":\"job_request\",\"payload\":{\"priority\":NaN}}",
            &deep,
        ];
        for text in faults {
            producer.say(text).await;
        }
        producer.say(r#"{"cmd":"dance"}"#).await;
        producer.say(r#"{"cmd":"register","type":"observer"}"#).await;
        producer.say(&request(JOB)).await;
        assert_eq!(scheduler.next_payload().await.unwrap().as_str(), JOB);
        let stats = bus.stats().await;
        assert_eq!(stats.broker.faults, faults.len() as u64);
        assert_eq!((stats.broker.ignored, stats.clients), (2, 2));
        bus.drop().await;
    });
}

#[test]
fn f8_a_job_of_no_use_is_passed_on_counted_and_refused_by_its_reader() {
    run(async {
        let bus = Bus::start().await;
        let scheduler = bus.connected(Role::Scheduler).await;
        let mut producer = bus.raw().await;
        let payloads = [
            r#"{"runtime":1}"#,
            r#"{"priority":"high","runtime":1}"#,
            r#"{"priority":-1,"runtime":1}"#,
            r#"{"priority":1,"runtime":1e400}"#,
            r#"{"priority":1,"runtime":-1}"#,
            r#"[1,2]"#,
        ];
        for payload in payloads {
            producer.say(&request(payload)).await;
            let got = scheduler.next_payload().await.unwrap();
            assert_eq!(got.as_str(), payload);
            let error: PayloadError = TestJob::from_payload(&got).unwrap_err();
            assert!(!error.to_string().is_empty());
        }
        assert_eq!(bus.drop().await.broker.faults, payloads.len() as u64);
    });
}

#[test]
fn binary_messages_are_counted_and_ignored() {
    run(async {
        let bus = Bus::start().await;
        let scheduler = bus.connected(Role::Scheduler).await;
        let mut producer = bus.raw().await;
        let bytes = Bytes::from(request(r#"{"priority":9,"runtime":9}"#));
        producer.0.send(Message::Binary(bytes)).await.unwrap();
        producer.0.send(Message::Binary(vec![0xff; 1000].into())).await.unwrap();
        producer.say(&request(JOB)).await;
        assert_eq!(scheduler.next_payload().await.unwrap().as_str(), JOB);
        let stats = bus.drop().await;
        assert_eq!((stats.broker.faults, stats.broker.jobs, stats.violations), (2, 1, 0));
    });
}
