//! A view as lines of text.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use unicode_width::UnicodeWidthStr;

use super::view::{Link, View};
use crate::sched::words::one_line;
use crate::sched::{Totals, list};

/// Between the parts of a line.
const GAP: &str = "   ";

/// All of it, with no line wider than this where that can be.
pub(super) fn plain(view: &View, width: usize) -> String {
    let mut lines = flow(&header(view, Instant::now()), width);
    lines.extend(flow(&figures(&view.snapshot.counters), width));
    for (title, rows) in sections(view, width).into_iter().chain([("LAST EVENTS", events(view))]) {
        lines.extend([String::new(), title.to_owned()]);
        lines.extend(or_none(rows));
    }
    let mut text = String::new();
    for line in lines {
        let _infallible = writeln!(text, "{line}");
    }
    text
}

/// Where it is, what it is, and how fresh what is shown is.
pub(super) fn header(view: &View, now: Instant) -> Vec<String> {
    let schedulers = match view.snapshot.schedulers.len() {
        1 => "1 scheduler".to_owned(),
        many => format!("{many} schedulers"),
    };
    let durable = if view.durable { "durable" } else { "in memory" };
    let link = match view.link(now) {
        Link::Connected => "connected".to_owned(),
        Link::Stale(age, why) => format!("STALE for {} ({why})", whole_seconds(age)),
    };
    vec![view.address.clone(), durable.to_owned(), schedulers, one_line(&view.snapshot.mode), link]
}

/// What was counted. Rare outcomes are named where there are any.
pub(super) fn figures(totals: &Totals) -> Vec<String> {
    let mut parts = vec![
        format!("pending {}", totals.pending),
        format!("running {} of {} slots", totals.running, totals.slots),
        format!("finished {}", totals.finished),
        format!("failed {}", totals.failed),
        format!("evicted {}", totals.evictions),
    ];
    let all = totals.useful_ms.saturating_add(totals.wasted_ms);
    if let Some(percent) = totals.wasted_ms.saturating_mul(100).checked_div(all) {
        parts.push(format!("wasted time {percent} %"));
    }
    for (name, count) in [
        ("timed out", totals.timed_out),
        ("evicted for good", totals.evicted),
        ("cancelled", totals.cancelled),
        ("expired", totals.expired),
        ("not started", totals.spawn_failed),
        ("lost", totals.lost),
    ] {
        if count > 0 {
            parts.push(format!("{name} {count}"));
        }
    }
    parts
}

/// Schedulers, what runs, and what waits: titles, and lines of which the first
/// is a heading.
pub(super) fn sections(view: &View, width: usize) -> [(&'static str, Vec<String>); 3] {
    let snapshot = &view.snapshot;
    let mut sections = list::sections(snapshot).map(|(title, table)| {
        let lines = if table.is_empty() { Vec::new() } else { table.lines(width) };
        (title, lines.iter().map(|line| one_line(line)).collect::<Vec<_>>())
    });
    let totals = snapshot.counters;
    let named = [None, Some((totals.running, snapshot.running.len()))];
    let named = named.into_iter().chain([Some((totals.pending, snapshot.pending.len()))]);
    for ((_, lines), counted) in sections.iter_mut().zip(named) {
        let hidden = counted.map_or(0, |(all, named)| all.saturating_sub(named as u64));
        if hidden > 0 {
            lines.push(format!("and {hidden} more"));
        }
    }
    sections
}

/// The last events, the newest last.
pub(super) fn events(view: &View) -> Vec<String> {
    view.log.iter().cloned().collect()
}

/// Lines, or a word that there are none.
pub(super) fn or_none(lines: Vec<String>) -> Vec<String> {
    if lines.is_empty() { vec!["none".to_owned()] } else { lines }
}

/// Parts, as many in a line as it has room for.
pub(super) fn flow(parts: &[String], width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for part in parts {
        let length = part.width();
        match lines.last_mut() {
            Some(line) if line.width() + GAP.len() + length <= width => {
                line.extend([GAP, part.as_str()]);
            }
            _ => lines.push(part.clone()),
        }
    }
    lines
}

fn whole_seconds(age: Duration) -> String {
    format!("{} s", age.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sched::Snapshot;

    #[test]
    fn all_of_it_is_told_without_colour() {
        let snapshot = Snapshot::parse(
            r#"{"seq":0,"oldest":1,"mode":"paused","schedulers":[{"name":"g1","slots":2,
            "jobs":1,"connected":true,"mode":"accepting"}],"running":[{"job":"j2","priority":1,
            "state":"running","on":"g1","attempt":1,"ran_ms":65000,"evictions":0}],
            "pending":[{"job":"j3","priority":4,"attempt":2,"age_ms":700,"evictions":1,
            "why":"paused"}],"counters":{"pending":3,"running":1,"slots":2,"evictions":1,
            "useful_ms":3000,"wasted_ms":1000,"timed_out":7}}"#,
        );
        let view = View::new("ws://h:1/".to_owned(), true, snapshot.unwrap());
        let expected = "\
ws://h:1/   durable   1 scheduler   paused
connected
pending 3   running 1 of 2 slots   finished 0
failed 0   evicted 1   wasted time 25 %
timed out 7

SCHEDULERS
NAME  SLOTS  JOBS  STATE
g1        2     1  accepting

RUNNING
JOB  PRIO    RAN  TRY  EVICTED  STATE
j2      1  1m05s    1        0  running on g1

PENDING, in the order in which they will run
JOB  PRIO     AGE  TRY  EVICTED  WHY
j3      4  0.70 s    2        1  paused
and 2 more

LAST EVENTS
none
";
        assert_eq!(plain(&view, 50), expected);
    }

    #[test]
    fn parts_flow_into_lines() {
        let parts = ["ab", "cd", "ef"].map(str::to_owned);
        assert_eq!(flow(&parts, 7), ["ab   cd", "ef"]);
        assert_eq!(flow(&parts, 1), ["ab", "cd", "ef"]);
    }
}
