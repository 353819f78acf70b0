//! Who wants less motion gets none.

use sched_tests::browser::in_a_browser;
use sched_tests::bus::peer::Peer;

use crate::motley::Motley;
use crate::scene::{open, shows_the_snapshot};

/// Elements that would move by themselves.
const MOVING: &str = "[...document.querySelectorAll('*')].filter(it => {
    const style = getComputedStyle(it);
    const lasts = times => times.split(',').some(time => parseFloat(time) > 0.01);
    return lasts(style.transitionDuration)
        || style.animationName !== 'none' && lasts(style.animationDuration)
        || style.scrollBehavior === 'smooth';
}).map(it => it.outerHTML.slice(0, 80))";

#[test]
fn nothing_moves_where_reduced_motion_is_asked_for() {
    in_a_browser(async |tab| {
        let mut motley = Motley::new().await;
        tab.prefers("reduced-motion", "reduce").await;
        open(tab, &motley.bus).await;
        shows_the_snapshot(tab, &motley.bus).await;
        assert_eq!(tab.value(MOVING).await, serde_json::json!([]));
        Peer::submits(&mut motley.producer, 1).await;
        shows_the_snapshot(tab, &motley.bus).await;
        let row = format!("document.querySelector('#queue [data-job=\"{}\"]')", motley.victim);
        tab.value(&format!("{row}.click()")).await;
        tab.until("document.querySelector('dialog#job').open").await;
        assert_eq!(tab.value(MOVING).await, serde_json::json!([]));
        let animations = "document.getAnimations().filter(it => it.playState === 'running').length";
        assert_eq!(tab.number(animations).await, 0.0);
        motley
    });
}
