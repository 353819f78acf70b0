//! axe-core finds nothing that keeps anybody out.

use sched_tests::browser::{Key, Tab, in_a_browser};
use sched_tests::missing::skip;

use crate::motley::Motley;
use crate::scene::{open, shows_the_snapshot};

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/page/node_modules/axe-core/axe.min.js");

/// What axe-core objects to, a line each: the rule and the elements.
const OBJECTIONS: &str = "axe.run({ preload: false }).then(({ violations, passes }) =>
    !passes.some(({ id }) => id === 'color-contrast') ? ['it has not looked at it'] : violations.map(({ id, help, nodes }) =>
        [id, help, ...nodes.map(node => node.html.slice(0, 150) + ' ' + node.failureSummary)].join('\\n  ')))";

async fn finds_nothing(tab: &mut Tab, what: &str) {
    // What fades in has its colours only at the end.
    tab.value("Promise.allSettled(document.getAnimations().map(it => it.finished)).then(() => 1)")
        .await;
    let objections = tab.value(OBJECTIONS).await;
    let objections: Vec<String> = serde_json::from_value(objections).unwrap();
    assert!(objections.is_empty(), "{what}:\n{}", objections.join("\n"));
}

fn source() -> Option<String> {
    std::fs::read_to_string(SOURCE).ok()
}

#[test]
fn axe_finds_no_violation() {
    let Some(source) = source() else {
        return skip("no axe-core is installed (npm ci --prefix tests/page)");
    };
    in_a_browser(async |tab| {
        let motley = Motley::new().await;
        for (scheme, width) in [("light", 1280), ("dark", 1280), ("light", 320), ("dark", 320)] {
            let what = format!("{scheme}, {width} px");
            tab.size(width, 800).await;
            tab.prefers("color-scheme", scheme).await;
            open(tab, &motley.bus).await;
            shows_the_snapshot(tab, &motley.bus).await;
            tab.value(&format!("{source};1")).await;
            finds_nothing(tab, &what).await;
            tab.value("document.querySelector('header [data-action=pause]').click()").await;
            tab.until("document.querySelector('dialog#ask').open").await;
            finds_nothing(tab, &format!("{what}, asked whether to pause")).await;
            tab.press(Key::Escape).await;
            tab.value("document.querySelector('#slots-as-table').click()").await;
            finds_nothing(tab, &format!("{what}, with the slots as a table")).await;
            let row = format!("document.querySelector('#queue [data-job=\"{}\"]')", motley.victim);
            tab.value(&format!("{row}.click()")).await;
            tab.until("document.querySelector('dialog#job').open").await;
            finds_nothing(tab, &format!("{what}, with a job opened")).await;
            tab.press(Key::Escape).await;
        }
        motley
    });
}

#[test]
fn axe_does_object_to_what_is_wrong() {
    let Some(source) = source() else {
        return skip("no axe-core is installed (npm ci --prefix tests/page)");
    };
    in_a_browser(async |tab| {
        let motley = Motley::new().await;
        open(tab, &motley.bus).await;
        tab.value(&format!("{source};1")).await;
        tab.value("document.body.append(document.createElement('button'))").await;
        let objections = tab.value(OBJECTIONS).await.to_string();
        assert!(objections.contains("button-name"), "{objections}");
        motley
    });
}
