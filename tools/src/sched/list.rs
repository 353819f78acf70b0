//! `sched list`.

use std::fmt::Write as _;
use std::time::Duration;

use argh::FromArgs;
use sched_runtime_smol::bus::BusUrl;
use serde::Serialize;

use super::address::{self, USUAL_PATIENCE};
use super::table::{self, Table};
use super::words::one_line;
use super::{Failure, Patience, Seen, Since, Snapshot, Status, Talk, Totals, Watch, span};
use crate::cli::{self, AboveZero};

/// Lists the schedulers of a bus, what runs, and what waits: in the order in
/// which it will run, and why it waits.
#[derive(FromArgs, Debug)]
#[argh(
    subcommand,
    name = "list",
    help_triggers("-h", "--help"),
    note = "With --json every line has a \"kind\": bus, scheduler, running or pending.",
    error_code(0, "done"),
    error_code(2, "the arguments make no sense"),
    error_code(125, "no bus, or one of version 0")
)]
pub struct List {
    /// one JSON object a line
    #[argh(switch)]
    json: bool,

    /// where the bus is (default: $SCHED_BUS, or ws://localhost:8101)
    #[argh(option, arg_name = "URL")]
    bus: Option<BusUrl>,

    /// seconds to wait for a bus that is not there (default: 5)
    #[argh(option, arg_name = "SECONDS", default = "AboveZero(USUAL_PATIENCE)")]
    connect: AboveZero,
}

impl List {
    pub(super) fn run(self) -> Result<Status, Failure> {
        let url = address::bus(self.bus);
        let snapshot = address::run(look(url, Patience::Always(self.connect.0)))?;
        let text = if self.json { lines(&snapshot)? } else { tables(&snapshot, table::width()) };
        cli::print_line(text.trim_end());
        Ok(Status::FINISHED)
    }
}

async fn look(url: BusUrl, patience: Patience) -> Result<Snapshot, Failure> {
    let talk = Talk::open(url, patience, "observer").await?;
    // An observer has no jobs of its own, and so is told nothing more.
    let mut watch = Watch::start(talk, Since::Snapshot, false).await?;
    loop {
        if let Seen::Snapshot(text) = watch.next().await? {
            watch.end().await;
            return Snapshot::parse(&text);
        }
    }
}

/// A row, and which kind of row.
#[derive(Serialize)]
struct Line<'a, T> {
    kind: &'static str,
    #[serde(flatten)]
    row: &'a T,
}

#[derive(Serialize)]
struct Bus<'a> {
    mode: &'a str,
    seq: u64,
    #[serde(flatten)]
    totals: Totals,
}

fn lines(snapshot: &Snapshot) -> Result<String, Failure> {
    let Snapshot { mode, seq, counters, .. } = snapshot;
    let bus = Bus { mode, seq: *seq, totals: *counters };
    let mut text = line("bus", &bus)?;
    for row in &snapshot.schedulers {
        text += &line("scheduler", row)?;
    }
    for row in &snapshot.running {
        text += &line("running", row)?;
    }
    for row in &snapshot.pending {
        text += &line("pending", row)?;
    }
    Ok(text)
}

fn line<T: Serialize>(kind: &'static str, row: &T) -> Result<String, Failure> {
    let text = serde_json::to_string(&Line { kind, row });
    text.map(|text| text + "\n").map_err(|why| Failure::Here(why.to_string()))
}

fn tables(snapshot: &Snapshot, width: usize) -> String {
    let Totals { running, slots, pending, .. } = snapshot.counters;
    let mode = one_line(&snapshot.mode);
    let mut text = format!("{mode}; {running} running in {slots} slots, {pending} pending\n");
    for (title, table) in sections(snapshot) {
        if !table.is_empty() {
            let _infallible = writeln!(text, "\n{title}\n{}", table.lines(width).join("\n"));
        }
    }
    let hidden = pending.saturating_sub(snapshot.pending.len() as u64);
    if hidden > 0 {
        let _infallible = writeln!(text, "and {hidden} more");
    }
    text
}

/// What there is, as tables with their titles.
pub(super) fn sections(snapshot: &Snapshot) -> [(&'static str, Table); 3] {
    [
        ("SCHEDULERS", schedulers(snapshot)),
        ("RUNNING", running_jobs(snapshot)),
        ("PENDING, in the order in which they will run", pending_jobs(snapshot)),
    ]
}

fn schedulers(snapshot: &Snapshot) -> Table {
    let mut table = Table::new(&["NAME", "SLOTS", "JOBS", "STATE"], &[1, 2]);
    for row in &snapshot.schedulers {
        let away = if row.connected { "" } else { ", not connected" };
        let (slots, jobs) = (row.slots.to_string(), row.jobs.to_string());
        table.row([one_line(&row.name), slots, jobs, format!("{}{away}", row.mode)]);
    }
    table
}

fn running_jobs(snapshot: &Snapshot) -> Table {
    let mut table = Table::new(&["JOB", "PRIO", "RAN", "TRY", "EVICTED", "STATE"], &[1, 2, 3, 4]);
    for row in &snapshot.running {
        table.row([
            one_line(&row.job),
            row.priority.to_string(),
            span(Duration::from_millis(row.ran_ms)),
            row.attempt.to_string(),
            row.evictions.to_string(),
            format!("{} on {}", row.state, one_line(&row.on)),
        ]);
    }
    table
}

fn pending_jobs(snapshot: &Snapshot) -> Table {
    let mut table = Table::new(&["JOB", "PRIO", "AGE", "TRY", "EVICTED", "WHY"], &[1, 2, 3, 4]);
    for row in &snapshot.pending {
        table.row([
            one_line(&row.job),
            row.priority.to_string(),
            span(Duration::from_millis(row.age_ms)),
            row.attempt.to_string(),
            row.evictions.to_string(),
            one_line(&row.why),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot() -> Snapshot {
        Snapshot::parse(
            r#"{"ev":"snapshot","seq":9,"mode":"paused","schedulers":[{"name":"g1","slots":2,
            "jobs":1,"connected":false,"mode":"accepting"}],"running":[{"job":"j2","priority":1,
            "state":"running","on":"g1","attempt":1,"ran_ms":65000,"evictions":0}],
            "pending":[{"job":"j3","priority":4,"attempt":2,"age_ms":700,"evictions":1,
            "why":"no slot is free, and it outranks no run that may be evicted"}],
            "ended":[],"counters":{"pending":3,"running":1,"slots":2}}"#,
        )
        .unwrap()
    }

    #[test]
    fn the_tables_say_what_there_is() {
        let expected = "\
paused; 1 running in 2 slots, 3 pending

SCHEDULERS
NAME  SLOTS  JOBS  STATE
g1        2     1  accepting, not connected

RUNNING
JOB  PRIO    RAN  TRY  EVICTED  STATE
j2      1  1m05s    1        0  running on g1

PENDING, in the order in which they will run
JOB  PRIO     AGE  TRY  EVICTED  WHY
j3      4  0.70 s    2        1  no slot is free, and it outranks no run that
                                 may be evicted
and 2 more
";
        assert_eq!(tables(&snapshot(), 80), expected);
    }

    #[test]
    fn every_json_line_stands_alone() {
        let text = lines(&snapshot()).unwrap();
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let kinds: Vec<_> = lines.iter().map(|line| line["kind"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["bus", "scheduler", "running", "pending"]);
        assert_eq!((&lines[2]["job"], &lines[3]["age_ms"]), (&"j2".into(), &700.into()));
    }
}
