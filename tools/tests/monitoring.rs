//! What is in `tools/monitoring` speaks of the metrics that a bus has.

#![expect(clippy::unwrap_used, reason = "this is how a test fails")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::Value;
use support::directory::Directory;
use support::{BUS, Program, SCHED, http, submit};

fn file(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("monitoring").join(name)).unwrap()
}

/// The text of `/metrics` of a bus with a disk on which a job has finished.
fn scrape(test: &str) -> String {
    let directory = Directory::new(&format!("monitoring-{test}"));
    let data = directory.path("data");
    let mut bus = Program::start(BUS, &["--listen", "127.0.0.1:0", "--data", &data]);
    let url = bus.url();
    let mut scheduler = Program::start(SCHED, &["scheduler", "--bus", &url, "-s", "1"]);
    scheduler.logs("speaks version 1");
    submit(&url, &["--wait", "--runtime", "0"]);
    http::get(url.trim_start_matches("ws://"), "/metrics").body
}

/// The words of a text that could be names of metrics.
fn names(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("sched_")).collect()
}

#[test]
fn every_name_in_the_dashboard_is_one_that_a_bus_tells() {
    let scrape = scrape("dashboard");
    let samples: BTreeSet<&str> =
        scrape.lines().filter(|line| !line.starts_with('#')).flat_map(|line| names(line)).collect();
    let dashboard: Value = serde_json::from_str(&file("grafana-dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    let queries: Vec<&str> = targets.map(|target| target["expr"].as_str().unwrap()).collect();
    let mut used = BTreeSet::new();
    for query in &queries {
        let of_it = names(query);
        assert!(!of_it.is_empty(), "{query}");
        for name in &of_it {
            assert!(samples.contains(name), "{name} is in no sample of\n{scrape}");
            // A counter that is shown as it is tells how long the bus has lived.
            let counts = name.ends_with("_total") || name.ends_with("_bucket");
            assert_eq!(counts, query.contains(&format!("rate({name}")), "{name} in {query}");
        }
        used.extend(of_it);
        assert_eq!(query.matches('(').count(), query.matches(')').count(), "{query}");
        assert_eq!(query.matches("sched_").count(), query.matches("$instance").count(), "{query}");
    }
    for metric in ["sched_jobs_pending", "sched_slots", "sched_evictions_total"] {
        assert!(used.contains(metric), "{metric}");
    }
}

#[test]
fn the_dashboard_has_what_grafana_needs_to_import_it() {
    let dashboard: Value = serde_json::from_str(&file("grafana-dashboard.json")).unwrap();
    assert!(dashboard["schemaVersion"].as_u64() >= Some(36));
    assert!(dashboard["uid"].is_string() && dashboard["title"].is_string());
    // The database's own number: one of another Grafana would overwrite.
    assert!(dashboard.get("id").is_none_or(Value::is_null));
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let variable = |name: &str| variables.iter().find(|it| it["name"] == name).unwrap();
    assert_eq!(variable("datasource")["type"], "datasource");
    assert_eq!(variable("datasource")["query"], "prometheus");
    assert_eq!(variable("instance")["type"], "query");
    let (mut ids, mut cells) = (BTreeSet::new(), BTreeMap::new());
    for panel in dashboard["panels"].as_array().unwrap() {
        let title = panel["title"].as_str().unwrap();
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}: its id is another's");
        assert!(["stat", "timeseries"].contains(&panel["type"].as_str().unwrap()), "{title}");
        assert!(panel["fieldConfig"]["defaults"]["unit"].is_string(), "{title}");
        let mut refs = BTreeSet::new();
        for it in panel["targets"].as_array().unwrap().iter().chain([panel]) {
            assert_eq!(it["datasource"]["uid"], "${datasource}", "{title}");
            assert!(refs.insert(it["refId"].as_str()), "{title}");
        }
        let at = |side: &str| panel["gridPos"][side].as_u64().unwrap();
        assert!(at("x") + at("w") <= 24, "{title}");
        for x in at("x")..at("x") + at("w") {
            for y in at("y")..at("y") + at("h") {
                assert_eq!(cells.insert((x, y), title), None, "{title} covers another");
            }
        }
    }
}

#[test]
fn the_table_names_every_metric_and_its_kind() {
    let scrape = scrape("table");
    let told: BTreeMap<String, &str> = scrape
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .map(|(name, kind)| match kind {
            "counter" => (format!("{name}_total"), kind),
            _ => (name.to_owned(), kind),
        })
        .collect();
    let page = file("README.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `sched_"));
    let listed: BTreeMap<String, &str> = rows
        .map(|row| {
            let mut cells = row.split(" | ");
            let name = cells.next().unwrap().trim_end_matches('`');
            let name = name.split('{').next().unwrap();
            (format!("sched_{name}"), cells.next().unwrap())
        })
        .collect();
    assert_eq!(told, listed);
}
