//! A window of 320 px is enough.

use sched_tests::browser::{Tab, in_a_browser};

use crate::motley::Motley;
use crate::scene::{open, shows_the_snapshot};

/// Elements that reach beyond the window and cannot be scrolled into it.
const BEYOND: &str = "[...document.body.querySelectorAll('*')].filter(it => {
    const box = it.getBoundingClientRect();
    if (!box.width || !box.height || box.right <= innerWidth + 1) return false;
    for (let around = it.parentElement; around; around = around.parentElement) {
        const style = getComputedStyle(around);
        if (style.overflowX === 'auto' || style.overflowX === 'scroll') return false;
        if (around.getBoundingClientRect().width <= 1) return false;
        if (around.closest('svg')) return false;
    }
    return it.children.length === 0 && it.textContent.trim() !== '' || it.matches('button, input');
}).map(it => it.outerHTML.slice(0, 80))";

async fn fits(tab: &mut Tab, what: &str) {
    let width = tab.number("document.documentElement.scrollWidth").await;
    let room = tab.number("innerWidth").await;
    assert_eq!(room, 320.0);
    let beyond = tab.value(BEYOND).await;
    assert!(width <= room, "{what}: {width} px wide, because of {beyond:#}");
    assert_eq!(beyond, serde_json::json!([]), "{what}");
}

#[test]
fn nothing_scrolls_sideways_in_light_and_dark() {
    in_a_browser(async |tab| {
        let motley = Motley::new().await;
        tab.size(320, 640).await;
        let mut grounds = Vec::new();
        for scheme in ["light", "dark"] {
            tab.prefers("color-scheme", scheme).await;
            open(tab, &motley.bus).await;
            shows_the_snapshot(tab, &motley.bus).await;
            fits(tab, scheme).await;
            tab.value("document.querySelector('#slots-as-table').click()").await;
            fits(tab, &format!("{scheme}, with the slots as a table")).await;
            let row = format!("document.querySelector('#queue [data-job=\"{}\"]')", motley.victim);
            tab.value(&format!("{row}.click()")).await;
            tab.until("document.querySelector('dialog#job').open").await;
            fits(tab, &format!("{scheme}, with a job opened")).await;
            grounds.push(tab.text("getComputedStyle(document.body).backgroundColor").await);
        }
        assert_ne!(grounds[0], grounds[1], "dark is another picture");
        motley
    });
}
