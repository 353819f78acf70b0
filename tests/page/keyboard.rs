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
        bus
    });
}

#[test]
fn pause_is_asked_before_it_is_done_and_resume_undoes_it() {
    in_a_browser(async |tab| {
        let bus = patient_bus().await;
        let _hands = Hands::called(&bus, "g1", 1).await;
        let mut producer = Peer::producer(&bus).await;
        producer.submits(5).await;
        let waits = producer.submits(5).await;
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
        let why = format!("document.querySelector('#queue [data-job=\"{waits}\"]')?.dataset.why");
        tab.until(&format!("{why} === 'the bus is paused'")).await;
        tab_to(tab, "header button[data-action=resume]").await;
        tab.press(Key::Enter).await;
        tab_to(tab, "dialog[open] [data-answer=yes]").await;
        tab.press(Key::Enter).await;
        tab.until("document.querySelector('#mode').dataset.mode === 'accepting'").await;
        assert_eq!(snapshot(&bus).await["mode"], "accepting");
        bus
    });
}

#[test]
fn a_run_is_found_in_the_picture_of_the_slots_and_opened() {
    in_a_browser(async |tab| {
        let bus = patient_bus().await;
        let mut producer = Peer::producer(&bus).await;
        let mut hands = Hands::called(&bus, "g1", 2).await;
        let (one, two) = (producer.submits(5).await, producer.submits(5).await);
        hands.starts().await;
        hands.starts().await;
        open(tab, &bus).await;
        until_figure(tab, "running", 2).await;
        tab.until("document.querySelectorAll('#slots-table tbody tr').length === 2").await;
        tab_to(tab, "#slots").await;
        for (key, job) in [(Key::ArrowDown, &one), (Key::ArrowDown, &two)] {
            tab.press(key).await;
            tab.until(&format!(
                "document.querySelector('#slots-said').textContent.startsWith('{job},')"
            ))
            .await;
        }
        tab.press(Key::Enter).await;
        tab.until("document.querySelector('dialog#job').open").await;
        let opened = tab.text("document.querySelector('dialog#job h2').textContent").await;
        assert_eq!(opened, two);
        tab.press(Key::Escape).await;
        tab.until("document.activeElement.matches('#slots')").await;
        bus
    });
}

#[test]
fn the_events_are_filtered_by_what_is_typed() {
    in_a_browser(async |tab| {
        let bus = patient_bus().await;
        let mut producer = Peer::producer(&bus).await;
        let mut hands = Hands::called(&bus, "g1", 1).await;
        for _ in 0..3 {
            producer.submits(5).await;
        }
        let one = hands.starts().await;
        hands.ends(&one, "finished", r#","code":0,"ran_ms":30"#).await;
        open(tab, &bus).await;
        until_figure(tab, "finished", 1).await;
        let shown = "[...document.querySelectorAll('#log [data-job]')].filter(it => !it.hidden)";
        tab.until(&format!("{shown}.length >= 7")).await;
        tab_to(tab, "#log-filter").await;
        tab.types("finished").await;
        tab.until(&format!("{shown}.length === 1 && {shown}[0].dataset.job === '{one}'")).await;
        let later = producer.submits(5).await;
        until_figure(tab, "pending", 2).await;
        assert!(tab.is(&format!("{shown}.length === 1")).await, "what does not match is not added");
        tab.value("document.querySelector('#log-filter').select()").await;
        tab.types(&later).await;
        tab.until(&format!(
            "{shown}.length > 0 && {shown}.every(it => it.dataset.job === '{later}')"
        ))
        .await;
        bus
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
        bus
    });
}
