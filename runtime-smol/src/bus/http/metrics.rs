//! The figures of the bus, as OpenMetrics.

use std::fmt;
use std::iter::zip;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet, text::encode};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};
use sched_core::bus::Histogram;

use super::super::server::{BusStats, DiskStats};

/// What [`text`] is.
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// These figures as a text that monitors read.
pub(super) fn text(stats: &BusStats) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("sched");
    registry.register_collector(Box::new(Figures(*stats)));
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

#[derive(Debug)]
struct Figures(BusStats);

impl Collector for Figures {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let stats = &self.0;
        for (name, help, value) in gauges(stats) {
            let gauge = ConstGauge::new(value);
            let kind = gauge.metric_type();
            gauge.encode(encoder.encode_descriptor(name, help, None, kind)?)?;
        }
        for (name, help, value) in counters(stats) {
            let counter = ConstCounter::new(value);
            let kind = counter.metric_type();
            counter.encode(encoder.encode_descriptor(name, help, None, kind)?)?;
        }
        for (name, help, ms) in times(stats) {
            let counter = ConstCounter::new(ms as f64 / 1000.0);
            let (unit, kind) = (Some(&Unit::Seconds), counter.metric_type());
            counter.encode(encoder.encode_descriptor(name, help, unit, kind)?)?;
        }
        bytes(stats, &mut encoder)?;
        pending(stats, &mut encoder)?;
        outcomes(stats, &mut encoder)?;
        let help = "From submission to the first start of a job";
        histogram("job_wait", help, &stats.waits, &mut encoder)?;
        histogram("run", "How long processes ran, as reported", &stats.runs, &mut encoder)?;
        stats.disk.as_ref().map_or(Ok(()), |disk| commits(disk, &mut encoder))
    }
}

type Figure<T> = (&'static str, &'static str, T);

const fn gauges(stats: &BusStats) -> [Figure<u64>; 7] {
    let queue = &stats.exchange;
    [
        ("jobs_running", "Jobs that are assigned or run", queue.running),
        ("slots", "Slots of all connected schedulers", queue.slots),
        ("bus_clients", "Clients that are connected", stats.clients as u64),
        ("bus_producers", "Producers among them", stats.producers as u64),
        ("bus_schedulers", "Schedulers among them", stats.schedulers as u64),
        ("bus_disk_failing", "1 while the disk fails", stats.disk_fails as u64),
        ("bus_draining", "1 while no more jobs are taken", stats.draining as u64),
    ]
}

const fn counters(stats: &BusStats) -> [Figure<u64>; 20] {
    let (queue, broker) = (&stats.exchange, &stats.broker);
    [
        ("jobs_accepted", "Jobs accepted", queue.accepted),
        ("submissions_refused", "Submissions refused", queue.refused),
        ("jobs_assigned", "Assignments to schedulers", queue.assigned),
        ("evictions", "Runs that were evicted", queue.evictions),
        ("leases_lost", "Leases that lapsed", queue.leases_lost),
        ("stale_reports", "Reports under a lease that had ended", queue.stale_reports),
        ("bus_messages", "Messages that came in", broker.messages),
        ("bus_faults", "Messages with a fault", broker.faults),
        ("bus_jobs", "Jobs among them, of every version", broker.jobs),
        ("bus_copies", "Copies of jobs for schedulers of version 0", broker.transmitted),
        ("bus_dropped", "Jobs dropped because no scheduler was there", broker.dropped),
        ("bus_connections", "Clients that have connected", stats.connected),
        ("bus_slow_consumers", "Clients closed because they did not read", stats.slow_consumers),
        ("bus_violations", "Clients closed because they broke WebSocket", stats.violations),
        ("bus_silent", "Clients closed because they answered no ping", stats.silent),
        ("bus_refused", "Handshakes and requests with a foreign Origin or Host", stats.refused),
        ("bus_handshakes_failed", "Connections that asked for nothing", stats.handshakes_failed),
        ("bus_turned_away", "Connections over the limit", stats.turned_away),
        ("bus_accept_errors", "Connections that could not be accepted", stats.accept_errors),
        ("bus_http_requests", "Plain requests that were answered", stats.http_requests),
    ]
}

/// In milliseconds.
const fn times(stats: &BusStats) -> [Figure<u64>; 2] {
    let queue = &stats.exchange;
    [
        ("run_useful", "Time of runs that were not evicted", queue.useful_ms),
        ("run_wasted", "Time of runs that were evicted", queue.wasted_ms),
    ]
}

fn bytes(stats: &BusStats, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let (unit, broker) = (Some(&Unit::Bytes), &stats.broker);
    let backlog = ConstGauge::new(stats.backlog as u64);
    let (help, kind) = ("What waits to be written to clients", backlog.metric_type());
    backlog.encode(encoder.encode_descriptor("bus_backlog", help, unit, kind)?)?;
    for (name, help, bytes) in [
        ("bus_received", "Messages that came in", broker.received_bytes),
        ("bus_sent", "Messages that were given out to be sent", broker.sent_bytes),
    ] {
        let counter = ConstCounter::new(bytes);
        let kind = counter.metric_type();
        counter.encode(encoder.encode_descriptor(name, help, unit, kind)?)?;
    }
    Ok(())
}

fn pending(stats: &BusStats, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let help = "Jobs that wait, by priority";
    let mut family = encoder.encode_descriptor("jobs_pending", help, None, MetricType::Gauge)?;
    for (priority, count) in stats.pending.iter() {
        ConstGauge::new(count).encode(family.encode_family(&[("priority", priority)])?)?;
    }
    Ok(())
}

/// Only a bus that keeps its jobs on disk has these.
fn commits(disk: &DiskStats, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let help = "How long it took to put a group of changes on disk";
    histogram("bus_commit", help, &disk.commits, encoder)?;
    let failures = ConstCounter::new(disk.failures);
    let (help, kind) = ("Groups of changes that the disk did not take", failures.metric_type());
    failures.encode(encoder.encode_descriptor("bus_commit_failures", help, None, kind)?)
}

fn outcomes(stats: &BusStats, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let queue = &stats.exchange;
    let help = "Jobs that have ended, by outcome";
    let mut family = encoder.encode_descriptor("job_outcomes", help, None, MetricType::Counter)?;
    for (outcome, count) in [
        ("finished", queue.finished),
        ("failed", queue.failed),
        ("timed_out", queue.timed_out),
        ("evicted", queue.evicted),
        ("cancelled", queue.cancelled),
        ("expired", queue.expired),
        ("spawn_failed", queue.spawn_failed),
        ("lost", queue.lost),
    ] {
        ConstCounter::new(count).encode(family.encode_family(&[("outcome", outcome)])?)?;
    }
    Ok(())
}

fn histogram(
    name: &str,
    help: &str,
    times: &Histogram,
    encoder: &mut DescriptorEncoder<'_>,
) -> fmt::Result {
    let bounds = Histogram::BOUNDS_MS.into_iter().map(|ms| ms as f64 / 1000.0);
    let bounds = bounds.chain([f64::INFINITY]);
    let buckets: Vec<(f64, u64)> = zip(bounds, times.counts().iter().copied()).collect();
    let (unit, kind) = (Some(&Unit::Seconds), MetricType::Histogram);
    let count = buckets.iter().map(|(_, count)| count).sum();
    encoder.encode_descriptor(name, help, unit, kind)?.encode_histogram::<NoLabelSet>(
        times.sum().as_secs_f64(),
        count,
        &buckets,
        None,
    )
}
