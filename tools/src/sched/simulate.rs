//! `sched simulate`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufReader, BufWriter};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use argh::FromArgs;
use sched_core::OutcomeKind;
use serde_json::json;

use super::table::Table;
use super::{Failure, Status, note};
use crate::cli::{self, AboveZero, AtLeastOne, PriorityRange, Seconds, SecondsRange};
use crate::simulate::{
    self, BadLines, Candidates, Figures, Format, Percentiles, Rules, Synthetic, Terms, Trace, Work,
    chart,
};

/// Shows what a policy would do: the scheduler itself in virtual time, over a
/// workload that is made up, recorded from a bus, or taken from an archive.
#[derive(FromArgs, Debug)]
#[argh(
    subcommand,
    name = "simulate",
    help_triggers("-h", "--help"),
    example = "sched simulate -s 4 --load 0.9 --policy seed,durable,durable:aging=off\n\
               sched simulate -s 64 CTC-SP2-1996-3.1-cln.swf --trace trace.json",
    note = "FILE is in the Standard Workload Format of the Parallel Workloads Archive (submission, \
            run time and, as the priority, queue are used; a job takes one slot), or holds the \
            events of a bus (sched events --json); /dev/stdin is standard input. Rules: preempt-delta=N, \
            on-evict=drop|requeue, max-evictions=N, grace=S, aging=S; 'off' where it makes sense.",
    error_code(0, "done"),
    error_code(2, "the arguments make no sense"),
    error_code(125, "a file cannot be read or written, or has a bad line")
)]
pub struct Simulate {
    /// how many jobs run at once (default: 5)
    #[argh(option, short = 's', arg_name = "SIZE", default = "AtLeastOne(5)")]
    size: AtLeastOne,

    /// policies to compare, with commas between them: seed or durable, and rules
    /// that differ, as in durable:aging=off:grace=1 (default: seed,durable)
    #[argh(option, arg_name = "POLICIES", default = "Candidates::default()")]
    policy: Candidates,

    /// without FILE: how many jobs (default: 10000)
    #[argh(option, arg_name = "N", default = "AtLeastOne(10_000)")]
    jobs: AtLeastOne,

    /// without FILE: what the jobs ask for, as a share of the slots' time
    /// (default: 0.9)
    #[argh(option, arg_name = "SHARE", default = "0.9", from_str_fn(load))]
    load: f64,

    /// without FILE: the priorities of jobs (default: 0..10)
    #[argh(option, arg_name = "A..B", default = "PriorityRange(0..=10)")]
    priority: PriorityRange,

    /// without FILE: the runtimes of jobs in seconds (default: 3..15)
    #[argh(option, arg_name = "A..B", default = "RUNTIMES")]
    runtime: SecondsRange,

    /// without FILE: the seed of all that is random (default: 1)
    #[argh(option, arg_name = "N", default = "1")]
    seed: u64,

    /// what FILE is: swf or events (default: as its first line looks)
    #[argh(option, arg_name = "FORMAT", from_str_fn(format))]
    format: Option<Format>,

    /// what is done about a line that makes no sense: fail or skip (default:
    /// fail)
    #[argh(option, arg_name = "WHAT", default = "BadLines::Fail", from_str_fn(bad_lines))]
    bad_lines: BadLines,

    /// take the time that a job of an archive asked for as its time limit
    #[argh(switch)]
    limits: bool,

    /// seconds that a run may take that has no limit itself (default: no limit)
    #[argh(option, short = 't', arg_name = "TIMEOUT")]
    timeout: Option<AboveZero>,

    /// seconds that a process takes to end when it is asked to (default: 0)
    #[argh(option, arg_name = "SECONDS", default = "Seconds(Duration::ZERO)")]
    dying: Seconds,

    /// write what happens as a trace, for Perfetto or chrome://tracing
    #[argh(option, arg_name = "FILE")]
    trace: Option<PathBuf>,

    /// draw the waits by priority, as SVG
    #[argh(option, arg_name = "FILE")]
    chart: Option<PathBuf>,

    /// one JSON object a policy
    #[argh(switch)]
    json: bool,

    /// the workload
    #[argh(positional, arg_name = "FILE")]
    file: Option<PathBuf>,
}

const RUNTIMES: SecondsRange = SecondsRange(Duration::from_secs(3)..=Duration::from_secs(15));

impl Simulate {
    pub(super) fn run(self) -> Result<Status, Failure> {
        let (works, title) = self.workload()?;
        let all = self.figures(&works)?;
        if let Some(path) = &self.chart {
            let picture = chart::waits(&title, &all).map_err(Failure::Here)?;
            std::fs::write(path, picture).map_err(|why| cannot("write", path, &why))?;
        }
        if self.json {
            for (name, figures) in &all {
                cli::print_line(in_json(name, figures));
            }
        } else {
            cli::print_line(title);
            show(&all);
        }
        Ok(Status::FINISHED)
    }

    fn workload(&self) -> Result<(Vec<Work>, String), Failure> {
        let slots = self.slots();
        let (mut works, what) = match &self.file {
            None => {
                let SecondsRange(runtimes) = self.runtime.clone();
                if runtimes.end().is_zero() {
                    cli::refuse("sched simulate", "--runtime: jobs that take no time make no load");
                }
                let synthetic = Synthetic {
                    jobs: self.jobs.0 as usize,
                    load: self.load,
                    slots,
                    priorities: self.priority.0.clone(),
                    runtimes,
                    seed: self.seed,
                };
                let what = format!("{} jobs, load {}, seed {}", self.jobs.0, self.load, self.seed);
                (synthetic.works(), what)
            }
            Some(path) => self.read(path)?,
        };
        let limit = self.timeout.map(|AboveZero(limit)| limit);
        works.iter_mut().for_each(|work| work.limit = work.limit.or(limit));
        Ok((works, format!("{what}, on {slots} slots")))
    }

    fn read(&self, path: &Path) -> Result<(Vec<Work>, String), Failure> {
        let file = File::open(path).map_err(|why| cannot("read", path, &why))?;
        let read = simulate::read(BufReader::new(file), self.format, self.bad_lines, self.limits);
        let (works, source) = read.map_err(|why| cannot("read", path, &why))?;
        for bad in &source.examples {
            note(format_args!("{}: {bad}", path.display()));
        }
        let unnamed = source.bad.saturating_sub(source.examples.len());
        if unnamed > 0 {
            note(format_args!("{}: and {unnamed} more bad lines", path.display()));
        }
        Ok((works, format!("{}: {source}", path.display())))
    }

    fn slots(&self) -> NonZeroUsize {
        NonZeroUsize::new(self.size.0 as usize).unwrap_or(NonZeroUsize::MIN)
    }

    fn figures(&self, works: &[Work]) -> Result<Vec<(String, Figures)>, Failure> {
        let Some(path) = &self.trace else {
            return self.compare(works, None).map_err(|why| Failure::Here(why.to_string()));
        };
        let failed = |why: io::Error| cannot("write", path, &why);
        let mut file = BufWriter::new(File::create(path).map_err(failed)?);
        let mut trace = Trace::begin(&mut file);
        let all = self.compare(works, Some(&mut trace)).map_err(failed)?;
        trace.end().map_err(failed)?;
        Ok(all)
    }

    fn compare(
        &self,
        works: &[Work],
        mut trace: Option<&mut Trace<'_>>,
    ) -> io::Result<Vec<(String, Figures)>> {
        let one = |Rules { name, policy }: &Rules| {
            let terms = Terms { slots: self.slots(), policy: policy.clone(), dying: self.dying.0 };
            if let Some(trace) = trace.as_deref_mut() {
                trace.section(name, terms.slots.get());
            }
            Ok((name.clone(), simulate::run(works, &terms, trace.as_deref_mut())?))
        };
        self.policy.0.iter().map(one).collect()
    }
}

pub(super) fn cannot(what: &str, path: &Path, why: &dyn std::fmt::Display) -> Failure {
    Failure::Here(format!("cannot {what} {}: {why}", path.display()))
}

/// Policies side by side.
fn show(all: &[(String, Figures)]) {
    let heading = |first| -> Vec<&str> {
        std::iter::once(first).chain(all.iter().map(|(name, _)| &**name)).chain([""]).collect()
    };
    let mut totals = Table::new(&heading(""), NUMBERS);
    let mut row = |name: &str, cell: &dyn Fn(&Figures) -> String| {
        let cells = all.iter().map(|(_, figures)| cell(figures));
        totals.row(std::iter::once(name.to_owned()).chain(cells).chain([String::new()]));
    };
    for kind in OutcomeKind::ALL {
        if all.iter().any(|(_, figures)| figures.outcomes.contains_key(&kind)) {
            row(kind.name(), &|it| it.outcomes.get(&kind).copied().unwrap_or(0).to_string());
        }
    }
    if all.iter().any(|(_, figures)| figures.refused > 0) {
        row("refused", &|it| it.refused.to_string());
    }
    row("evictions", &|it| it.evictions.to_string());
    row("span", &|it| time(it.span));
    row("utilisation", &|it| per_cent(it.utilisation));
    row("of it wasted", &|it| per_cent(it.wasted));
    row("wait p50", &|it| time(it.wait.p50));
    row("wait p90", &|it| time(it.wait.p90));
    row("wait p99", &|it| time(it.wait.p99));
    row("turnaround p50", &|it| time(it.turnaround.p50));
    row("turnaround p99", &|it| time(it.turnaround.p99));
    row("bounded slowdown", &|it| format!("{:.2}", it.slowdown));
    print(totals);

    cli::print_line("\nWait by priority: p50 / p99");
    let mut waits = Table::new(&heading("PRIO"), NUMBERS);
    let priorities: BTreeSet<i32> =
        all.iter().flat_map(|(_, it)| it.wait_by_priority.keys().copied()).collect();
    for priority in priorities {
        let cells = all.iter().map(|(_, it)| match it.wait_by_priority.get(&priority) {
            Some(wait) => format!("{} / {}", time(wait.p50), time(wait.p99)),
            None => "-".to_owned(),
        });
        let cells = cells.chain([String::new()]);
        waits.row(std::iter::once(priority.to_string()).chain(cells));
    }
    print(waits);
}

/// All columns but the first. The last of a [`Table`] is set to the left; here
/// it is empty.
const NUMBERS: &[usize] = &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];

fn print(table: Table) {
    for line in table.lines(usize::MAX) {
        cli::print_line(line);
    }
}

fn time(time: Duration) -> String {
    super::span(time)
}

fn per_cent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

fn in_json(policy: &str, figures: &Figures) -> serde_json::Value {
    let times = |it: &Percentiles| {
        let seconds = [it.p50, it.p90, it.p99, it.max].map(|time| time.as_secs_f64());
        json!({ "p50": seconds[0], "p90": seconds[1], "p99": seconds[2], "max": seconds[3] })
    };
    let by_priority = |all: &BTreeMap<i32, Percentiles>| {
        let entries = all.iter().map(|(priority, it)| (priority.to_string(), times(it)));
        serde_json::Value::Object(entries.collect())
    };
    let outcomes = figures.outcomes.iter().map(|(kind, n)| (kind.name().to_owned(), json!(n)));
    json!({
        "policy": policy,
        "accepted": figures.accepted,
        "refused": figures.refused,
        "outcomes": serde_json::Value::Object(outcomes.collect()),
        "evictions": figures.evictions,
        "span_s": figures.span.as_secs_f64(),
        "utilisation": figures.utilisation,
        "wasted": figures.wasted,
        "wait_s": times(&figures.wait),
        "turnaround_s": times(&figures.turnaround),
        "bounded_slowdown": figures.slowdown,
        "wait_by_priority_s": by_priority(&figures.wait_by_priority),
        "turnaround_by_priority_s": by_priority(&figures.turnaround_by_priority),
    })
}

fn load(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(load) if (0.001..=1000.0).contains(&load) => Ok(load),
        _ => Err(format!("{text:?} is no share from 0.001 to 1000")),
    }
}

fn format(text: &str) -> Result<Format, String> {
    match text {
        "swf" => Ok(Format::Swf),
        "events" => Ok(Format::Events),
        _ => Err(format!("{text:?} is neither swf nor events")),
    }
}

pub(super) fn bad_lines(text: &str) -> Result<BadLines, String> {
    match text {
        "fail" => Ok(BadLines::Fail),
        "skip" => Ok(BadLines::Skip),
        _ => Err(format!("{text:?} is neither fail nor skip")),
    }
}
