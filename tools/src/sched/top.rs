//! `sched top`.

mod live;
mod screen;
mod terminal;
mod text;
mod view;

use std::io::{self, IsTerminal};

use argh::FromArgs;
use sched_runtime_smol::bus::BusUrl;

use self::view::View;
use super::address::{self, USUAL_PATIENCE};
use super::{Failure, Patience, Seen, Since, Snapshot, Status, Talk, Watch, table};
use crate::cli::{self, AboveZero, Shutdown};

/// Shows a bus live in the terminal: its schedulers, what runs, the queue in
/// the order in which it will run, why each job waits, and the last events.
#[derive(FromArgs, Debug)]
#[argh(
    subcommand,
    name = "top",
    help_triggers("-h", "--help"),
    note = "Where stdout is no terminal, or with --once, it is one picture as plain text.\n\
            Keys: q or Ctrl-C ends it; the arrows, PgUp, PgDn, Home and End scroll the queue; p, \
            r and d pause, resume and drain the bus, after a y.\n\
            With NO_COLOR set it uses no colours. Evicted are runs, not jobs: a job may be \
            evicted more than once.",
    error_code(0, "done"),
    error_code(2, "the arguments make no sense"),
    error_code(125, "no bus, or one of version 0")
)]
pub struct Top {
    /// one picture, as plain text
    #[argh(switch)]
    once: bool,

    /// where the bus is (default: $SCHED_BUS, or ws://localhost:8101)
    #[argh(option, arg_name = "URL")]
    bus: Option<BusUrl>,

    /// seconds to wait for a bus that is not there (default: 5)
    #[argh(option, arg_name = "SECONDS", default = "AboveZero(USUAL_PATIENCE)")]
    connect: AboveZero,
}

impl Top {
    pub(super) fn run(self) -> Result<Status, Failure> {
        let url = address::bus(self.bus);
        if self.once || !io::stdout().is_terminal() {
            let view = address::run(once(url, Patience::Always(self.connect.0)))?;
            cli::print_line(text::plain(&view, table::width()).trim_end());
        } else {
            // A log would be written across the picture.
            cli::log_to_stderr("off");
            let shutdown = Shutdown::on_signals().map_err(|why| Failure::Here(why.to_string()))?;
            let is_over = move || shutdown.is_asked();
            address::run(live::show(url, Patience::AtFirst(self.connect.0), is_over))?;
        }
        Ok(Status::FINISHED)
    }
}

/// Shows a bus of this process in the terminal, until it is left by a key, or
/// this says that it is over.
///
/// # Errors
///
/// The terminal cannot be used.
pub(crate) async fn top(url: BusUrl, is_over: impl Fn() -> bool + Send) -> Result<(), Failure> {
    live::show(url, Patience::AtFirst(USUAL_PATIENCE), is_over).await
}

/// One picture, complete with the last events.
async fn once(url: BusUrl, patience: Patience) -> Result<View, Failure> {
    let (mut watch, mut view) = begin(url, patience).await?;
    while !view.is_complete() {
        match watch.next().await? {
            Seen::Event(text) => view.handle_event(&text),
            // What was to be told is gone meanwhile: this is newer anyway.
            Seen::Snapshot(text) => {
                view.handle_snapshot(Snapshot::parse(&text)?);
                break;
            }
            _ => {}
        }
    }
    watch.end().await;
    Ok(view)
}

/// A first snapshot. The last events before it are told next.
async fn begin(url: BusUrl, patience: Patience) -> Result<(Watch, View), Failure> {
    let address = url.to_string();
    let talk = Talk::open(url, patience, "observer").await?;
    let mut watch = Watch::start(talk, Since::Snapshot, true).await?;
    loop {
        if let Seen::Snapshot(text) = watch.next().await? {
            let durable = watch.welcome().is_some_and(|welcome| welcome.durable);
            let view = View::new(address, durable, Snapshot::parse(&text)?);
            if let Some(seq) = view.begin_of_log() {
                watch.go_back(seq).await?;
            }
            return Ok((watch, view));
        }
    }
}
