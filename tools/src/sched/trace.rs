//! `sched trace`.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use argh::FromArgs;
use sched_core::trace::{BusTrace, TraceError};
use sched_runtime_smol::bus::BusUrl;

use super::address::{self, USUAL_PATIENCE};
use super::{Failure, Patience, Seen, Since, Snapshot, Status, Talk, Watch, note};
use crate::cli::{self, AboveZero};
use crate::simulate::BadLines;

/// Draws what has happened to jobs as a trace for Perfetto (ui.perfetto.dev) and
/// chrome://tracing: a track a slot, a bar a run, an arrow from each victim to
/// the job that evicted it.
#[derive(FromArgs, Debug)]
#[argh(
    subcommand,
    name = "trace",
    help_triggers("-h", "--help"),
    example = "sched trace -o trace.json\n\
               sched events --json --since 0 > events.jsonl; sched trace events.jsonl > trace.json\n\
               curl -s http://127.0.0.1:8101/events.jsonl | sched trace - -o trace.json",
    note = "FILE holds the events of a bus, one JSON object a line, as sched events --json and the \
            bus's /events.jsonl give them; - is standard input. Without FILE the bus is asked for \
            what it has kept, as its /trace.json tells it, too. What is missing is said on stderr and \
            in the trace.",
    error_code(0, "done, or nobody reads any more"),
    error_code(2, "the arguments make no sense"),
    error_code(
        125,
        "a file cannot be read or written, has a bad line, or there is no bus of version 1"
    )
)]
pub struct Trace {
    /// where to write it (default: standard output)
    #[argh(option, short = 'o', arg_name = "FILE")]
    output: Option<PathBuf>,

    /// what is done about a line that makes no sense: fail or skip (default:
    /// fail)
    #[argh(
        option,
        arg_name = "WHAT",
        default = "BadLines::Fail",
        from_str_fn(super::simulate::bad_lines)
    )]
    bad_lines: BadLines,

    /// where the bus is (default: $SCHED_BUS, or ws://localhost:8101)
    #[argh(option, arg_name = "URL")]
    bus: Option<BusUrl>,

    /// seconds to wait for a bus that is not there (default: 5)
    #[argh(option, arg_name = "SECONDS", default = "AboveZero(USUAL_PATIENCE)")]
    connect: AboveZero,

    /// recorded events, in place of those of a bus
    #[argh(positional, arg_name = "FILE")]
    file: Option<PathBuf>,
}

/// How many events a busy bus may forget while it is asked for the oldest.
const FORGOTTEN_MEANWHILE: u64 = 1000;

/// Where a trace goes.
struct Output<'a> {
    file: BufWriter<Box<dyn Write>>,
    path: &'a Path,
    text: String,
}

/// Why it goes no further.
enum Stop {
    Failed(Failure),
    NobodyReads,
}

impl Trace {
    pub(super) fn run(self) -> Result<Status, Failure> {
        if self.file.is_some() && self.bus.is_some() {
            cli::refuse("sched", "either FILE or --bus is meant, not both");
        }
        let drawn = match &self.file {
            Some(file) => self.of_file(file),
            None => self.of_bus(),
        };
        match drawn {
            Ok(()) | Err(Stop::NobodyReads) => Ok(Status::FINISHED),
            Err(Stop::Failed(why)) => Err(why),
        }
    }

    fn of_file(&self, path: &Path) -> Result<(), Stop> {
        let cannot_read = |why| failed("read", path, &why);
        let file = File::open(path).map_err(cannot_read)?;
        if self.output.as_deref().is_some_and(|output| is_same(output, path)) {
            let why = "it would be overwritten while it is read; name another file with -o";
            return Err(failed("read", path, &why));
        }
        let mut output = self.output()?;
        let mut trace = BusTrace::begin(&mut output.text);
        for (index, line) in BufReader::new(file).split(b'\n').enumerate() {
            let line = line.map_err(cannot_read)?;
            let line = String::from_utf8_lossy(&line);
            if line.trim().is_empty() {
                continue;
            }
            if let Err(why) = trace.line(&mut output.text, &line) {
                self.bad_line(path, index + 1, &why)?;
            }
            output.write_on()?;
        }
        finish(trace, output)
    }

    fn bad_line(&self, path: &Path, number: usize, why: &TraceError) -> Result<(), Stop> {
        let bad = format!("line {number}: {why}");
        match self.bad_lines {
            BadLines::Skip => note(format_args!("{}: {bad}", path.display())),
            BadLines::Fail => {
                let why = format!("{bad}; --bad-lines skip goes on without such lines");
                return Err(failed("read", path, &why));
            }
        }
        Ok(())
    }

    fn of_bus(&self) -> Result<(), Stop> {
        let url = address::bus(self.bus.clone());
        let kept = kept_events(url, Patience::AtFirst(self.connect.0));
        let kept = address::run(kept).map_err(Stop::Failed)?;
        let mut output = self.output()?;
        let mut trace = BusTrace::begin(&mut output.text);
        for event in kept {
            let read = trace.line(&mut output.text, &event);
            read.map_err(|why| Stop::Failed(Failure::Nonsense(why.to_string())))?;
            output.write_on()?;
        }
        finish(trace, output)
    }

    fn output(&self) -> Result<Output<'_>, Stop> {
        let path = self.output.as_deref().unwrap_or_else(|| Path::new("standard output"));
        let file: Box<dyn Write> = match &self.output {
            None => Box::new(io::stdout()),
            Some(path) => Box::new(File::create(path).map_err(|why| failed("write", path, &why))?),
        };
        Ok(Output { file: BufWriter::new(file), path, text: String::new() })
    }
}

impl Output<'_> {
    fn write_on(&mut self) -> Result<(), Stop> {
        let written = self.file.write_all(self.text.as_bytes());
        self.text.clear();
        written.map_err(|why| self.stop(&why))
    }

    fn stop(&self, why: &io::Error) -> Stop {
        match why.kind() {
            io::ErrorKind::BrokenPipe => Stop::NobodyReads,
            _ => failed("write", self.path, why),
        }
    }
}

fn finish(trace: BusTrace, mut output: Output<'_>) -> Result<(), Stop> {
    let (earlier, missing) = trace.not_here();
    if earlier > 0 {
        note(format_args!(
            "{earlier} events before the first are not here: the bus forgets old ones"
        ));
    }
    if missing > 0 {
        note(format_args!("{missing} events in between are missing; the trace says where"));
    }
    trace.end(&mut output.text, None);
    output.write_on()?;
    output.file.flush().map_err(|why| output.stop(&why))
}

/// What a bus has kept until now, the oldest first.
async fn kept_events(url: BusUrl, patience: Patience) -> Result<Vec<String>, Failure> {
    let talk = Talk::open(url, patience, "observer").await?;
    let mut watch = Watch::start(talk, Since::Snapshot, true).await?;
    let (mut events, mut wanted, mut tries) = (Vec::new(), None, 0);
    while wanted.is_none_or(|wanted| (events.len() as u64) < wanted) {
        match watch.next().await? {
            Seen::Event(text) => events.push(text),
            // The first; or another, as the oldest was forgotten before we came
            // to ask for it. Then some others will be, too.
            Seen::Snapshot(text) => {
                let Snapshot { seq, oldest, .. } = Snapshot::parse(&text)?;
                let first = (oldest.max(1) + tries * FORGOTTEN_MEANWHILE).min(seq + 1);
                (events, wanted, tries) = (Vec::new(), Some(seq + 1 - first), tries + 1);
                watch.go_back(first - 1).await?;
            }
            _ => {}
        }
    }
    watch.end().await;
    Ok(events)
}

fn failed(what: &str, path: &Path, why: &dyn std::fmt::Display) -> Stop {
    Stop::Failed(super::simulate::cannot(what, path, why))
}

fn is_same(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| std::fs::canonicalize(path).ok();
    real(one).is_some_and(|one| real(other) == Some(one))
}
