//! What comes from outside is shown, and is never HTML.

use sched_tests::browser::in_a_browser;

use crate::motley::{Motley, NAMES};
use crate::scene::{open, shows_the_snapshot, submit};

#[test]
fn names_outputs_and_reasons_stay_text() {
    in_a_browser(async |tab| {
        let mut motley = Motley::new().await;
        open(tab, &motley.bus).await;
        shows_the_snapshot(tab, &motley.bus).await;
        // Once from the snapshot, once from an event.
        let payload = serde_json::json!({"priority": 9, "name": NAMES[0]}).to_string();
        let named = submit(&mut motley.producer, &payload, "{}").await;
        for (job, words) in [(&named, NAMES[0]), (&motley.victim, NAMES[1])] {
            let row = format!("document.querySelector('#queue [data-job=\"{job}\"]')");
            let words = serde_json::json!(words);
            tab.until(&format!("{row}?.textContent.includes({words})")).await;
        }
        let name = serde_json::json!(NAMES[1]);
        tab.until(&format!("document.querySelector('#slots-table').textContent.includes({name})"))
            .await;

        // The job that failed has words in its history.
        let failed = "[...document.querySelectorAll('#log [data-job]')]\
            .find(row => row.textContent.includes('failed'))";
        tab.until(&format!("{failed} !== undefined")).await;
        tab.value(&format!("{failed}.click()")).await;
        tab.until("document.querySelector('dialog#job').open").await;
        for words in &NAMES[..2] {
            let words = serde_json::json!(words);
            let history = "document.querySelector('dialog#job .history').textContent";
            tab.until(&format!("{history}.includes({words})")).await;
        }
        assert!(tab.is("window.harmed === undefined").await);
        let strange =
            "document.querySelectorAll('body script, img, [onerror], [onmouseover]').length";
        let own = "document.querySelectorAll('body script[src]').length";
        assert_eq!(tab.number(strange).await, tab.number(own).await);
        motley
    });
}
