//! `sched events`.

use std::fmt;
use std::io::{self, Write};

use argh::FromArgs;
use sched_core::bus::v1::HeardChange;
use sched_runtime_smol::bus::BusUrl;

use super::address::{self, USUAL_PATIENCE};
use super::{Failure, Patience, Seen, Since, Snapshot, Status, Talk, Watch, details, note, words};
use crate::cli::AboveZero;

/// Prints what happens to jobs, a line each, until it is interrupted. Goes on
/// where it was when the bus comes back.
#[derive(FromArgs, Debug)]
#[argh(
    subcommand,
    name = "events",
    help_triggers("-h", "--help"),
    note = "Events that the bus has not kept are told as missing: on stderr, and with --json as \
            a line {{\"ev\":\"resync\",\"seq\":N}}, after which events from N+1 on follow.",
    error_code(0, "nobody reads any more"),
    error_code(2, "the arguments make no sense"),
    error_code(125, "no bus, or one of version 0")
)]
pub struct Events {
    /// begin after this event (default: now)
    #[argh(option, arg_name = "SEQ")]
    since: Option<u64>,

    /// one JSON object a line, as the bus wrote it
    #[argh(switch)]
    json: bool,

    /// where the bus is (default: $SCHED_BUS, or ws://localhost:8101)
    #[argh(option, arg_name = "URL")]
    bus: Option<BusUrl>,

    /// seconds to wait for a bus that is not there (default: 5)
    #[argh(option, arg_name = "SECONDS", default = "AboveZero(USUAL_PATIENCE)")]
    connect: AboveZero,
}

impl Events {
    pub(super) fn run(self) -> Result<Status, Failure> {
        let url = address::bus(self.bus);
        let since = self.since.map_or(Since::Now, Since::Event);
        let told = address::run(tell(url, Patience::AtFirst(self.connect.0), since, self.json));
        told.map(|()| Status::FINISHED)
    }
}

/// Returns when nobody reads what is printed.
async fn tell(url: BusUrl, patience: Patience, since: Since, json: bool) -> Result<(), Failure> {
    let talk = Talk::open(url, patience, "observer").await?;
    let mut watch = Watch::start(talk, since, true).await?;
    let mut read = true;
    while read {
        match watch.next().await? {
            Seen::Event(text) if json => read = print(&text),
            Seen::Event(text) => read = line(&text).is_none_or(|line| print(&line)),
            Seen::Snapshot(text) => {
                let seq = Snapshot::parse(&text)?.seq;
                note(format_args!(
                    "events up to {seq} may be missing: the bus has not kept them all"
                ));
                read = !json || print(format_args!(r#"{{"ev":"resync","seq":{seq}}}"#));
            }
            Seen::Away(why) => note(format_args!("the bus is gone ({why}); waiting for it")),
            Seen::Back => note(format_args!("the bus is there again")),
            Seen::NewBus => {
                note(format_args!("the bus was started anew, and counts from the start"))
            }
            Seen::Alarm | Seen::Other(_) => {}
        }
    }
    watch.end().await;
    Ok(())
}

/// An event for people.
pub(super) fn line(text: &str) -> Option<String> {
    let change: HeardChange<'_> = serde_json::from_str(text).ok()?;
    let HeardChange { seq, at, job, state, .. } = &change;
    let (at, job, state) = (words::one_line(at), words::one_line(job), words::one_line(state));
    let line = format!("{seq:>6}  {at}  {job:<6}  {state:<12}  {}", details(&change));
    Some(line.trim_end().to_owned())
}

/// Whether anybody reads it.
fn print(line: impl fmt::Display) -> bool {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{line}").and_then(|()| stdout.flush()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_a_line() {
        let text = r#"{"ev":"job","seq":12,"job":"j3","state":"running","attempt":1,"priority":4,"on":"g1","final":false,"at":"2026-01-01T00:00:00.000Z"}"#;
        let expected = "    12  2026-01-01T00:00:00.000Z  j3      running       on g1";
        assert_eq!(line(text).unwrap(), expected);
        assert_eq!(line("{"), None);
    }
}
