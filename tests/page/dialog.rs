//! The job that is shown is the job that is acted upon.

use sched_tests::browser::in_a_browser;
use sched_tests::bus::peer::Peer;

use crate::scene::{open, patient_bus, snapshot, until_figure};

#[test]
fn a_job_that_is_opened_while_another_closes_is_the_one_that_is_cancelled() {
    in_a_browser(async |tab| {
        let bus = patient_bus().await;
        let mut producer = Peer::producer(&bus).await;
        let (one, two) = (producer.submits(1).await, producer.submits(2).await);
        open(tab, &bus).await;
        until_figure(tab, "pending", 2).await;
        let click = |job| format!("document.querySelector('#queue [data-job=\"{job}\"]').click()");
        tab.value(&click(&one)).await;
        tab.until("document.querySelector('dialog#job').open").await;

        // A dialog tells that it was closed only afterwards.
        let both = format!("document.querySelector('dialog#job').close(); {}", click(&two));
        tab.value(&both).await;
        tab.value("new Promise(resolve => setTimeout(resolve))").await;
        assert_eq!(tab.text("document.querySelector('dialog#job h2').textContent").await, two);
        tab.value("document.querySelector('dialog#job [data-action=cancel]').click()").await;
        bus.until(|now| now.exchange.cancelled == 1).await;
        until_figure(tab, "pending", 1).await;
        assert_eq!(snapshot(&bus).await["pending"][0]["job"], one);
        bus
    });
}
