//! What the page shows is what the bus says.

use sched_tests::browser::in_a_browser;
use sched_tests::bus::peer::Peer;

use crate::scene::{Hands, open, patient_bus, shows_the_snapshot, submit};

#[test]
fn figures_and_queue_equal_the_snapshot_before_and_after_events() {
    in_a_browser(async |tab| {
        let bus = patient_bus().await;
        let mut producer = Peer::producer(&bus).await;
        let mut hands = Hands::called(&bus, "g1", 2).await;
        for priority in [5, 6, 7, 7, 9] {
            producer.submits(priority).await;
        }
        let (one, two) = (hands.starts().await, hands.starts().await);
        hands.ends(&one, "finished", r#","code":0,"ran_ms":4000"#).await;
        let three = hands.starts().await;

        // From the snapshot with which it begins,
        open(tab, &bus).await;
        shows_the_snapshot(tab, &bus).await;

        // and from events: one evicts, one fails for good, one is cancelled.
        let fails =
            submit(&mut producer, r#"{"priority":0,"runtime":1}"#, r#"{"max_attempts":1}"#).await;
        assert_eq!(hands.evicts(&three, 1000).await, fails);
        hands.ends(&fails, "failed", r#","code":3,"ran_ms":500"#).await;
        hands.starts().await;
        hands.ends(&two, "finished", r#","code":0,"ran_ms":500"#).await;
        hands.starts().await;
        let gone = producer.submits(8).await;
        producer.ask(&format!(r#"{{"cmd":"cancel","id":2,"job":"{gone}"}}"#), "ok").await;
        shows_the_snapshot(tab, &bus).await;
        let stats = bus.stats().await;
        assert_eq!((stats.exchange.evictions, stats.exchange.failed), (1, 1));
        assert_eq!(stats.exchange.finished, 2);
        bus
    });
}
