//! What is asked of the scheduler, when, and what each process does.

use sched_core::{
    Backoff, BinIndex, Duration, ExitStatus, Instant, JobId, JobSpec, Policy, Priority, RunId,
    SchedulerBin,
};
use sched_tests::sim::processes::{Report, Script};
use std::num::NonZeroUsize;

/// How many jobs are submitted.
pub(crate) const JOBS: u64 = 60;
/// No two moments of the script are closer to one another.
pub(crate) const APART: Duration = Duration::from_millis(2);

/// Chosen so that [`APART`] holds; another one may well do.
const SEED: u64 = 1;

/// What is asked.
#[derive(Clone, Debug)]
pub(crate) enum Ask {
    Submit(JobSpec<Script>),
    Cancel(JobId),
    Pause,
    Resume,
}

/// What happens to the machine, from outside.
#[derive(Clone, Debug)]
pub(crate) enum Happening {
    Ask(Ask),
    Report(Report),
}

/// A machine that has nothing to do yet.
pub(crate) fn machine() -> SchedulerBin<Script> {
    let policy = Policy {
        grace: Duration::from_millis(700),
        aging: Some(Duration::from_secs(5)),
        // Halves and thousandths of these are whole milliseconds.
        retry: Backoff { first: Duration::from_secs(2), cap: Duration::from_secs(8) },
        ..Policy::durable()
    };
    SchedulerBin::new(NonZeroUsize::MIN.saturating_add(2), policy)
}

/// Gives the machine what happened.
pub(crate) fn give(bin: &mut SchedulerBin<Script>, now: Instant, what: Happening) {
    match what {
        Happening::Ask(Ask::Submit(job)) => drop(bin.submit(now, job)),
        Happening::Ask(Ask::Cancel(job)) => drop(bin.cancel(now, job)),
        Happening::Ask(Ask::Pause) => bin.pause(now),
        Happening::Ask(Ask::Resume) => bin.resume(now),
        Happening::Report(Report::Started(run)) => bin.handle_started(now, run),
        Happening::Report(Report::SpawnFailed(run, why)) => bin.handle_spawn_failed(now, run, why),
        Happening::Report(Report::Exit(run, exit)) => bin.handle_exit(now, run, exit),
    }
}

/// The script, in order of time.
pub(crate) fn asks() -> Vec<(Instant, Ask)> {
    let mut dice = fastrand::Rng::with_seed(SEED);
    let mut at = Instant::ZERO;
    let mut asks = Vec::new();
    for number in 1..=JOBS {
        at += Duration::from_millis(dice.u64(5..1_900));
        asks.push((at, Ask::Submit(job(number, &mut dice))));
        let between = match number {
            20 => Some(Ask::Pause),
            23 => Some(Ask::Resume),
            number if number % 9 == 0 => {
                Some(Ask::Cancel(JobId::new(BinIndex::default(), number - 1)))
            }
            _ => None,
        };
        if let Some(ask) = between {
            at += Duration::from_millis(dice.u64(5..300));
            asks.push((at, ask));
        }
    }
    asks
}

fn job(number: u64, dice: &mut fastrand::Rng) -> JobSpec<Script> {
    let millis = |dice: &mut fastrand::Rng, range| Duration::from_millis(dice.u64(range));
    let mut script = Script::runs_for(millis(dice, 200..6_000)).starts_in(millis(dice, 3..40));
    script.heeds_term = Some(millis(dice, 3..300)).filter(|_| number % 5 != 0);
    script.dies_after = millis(dice, 3..50);
    if number % 6 == 0 {
        script = script.ends_with(ExitStatus::Code(1));
    }
    let job = JobSpec::new(Priority::new(dice.i32(0..8)), script);
    match number % 8 {
        1 => job.time_limit(millis(dice, 500..2_500)),
        3 => job.expiry(millis(dice, 1_000..9_000)),
        5 => job.deadline(millis(dice, 5_000..15_000)),
        _ => job,
    }
}

/// The run that a report is about.
pub(crate) const fn run_of(report: &Report) -> RunId {
    match report {
        Report::Started(run) | Report::SpawnFailed(run, _) | Report::Exit(run, _) => *run,
    }
}
