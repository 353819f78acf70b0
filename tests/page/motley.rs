//! A page on which there is something of everything.

use sched_tests::bus::Bus;
use sched_tests::bus::peer::Peer;

use crate::scene::{Hands, patient_bus, submit};

/// A name that would do harm if a page took it for HTML.
pub(crate) const NAMES: [&str; 3] = [
    "<script>window.harmed = 1</script>",
    "<img src=x onerror='window.harmed = 2'>",
    "\"><b onmouseover=window.harmed=3>&amp;</b>",
];

/// A bus with jobs that run, wait, were evicted, have failed and were cancelled,
/// of schedulers and jobs with such names; whoever has them must be kept.
pub(crate) struct Motley {
    pub(crate) bus: Bus,
    pub(crate) producer: Peer,
    /// A job that waits, and has been evicted.
    pub(crate) victim: String,
    _hands: [Hands; 2],
}

impl Motley {
    pub(crate) async fn new() -> Self {
        let bus = patient_bus().await;
        let mut producer = Peer::producer(&bus).await;
        let mut one = Hands::called(&bus, NAMES[1], 2).await;
        let mut named = Vec::new();
        for (name, priority) in NAMES.iter().zip([8, 8, 4]) {
            let payload = serde_json::json!({"priority": priority, "runtime": 1, "name": name});
            named.push(submit(&mut producer, &payload.to_string(), r#"{"max_attempts":1}"#).await);
            if named.len() < 3 {
                one.starts().await;
            }
        }
        let victim = named[1].clone();
        let evictor = one.evicts(&victim, 900).await;
        let mut words = serde_json::json!({"reason": NAMES[0], "output": NAMES[1]}).to_string();
        words.replace_range(..1, r#","code":1,"ran_ms":700,"#);
        words.pop();
        one.ends(&evictor, "failed", &words).await;
        assert_eq!(one.starts().await, victim);
        let urgent = producer.submits(1).await;
        assert_eq!(one.evicts(&victim, 300).await, urgent);
        let mut two =
            Hands::called(&bus, "a-scheduler-with-a-name-that-is-rather-long-for-320px", 1).await;
        assert_eq!(two.starts().await, victim);
        producer.submits(0).await;
        two.evicts(&victim, 200).await;
        let long = format!(
            r#"{{"priority":9,"command":["/usr/bin/{}","--option","value"]}}"#,
            "reduce".repeat(16)
        );
        submit(&mut producer, &long, "{}").await;
        let gone = producer.submits(9).await;
        producer.ask(&format!(r#"{{"cmd":"cancel","id":2,"job":"{gone}"}}"#), "ok").await;
        Self { bus, producer, victim, _hands: [one, two] }
    }
}
