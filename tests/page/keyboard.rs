//! Everything can be done without a mouse.

use sched_tests::browser::{Key, Tab, in_a_browser};
use sched_tests::bus::peer::Peer;

use crate::scene::{Hands, open, patient_bus, snapshot, until_figure};

/// Presses Tab until the focus is on what this selector names.
async fn tab_to(tab: &mut Tab, selector: &str) {
    let mut passed = Vec::new();
    while !tab.is(&format!("document.activeElement.matches('{selector}')")).await {
        tab.press(Key::Tab).await;
        passed.push(tab.text("document.activeElement.outerHTML.slice(0, 60)").await);
        assert!(passed.len() < 200, "{selector} is not reached: {passed:#?}");
    }
    let shown = tab.is("document.activeElement.matches(':focus-visible')").await;
    assert!(shown, "one sees that {selector} has the focus");
}

#[test]
fn a_job_of_the_queue_is_opened_and_left_and_cancelled() {
    in_a_browser(async |tab| {
        let bus = patient_bus().await;
        let mut producer = Peer::producer(&bus).await;
        let (next, later) = (producer.submits(1).await, producer.submits(2).await);
        open(tab, &bus).await;
        until_figure(tab, "pending", 2).await;
        let row = format!("#queue [data-job=\"{next}\"], #queue [data-job=\"{next}\"] *");
        tab_to(tab, &row).await;
        tab.press(Key::Enter).await;
        tab.until("document.querySelector('dialog#job')?.open").await;
        let state =
            |name| format!("document.querySelector('dialog#job .history [data-state={name}]')");
        tab.until(&state("pending")).await;
        let heads = tab.text("document.querySelector('dialog#job').textContent").await;
        assert!(heads.contains(&next), "{heads}");
        assert!(
            tab.is("document.querySelector('dialog#job').contains(document.activeElement)").await
        );

        tab.press(Key::Escape).await;
        tab.until("!document.querySelector('dialog#job').open").await;
        tab.until(&format!("document.activeElement.matches('{row}')")).await;

        tab.press(Key::Enter).await;
        tab.until("document.querySelector('dialog#job').open").await;
        tab_to(tab, "dialog#job button[data-action=cancel]").await;
        tab.press(Key::Enter).await;
        bus.until(|now| now.exchange.cancelled == 1).await;
        tab.until(&state("cancelled")).await;
        tab.press(Key::Escape).await;
        tab.until("!document.querySelector('dialog#job').open").await;
        tab.until(&format!("!document.querySelector('#queue [data-job=\"{next}\"]')")).await;
        until_figure(tab, "pending", 1).await;
        assert_eq!(snapshot(&bus).await["pending"][0]["job"], later);
        bus.drop().await;
    });
}

#[test]
fn pause_is_asked_before_it_is_done_and_resume_undoes_it() {
    in_a_browser(async |tab| {
        let bus = patient_bus().await;
        let _hands = Hands::called(&bus, "g1", 1).await;
        open(tab, &bus).await;
        let asked = "[...document.querySelectorAll('dialog[open]')].length";
        for (answer, mode) in [(Key::Escape, "accepting"), (Key::Enter, "paused")] {
            tab_to(tab, "header button[data-action=pause]").await;
            tab.press(Key::Enter).await;
            tab.until(&format!("{asked} === 1")).await;
            assert_eq!(snapshot(&bus).await["mode"], "accepting", "nothing is done yet");
            if answer == Key::Enter {
                tab_to(tab, "dialog[open] [data-answer=yes]").await;
            }
            tab.press(answer).await;
            tab.until(&format!("{asked} === 0")).await;
            tab.until(&format!("document.querySelector('#mode').dataset.mode === '{mode}'")).await;
            assert_eq!(snapshot(&bus).await["mode"], mode);
        }
        tab_to(tab, "header button[data-action=resume]").await;
        tab.press(Key::Enter).await;
        tab_to(tab, "dialog[open] [data-answer=yes]").await;
        tab.press(Key::Enter).await;
        tab.until("document.querySelector('#mode').dataset.mode === 'accepting'").await;
        assert_eq!(snapshot(&bus).await["mode"], "accepting");
        bus.drop().await;
    });
}

#[test]
fn a_test_job_is_submitted_with_the_form() {
    in_a_browser(async |tab| {
        let bus = patient_bus().await;
        open(tab, &bus).await;
        tab_to(tab, "form#submit input").await;
        tab.press(Key::Enter).await;
        bus.until(|now| now.exchange.accepted == 1).await;
        until_figure(tab, "pending", 1).await;
        tab.until("document.querySelector('#queue [data-job]')").await;
        bus.drop().await;
    });
}
