//! `sched run`: jobs from a file or standard input, without a bus.

mod course;
mod input;
mod json;
mod line;
mod patience;
mod printer;
mod progress;
mod tally;

use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::thread::available_parallelism;

use argh::FromArgs;
use sched_core::{Backoff, OnEvict, OnExhausted, Policy};
use sched_runtime_smol::{Guard, Scheduler};

use self::course::{Course, Ending};
use self::input::Input;
use self::printer::{Printed, Printer};
use self::progress::Progress;
use self::tally::Tally;
use super::note;
use crate::cli::{self, AboveZero, AtLeastOne, Seconds, Shutdown};

/// Runs jobs here, without a bus: one a line, [PRIORITY<TAB>]COMMAND, so many
/// at a time. The most urgent start first, and evict the least urgent.
#[derive(FromArgs, Debug)]
#[argh(
    subcommand,
    name = "run",
    help_triggers("-h", "--help"),
    example = "find . -name '*.wav' -printf 'flac %p\\n' | sched run -s 4",
    note = "\
Lines. Words are split as a shell does it, with quotes and backslashes and # for
comments, but no shell sees them: no variables, no patterns, no pipes (for these:
sh -c '...'). PRIORITY is a whole number, lower is more urgent; without it, 5.
A line that cannot be understood (an open quote, a negative priority, more than
128 KiB) is told with its number and counts as refused; the others run.

Order. At most 65,536 jobs, of 16 MiB of text, have been read and have not ended;
more is read as they end. Priorities count among those. If the input is a file,
nothing starts until it is read that far, so that the most urgent of them start
first; from a pipe each job starts as soon as it is read, and may be evicted for
one that comes later. An evicted job starts anew when its turn comes again, and
only what its last run wrote is printed; with --on-evict drop it is over.

Output. What a job writes is kept in two nameless files in $TMPDIR (or /tmp), and
printed in one piece when it has ended: stdout to stdout, stderr to stderr. It can
be as much as there is room for: a job that fills the disk is told so by its own
write. If nobody takes the output, no more jobs are started until somebody does. If
it cannot be written (nobody reads any more, the disk is full), the run ends as on
INT. A job reads nothing from standard input.

With --json there is one object a line and job on stdout, with what it wrote in
\"stdout\" and \"stderr\"; what is not UTF-8 in there is replaced.

INT or TERM: nothing more is read or started, and what runs is asked to end, and
killed after its grace period. Output of which nothing is taken for 2 s is given up
then, and counted. A second one kills at once.",
    error_code(0, "every job finished: its program exited with 0"),
    error_code(1, "not every one did, a line was refused, or the run was ended early"),
    error_code(2, "the arguments make no sense")
)]
pub struct Run {
    /// how many jobs run at once (default: the number of processors)
    #[argh(option, short = 's', arg_name = "SLOTS")]
    slots: Option<AtLeastOne>,

    /// seconds that one run may take (default: no limit)
    #[argh(option, short = 't', arg_name = "SECONDS")]
    timeout: Option<AboveZero>,

    /// seconds between asking a process to end and killing it (default: 5)
    #[argh(option, arg_name = "SECONDS")]
    grace: Option<Seconds>,

    /// what becomes of an evicted job: drop or requeue (default: requeue)
    #[argh(option, arg_name = "FATE", default = "OnEvict::Requeue", from_str_fn(cli::fate))]
    on_evict: OnEvict,

    /// tell every outcome as a line of JSON
    #[argh(switch)]
    json: bool,

    /// where the jobs are (default: -, standard input)
    #[argh(positional, arg_name = "FILE", default = "String::from(\"-\")")]
    file: String,
}

impl Run {
    pub(super) fn run(self) -> ExitCode {
        cli::log_to_stderr("error");
        let input = Input::open(&self.file)
            .unwrap_or_else(|why| cli::refuse("sched run", &format!("{}: {why}", self.file)));
        let scheduler = Scheduler::start(self.slots(), self.policy())
            .unwrap_or_else(|why| cli::refuse("sched run", &why.to_string()));
        // All the work is a task on the executor's own thread: each job would
        // otherwise cost a switch to this thread and back. This one only waits.
        let course = smol::spawn(conduct(self, input, scheduler));
        futures_lite::future::block_on(course)
    }

    fn slots(&self) -> NonZeroUsize {
        let asked = self.slots.and_then(|AtLeastOne(slots)| NonZeroUsize::new(slots as usize));
        asked.or_else(|| available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN)
    }

    fn policy(&self) -> Policy {
        let policy = Policy::seed();
        Policy {
            grace: self.grace.map_or(policy.grace, |Seconds(grace)| grace),
            on_evict: self.on_evict,
            on_exhausted: OnExhausted::Pause(Backoff::EXHAUSTED),
            ..policy
        }
    }
}

async fn conduct(run: Run, input: Input, scheduler: Scheduler) -> ExitCode {
    let shutdown = match Shutdown::with_children() {
        Ok(shutdown) => shutdown,
        Err(why) => {
            note(format_args!("cannot watch for signals: {why}"));
            return ExitCode::FAILURE;
        }
    };
    let progress = Progress::start();
    let (printer, printing) = Printer::start(run.json, progress.clone(), shutdown.clone());
    let ending = Ending::watch(&scheduler, shutdown, &printer);
    let time_limit = run.timeout.map(|AboveZero(limit)| limit);
    let guard = Guard::post().await;
    let guard = guard.inspect_err(|why| note(format_args!("jobs would outlive this run: {why}")));
    let guard = guard.ok();
    let mark = guard.as_ref().map(Guard::mark).map(|(name, mark)| (name, mark.to_owned()));
    let course = Course::new(
        scheduler.clone(),
        printer,
        progress.clone(),
        time_limit,
        run.slots().get(),
        mark,
    );
    let tally = course.run(input, ending).await;
    let printed = printing.finish().await;
    // The bar is not to be had from who prints for ever.
    if !matches!(printed, Printed::GivenUp(_)) {
        progress.finish();
    }
    let summary = scheduler.stop().await;
    if let Some(guard) = guard {
        guard.dismiss();
    }
    conclude(&tally, &printed, &summary)
}

fn conclude(
    tally: &Tally,
    printed: &Printed,
    summary: &sched_runtime_smol::scheduler::Summary,
) -> ExitCode {
    match printed {
        Printed::All => {}
        Printed::Failed(why) => note(format_args!("the output cannot be written: {why}")),
        Printed::GivenUp(count) => {
            note(format_args!("nobody takes the output: that of {count} jobs is lost"));
        }
    }
    note(tally.in_words(summary));
    if tally.all_finished() && matches!(printed, Printed::All) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
