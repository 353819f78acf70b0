//! `/metrics`, read by Python's parser of OpenMetrics.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use sched_tests::missing::with_python;
use smol::io::AsyncWriteExt;
use smol::process::Command;

use crate::http::{busy, get};
use crate::support::{Bus, JOB, request};
use crate::v1_support::{Directory, Peer};

/// Prints each sample as `name{labels} value`, and fails on a bad text. A unit
/// must be the end of its metric's name, which this parser checks.
const PARSER: &str = r#"
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
for family in text_string_to_metric_families(sys.stdin.read()):
    assert family.documentation, family
    assert family.unit or not family.name.endswith(("_seconds", "_bytes")), family
    for sample in family.samples:
        labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
        print(f"{sample.name}{{{labels}}} {float(sample.value)}")
"#;

/// The samples of a bus, as Python's parser reads them.
struct Samples(BTreeMap<String, f64>);

impl Samples {
    async fn of(bus: &Bus) -> Self {
        let answer = get(bus, "/metrics").await;
        let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        assert_eq!(answer.header("content-type"), Some(kind));
        assert!(answer.body.ends_with("\n# EOF\n"), "{}", answer.body);
        let samples = parsed(&answer.body).await;
        let sample = |line: &str| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            (name.to_owned(), value.parse().unwrap())
        };
        Self(samples.lines().map(sample).collect())
    }

    /// Every one of these is there, with this value.
    fn are(&self, expected: &[(&str, f64)]) {
        for (name, value) in expected {
            let name = if name.contains('{') { (*name).to_owned() } else { format!("{name}{{}}") };
            let found = self.0.get(&format!("sched_{name}"));
            assert_eq!(found, Some(value), "{name} in {:#?}", self.0);
        }
    }

    /// Those of a name that starts so.
    fn starting(&self, with: &str) -> Vec<(&str, f64)> {
        let of_it = self.0.iter().filter(|(name, _)| name.starts_with(with));
        of_it.map(|(name, value)| (&**name, *value)).collect()
    }
}

async fn parsed(text: &str) -> String {
    let mut python = Command::new("python3")
        .args(["-c", PARSER])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = python.stdin.take().unwrap();
    stdin.write_all(text.as_bytes()).await.unwrap();
    drop(stdin);
    let output = python.output().await.unwrap();
    assert!(output.status.success(), "{text}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_figures_of_the_queue_are_those_of_what_has_happened() {
    with_python("prometheus_client", async {
        let bus = Bus::start().await;
        let (mut producer, mut scheduler) =
            (Peer::producer(&bus).await, Peer::scheduler(&bus, 1).await);
        producer.submits(1).await;
        let first = scheduler.hears("assign").await;
        scheduler.reports(&first, "started").await;
        scheduler.reports(&first, "finished").await;
        producer.submits(2).await;
        let victim = scheduler.hears("assign").await;
        scheduler.reports(&victim, "started").await;
        producer.submits(3).await;
        producer.submits(0).await;
        let urgent = scheduler.hears("assign").await;
        let (job, lease, by) = (&victim["job"], &victim["lease"], &urgent["job"]);
        scheduler
            .say(&format!(
                r#"{{"cmd":"report","id":"e","job":{job},"lease":{lease},"by":{by},"state":"evicted","signal":15,"ran_ms":1500}}"#
            ))
            .await;
        scheduler.reports(&urgent, "started").await;
        for priority in [3, 9, 10, 42, 999, 1000, 7_000_000] {
            producer.submits(priority).await;
        }
        scheduler.reports(&urgent, "spoilt").await;
        scheduler.hears("error").await;
        Samples::of(&bus).await.are(&[
            ("jobs_pending{priority=negative}", 0.0),
            ("jobs_pending{priority=0}", 0.0),
            ("jobs_pending{priority=2}", 1.0),
            ("jobs_pending{priority=3}", 2.0),
            ("jobs_pending{priority=9}", 1.0),
            ("jobs_pending{priority=10-99}", 2.0),
            ("jobs_pending{priority=100-999}", 1.0),
            ("jobs_pending{priority=1000+}", 2.0),
            ("jobs_running", 1.0),
            ("slots", 1.0),
            ("jobs_accepted_total", 11.0),
            ("submissions_refused_total", 0.0),
            ("jobs_assigned_total", 3.0),
            ("job_outcomes_total{outcome=finished}", 1.0),
            ("job_outcomes_total{outcome=evicted}", 0.0),
            ("job_outcomes_total{outcome=spawn_failed}", 0.0),
            ("evictions_total", 1.0),
            ("run_useful_seconds_total", 0.005),
            ("run_wasted_seconds_total", 1.5),
            ("leases_lost_total", 0.0),
            ("job_wait_seconds_count", 3.0),
            ("job_wait_seconds_bucket{le=+Inf}", 3.0),
            ("run_seconds_bucket{le=0.002}", 0.0),
            ("run_seconds_bucket{le=0.005}", 1.0),
            ("run_seconds_bucket{le=1.0}", 1.0),
            ("run_seconds_bucket{le=2.5}", 2.0),
            ("run_seconds_bucket{le=+Inf}", 2.0),
            ("run_seconds_count", 2.0),
            ("run_seconds_sum", 1.505),
            ("bus_clients", 2.0),
            ("bus_producers", 1.0),
            ("bus_schedulers", 1.0),
            ("bus_faults_total", 1.0),
            ("bus_draining", 0.0),
            ("bus_slow_consumers_total", 0.0),
        ]);
        bus.drop().await;
    });
}

#[test]
fn bytes_and_what_is_dropped_are_counted_to_the_last() {
    const REGISTER: &str = r#"{"cmd":"register","type":"scheduler"}"#;
    with_python("prometheus_client", async {
        let bus = Bus::start().await;
        let mut producer = bus.raw().await;
        producer.say(&request(JOB)).await;
        producer.settle().await;
        let mut schedulers = [bus.raw_scheduler().await, bus.raw_scheduler().await];
        producer.say(&request(JOB)).await;
        for scheduler in &mut schedulers {
            assert_eq!(scheduler.text().await, JOB);
        }
        let received = 2 * request(JOB).len() + 2 * REGISTER.len();
        let samples = Samples::of(&bus).await;
        samples.are(&[
            ("bus_messages_total", 4.0),
            ("bus_received_bytes_total", received as f64),
            ("bus_sent_bytes_total", (2 * JOB.len()) as f64),
            ("bus_copies_total", 2.0),
            ("bus_jobs_total", 2.0),
            ("bus_dropped_total", 1.0),
            ("bus_backlog_bytes", 0.0),
            ("bus_connections_total", 3.0),
        ]);
        assert!(samples.starting("sched_bus_commit").is_empty(), "it has no disk");
        bus.drop().await;
    });
}

#[test]
fn what_a_client_of_version_1_is_told_counts_as_bytes_too() {
    with_python("prometheus_client", async {
        let bus = Bus::start().await;
        let mut raw = bus.raw().await;
        let register = r#"{"cmd":"register","v":1,"type":"observer"}"#;
        raw.say(register).await;
        let welcome = raw.text().await;
        Samples::of(&bus).await.are(&[
            ("bus_received_bytes_total", register.len() as f64),
            ("bus_sent_bytes_total", welcome.len() as f64),
        ]);
        bus.drop().await;
    });
}

#[test]
fn a_lease_that_lapses_is_counted() {
    with_python("prometheus_client", async {
        let bus = Bus::with(|config| config.lease = Duration::from_millis(50)).await;
        let mut producer = Peer::producer(&bus).await;
        let mut scheduler = Peer::scheduler(&bus, 1).await;
        producer.submits(1).await;
        let assignment = scheduler.hears("assign").await;
        bus.until(|now| now.exchange.leases_lost > 0).await;
        scheduler.reports(&assignment, "finished").await;
        scheduler.hears("error").await;
        let samples = Samples::of(&bus).await;
        // A scheduler that says something is given the job again, and may lose
        // it again before this is read.
        let of = |name: &str| samples.starting(name)[0].1;
        assert!(of("sched_leases_lost_total") >= 1.0);
        assert_eq!(of("sched_stale_reports_total"), 1.0);
        bus.drop().await;
    });
}

#[test]
fn commits_are_timed_where_there_is_a_disk() {
    with_python("prometheus_client", async {
        let directory = Directory::new("http-commits");
        let bus = Bus::with(|config| config.data = Some(directory.0.clone())).await;
        let _peers = busy(&bus).await;
        let samples = Samples::of(&bus).await;
        samples.are(&[("bus_disk_failing", 0.0), ("bus_commit_failures_total", 0.0)]);
        let of = |name: &str| samples.starting(&format!("sched_bus_commit_seconds_{name}"))[0].1;
        // Three jobs were accepted one after another, and two started.
        assert!(of("count{") >= 5.0 && of("sum{") > 0.0, "{:?}", samples.starting("sched_bus"));
        assert_eq!(of("bucket{le=+Inf"), of("count{"));
        bus.end().await;
    });
}
