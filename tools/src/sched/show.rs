//! `sched show`.

use std::time::Duration;

use argh::FromArgs;
use sched_core::JobId;
use sched_core::bus::v1::HeardChange;
use sched_runtime_smol::bus::BusUrl;
use serde::Deserialize;

use super::address::{self, USUAL_PATIENCE};
use super::table::{self, Table};
use super::words::{for_terminal, one_line, sentence};
use super::{Failure, Patience, Seen, Since, Snapshot, Status, Talk, Watch, details, span};
use crate::cli::{self, AboveZero};

/// Shows a job: what happened to it, as far as the bus has kept that, and where
/// it is now.
#[derive(FromArgs, Debug)]
#[argh(
    subcommand,
    name = "show",
    help_triggers("-h", "--help"),
    error_code(0, "done"),
    error_code(2, "the arguments make no sense"),
    error_code(125, "no bus, one of version 0, or it knows no such job")
)]
pub struct Show {
    /// its events as JSON, one a line, as the bus wrote them
    #[argh(switch)]
    json: bool,

    /// where the bus is (default: $SCHED_BUS, or ws://localhost:8101)
    #[argh(option, arg_name = "URL")]
    bus: Option<BusUrl>,

    /// seconds to wait for a bus that is not there (default: 5)
    #[argh(option, arg_name = "SECONDS", default = "AboveZero(USUAL_PATIENCE)")]
    connect: AboveZero,

    /// the job, such as j17
    #[argh(positional, arg_name = "JOB", from_str_fn(address::job))]
    job: JobId,
}

/// What there is to show.
struct Life {
    events: Vec<String>,
    snapshot: Snapshot,
}

impl Show {
    pub(super) fn run(self) -> Result<Status, Failure> {
        let url = address::bus(self.bus);
        let job = self.job.to_string();
        let life = address::run(look_up(url, Patience::Always(self.connect.0), &job))?;
        let now = life.now(&job)?;
        if self.json {
            life.events.iter().for_each(cli::print_line);
        } else {
            life.print(&now);
        }
        Ok(Status::FINISHED)
    }
}

async fn look_up(url: BusUrl, patience: Patience, job: &str) -> Result<Life, Failure> {
    let talk = Talk::open(url, patience, "observer").await?;
    let mut watch = Watch::start(talk, Since::Snapshot, true).await?;
    let mut life: Option<Life> = None;
    let mut given_up = 0;
    loop {
        match (watch.next().await?, &mut life) {
            (Seen::Snapshot(text), _) => {
                let snapshot = Snapshot::parse(&text)?;
                let (first, last) = (snapshot.oldest, snapshot.seq);
                let new = Life { events: Vec::new(), snapshot };
                let from = beginning(first, given_up);
                if first == 0 || from >= last {
                    watch.end().await;
                    return Ok(new);
                }
                watch.go_back(from).await?;
                given_up = (2 * given_up).max(AT_FIRST);
                life = Some(new);
            }
            (Seen::Event(text), Some(so_far)) => {
                let (of, seq) = head(&text);
                if seq <= so_far.snapshot.seq && of == job {
                    so_far.events.push(text);
                }
                if seq >= so_far.snapshot.seq {
                    watch.end().await;
                    return life.ok_or(Failure::Closed);
                }
            }
            (Seen::NewBus, _) => return Err(Failure::Forgotten),
            _ => {}
        }
    }
}

/// How many of the oldest events are given up if the bus has forgotten the first
/// one before it was asked for it. Twice as many each time: a bus where much
/// happens forgets fast.
const AT_FIRST: u64 = 256;

/// After which event to begin, of those from `first` on.
const fn beginning(first: u64, given_up: u64) -> u64 {
    first.saturating_sub(1).saturating_add(given_up)
}

/// The job of an event, and its number.
fn head(text: &str) -> (String, u64) {
    #[derive(Default, Deserialize)]
    struct Head {
        job: String,
        seq: u64,
    }
    let head: Head = serde_json::from_str(text).unwrap_or_default();
    (head.job, head.seq)
}

impl Life {
    /// Where the job is, in a line.
    fn now(&self, job: &str) -> Result<String, Failure> {
        let Snapshot { running, pending, .. } = &self.snapshot;
        if let Some(row) = running.iter().find(|row| row.job == job) {
            let ran = span(Duration::from_millis(row.ran_ms));
            let on = one_line(&row.on);
            return Ok(match &*row.state {
                "running" => format!("{job} runs on {on}, attempt {}, for {ran}", row.attempt),
                state => format!("{job} is {state} to {on}, attempt {}", row.attempt),
            });
        }
        if let Some(row) = pending.iter().find(|row| row.job == job) {
            let age = span(Duration::from_millis(row.age_ms));
            return Ok(format!("{job} waits, {age} after its submission: {}", one_line(&row.why)));
        }
        let last = self.snapshot.ending_of(job).map(|text| text.get());
        match last.or_else(|| self.events.last().map(String::as_str)).map(serde_json::from_str) {
            Some(Ok(change)) => Ok(sentence(&change)),
            Some(Err(why)) => Err(Failure::Nonsense(why.to_string())),
            None if self.snapshot.is_alive(job).is_none() => {
                Ok(format!("{job} may wait behind those that the bus names, or is not known"))
            }
            None => Err(Failure::NoJob(job.to_owned())),
        }
    }

    fn print(&self, now: &str) {
        cli::print_line(now);
        let mut table = Table::new(&["EVENT", "AT", "STATE", "WHAT"], &[0]);
        let mut output = None;
        for text in &self.events {
            let Ok(change) = serde_json::from_str::<HeardChange<'_>>(text) else { continue };
            let (seq, at, state) = (change.seq.to_string(), &change.at, &change.state);
            table.row([seq, one_line(at), one_line(state), details(&change)]);
            output = change.output.as_deref().map(ToOwned::to_owned).or(output);
        }
        if table.is_empty() {
            cli::print_line("The bus has not kept what happened to it.");
        } else {
            cli::print_line(table.lines(table::width()).join("\n"));
        }
        if let Some(output) = output.filter(|output| !output.is_empty()) {
            let output = for_terminal(output.trim_end());
            cli::print_line(format_args!("It wrote at the end:\n{output}"));
        }
    }
}
