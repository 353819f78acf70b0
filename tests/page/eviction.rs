//! A real process is evicted for another, and everybody can see for whom.

use std::num::NonZeroUsize;
use std::time::Duration;

use futures_lite::future;
use sched_core::{Policy, Priority};
use sched_runtime_smol::Command;
use sched_runtime_smol::bus::{Agent, AgentConfig, Wanted};
use sched_tests::browser::in_a_browser;
use sched_tests::bus::Bus;
use sched_tests::bus::peer::Peer;
use serde_json::Value;

use crate::scene::{open, shows_the_snapshot, until_figure};

/// A scheduler whose jobs are processes: the `command` of a payload, or one that
/// sleeps for its `runtime`.
pub(crate) async fn real_scheduler(bus: &Bus, name: &str, slots: usize) -> Agent {
    let config = AgentConfig {
        bus: format!("ws://{}/", bus.address).parse().unwrap(),
        name: name.to_owned(),
        slots: NonZeroUsize::new(slots).unwrap(),
        policy: Policy { grace: Duration::from_secs(4), ..Policy::durable() },
    };
    let translate = |payload: &str| {
        let payload: Value = serde_json::from_str(payload).map_err(|why| why.to_string())?;
        let priority = payload["priority"].as_i64().and_then(|number| number.try_into().ok());
        let priority = priority.map(Priority::new).ok_or("no priority")?;
        let sleep = ["sleep".to_owned(), payload["runtime"].to_string()];
        let words = serde_json::from_value::<Vec<String>>(payload["command"].clone());
        let words = words.unwrap_or_else(|_| sleep.to_vec());
        let command = Command::new(&words[0]).args(&words[1..]);
        Ok(Wanted { priority, command, time_limit: None })
    };
    let (agent, _story) = Agent::start(config, Box::new(translate)).await.unwrap();
    future::poll_once(agent.serve()).await;
    agent
}

/// How many pixels of the picture of the slots have the colour of an eviction.
const MARKED: &str = "(() => {
    const [picture, copy] = [document.querySelector('#slots canvas'), document.createElement('canvas')];
    [copy.width, copy.height] = [picture.width, picture.height];
    const pen = copy.getContext('2d', { willReadFrequently: true });
    const bad = getComputedStyle(document.documentElement).getPropertyValue('--bad');
    pen.fillStyle = bad;
    pen.fillRect(0, 0, 1, 1);
    const like = pen.getImageData(0, 0, 1, 1).data;
    pen.clearRect(0, 0, 1, 1);
    pen.drawImage(picture, 0, 0);
    const { data } = pen.getImageData(0, 0, copy.width, copy.height);
    let marked = 0;
    for (let at = 0; at < data.length; at += 4) {
        if ([0, 1, 2, 3].every(part => Math.abs(data[at + part] - like[part]) < 16)) marked += 1;
    }
    return marked;
})()";

#[test]
fn an_evicted_run_is_marked_and_names_its_evictor() {
    in_a_browser(async |tab| {
        let bus = Bus::start().await;
        let agent = real_scheduler(&bus, "g1", 1).await;
        let mut producer = Peer::producer(&bus).await;
        open(tab, &bus).await;
        let victim = producer.submits(5).await;
        until_figure(tab, "running", 1).await;
        assert_eq!(tab.number(MARKED).await, 0.0, "nothing is marked yet");
        let evictor = producer.submits(1).await;
        until_figure(tab, "evicted", 1).await;

        let row = format!(
            "[...document.querySelectorAll('#slots-table tbody tr')].some(row => {{
                const cells = [...row.cells].map(cell => cell.textContent.trim());
                return cells.includes('{victim}') && cells.includes('{evictor}')
                    && /evicted/.test(row.textContent);
            }})"
        );
        tab.until(&row).await;
        let marked = tab.number(MARKED).await;
        assert!(marked > 20.0, "the end of the bar and an arrow: {marked} pixels");
        let logged = format!("#log [data-job=\"{victim}\"][data-state=evicted]");
        let words =
            format!("document.querySelector('{logged}')?.textContent.includes('{evictor}')");
        tab.until(&words).await;
        let waits = format!("document.querySelector('#queue [data-job=\"{victim}\"]')");
        tab.until(&waits).await;
        until_figure(tab, "running", 1).await;
        shows_the_snapshot(tab, &bus).await;
        agent.end(future::pending()).await;
        bus
    });
}
