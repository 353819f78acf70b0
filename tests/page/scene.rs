//! A bus, a scheduler that does as it is told, and what the page shows of them.

use std::collections::BTreeMap;
use std::time::Duration;

use sched_runtime_smol::bus::BusConfig;
use sched_tests::browser::Tab;
use sched_tests::bus::Bus;
use sched_tests::bus::peer::{Peer, text};
use serde_json::Value;

/// A bus whose clients may think for as long as the browser takes.
pub(crate) async fn patient_bus() -> Bus {
    Bus::with(patient).await
}

pub(crate) fn patient(config: &mut BusConfig) {
    const HOUR: Duration = Duration::from_secs(3600);
    (config.lease, config.beat, config.ping_after) = (HOUR, HOUR, HOUR);
}

/// A scheduler that starts and ends nothing but in its reports.
pub(crate) struct Hands {
    pub(crate) peer: Peer,
    held: BTreeMap<String, (Value, usize)>,
}

impl Hands {
    pub(crate) async fn called(bus: &Bus, name: &str, slots: u32) -> Self {
        let fields = serde_json::json!(name);
        let fields = format!(r#""type":"scheduler","name":{fields},"slots":{slots}"#);
        let mut peer = Peer::register(bus, &fields).await;
        peer.ask(r#"{"cmd":"beat","leases":[],"floor":99}"#, "beat").await;
        Self { peer, held: BTreeMap::new() }
    }

    /// Takes the next job that is assigned, without starting it.
    pub(crate) async fn takes(&mut self) -> String {
        let assignment = self.peer.hears("assign").await;
        let job = text(&assignment, "job").to_owned();
        let taken = |slot: &usize| self.held.values().all(|(_, held)| held != slot);
        let slot = (0..).find(taken).unwrap();
        self.held.insert(job.clone(), (assignment, slot));
        job
    }

    /// Takes the next job, and starts it.
    pub(crate) async fn starts(&mut self) -> String {
        let job = self.takes().await;
        self.reports(&job, "started", "").await;
        job
    }

    /// Takes the next job, for which this one is evicted after so long.
    pub(crate) async fn evicts(&mut self, victim: &str, ran_ms: u64) -> String {
        let job = self.takes().await;
        let fields = format!(r#","by":"{job}","ran_ms":{ran_ms},"signal":15"#);
        self.ends(victim, "evicted", &fields).await;
        self.held.get_mut(&job).unwrap().1 -= 1;
        self.reports(&job, "started", "").await;
        job
    }

    pub(crate) async fn ends(&mut self, job: &str, state: &str, fields: &str) {
        self.reports(job, state, fields).await;
        self.held.remove(job);
    }

    async fn reports(&mut self, job: &str, state: &str, fields: &str) {
        let (assignment, slot) = &self.held[job];
        let lease = &assignment["lease"];
        let report = format!(
            r#"{{"cmd":"report","id":"r","job":"{job}","lease":{lease},"state":"{state}","slot":{slot}{fields}}}"#
        );
        self.peer.ask(&report, "ok").await;
    }
}

/// Submits a job of this payload and with these options.
pub(crate) async fn submit(producer: &mut Peer, payload: &str, opts: &str) -> String {
    let request = format!(r#"{{"cmd":"submit","id":1,"payload":{payload},"opts":{opts}}}"#);
    text(&producer.ask(&request, "accepted").await, "job").to_owned()
}

/// What the bus says itself, to a client of ours.
pub(crate) async fn snapshot(bus: &Bus) -> Value {
    let mut observer = Peer::register(bus, r#""type":"observer""#).await;
    let all = r#"{"cmd":"subscribe","id":0,"jobs":"all","view":{"from":0,"rows":10000}}"#;
    observer.ask(all, "snapshot").await
}

/// A figure of the page.
pub(crate) async fn figure(tab: &mut Tab, name: &str) -> f64 {
    tab.number(&format!("Number(document.querySelector('[data-figure=\"{name}\"]').dataset.value)"))
        .await
}

/// Waits until a figure of the page is this.
pub(crate) async fn until_figure(tab: &mut Tab, name: &str, value: u64) {
    let figure = format!("document.querySelector('[data-figure=\"{name}\"]')");
    tab.until(&format!("{figure}?.dataset.value === '{value}'")).await;
}

/// Opens the page, and waits until it is connected and shows something.
pub(crate) async fn open(tab: &mut Tab, bus: &Bus) {
    tab.visit(bus.address, "").await;
    tab.until("document.body.dataset.state === 'connected'").await;
}

/// Waits until the page shows what the bus says now, and compares every figure
/// and every row. Nothing may happen meanwhile.
pub(crate) async fn shows_the_snapshot(tab: &mut Tab, bus: &Bus) {
    let snapshot = snapshot(bus).await;
    let counters = &snapshot["counters"];
    let count = |name: &str| counters[name].as_u64().unwrap();
    until_figure(tab, "finished", count("finished")).await;
    for (figure, counter) in [
        ("pending", "pending"),
        ("running", "running"),
        ("slots", "slots"),
        ("finished", "finished"),
        ("failed", "failed"),
        ("evicted", "evictions"),
    ] {
        until_figure(tab, figure, count(counter)).await;
    }
    let (useful, wasted) = (count("useful_ms") as f64, count("wasted_ms") as f64);
    let share = if wasted > 0.0 { 100.0 * wasted / (useful + wasted) } else { 0.0 };
    let shown = figure(tab, "wasted").await;
    assert!((shown - share).abs() <= 0.5, "{shown} % wasted are shown, of {counters}");
    for (name, field) in [("wait-p50", "p50"), ("wait-p99", "p99")] {
        let Some(told) = snapshot["wait_ms"][field].as_u64() else { continue };
        until_figure(tab, name, told).await;
    }
    // Those come first for which a slot is reserved.
    let rows = |name: &str| snapshot[name].as_array().unwrap();
    let reserved = rows("running").iter().filter(|row| row["state"] == "assigned");
    let first: Vec<_> = reserved.chain(rows("pending")).take(5).collect();
    let order: Vec<&str> = first.iter().map(|row| text(row, "job")).collect();
    assert_eq!(first_in_queue(tab, order.len()).await, order);
    if let Some(next) = first.first() {
        let why = tab.text("document.querySelector('#queue [data-job]').dataset.why").await;
        assert_eq!(why, text(next, "why"), "{next}");
    }
}

/// The jobs in the first rows of the queue.
pub(crate) async fn first_in_queue(tab: &mut Tab, count: usize) -> Vec<String> {
    let rows = tab
        .value("[...document.querySelectorAll('#queue [data-job]')].map(row => row.dataset.job)")
        .await;
    let rows: Vec<String> = serde_json::from_value(rows).unwrap();
    rows.into_iter().take(count).collect()
}
