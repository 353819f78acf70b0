//! From the decision to evict until the successor runs.

use std::io::Read;
use std::num::NonZeroUsize;
use std::process::{Command as Program, Stdio};
use std::time::Duration;

use sched_core::{EventKind, Instant, JobId, JobSpec, Policy, Priority};
use sched_runtime_smol::scheduler::{Notice, Subscription};
use sched_runtime_smol::{Command, Scheduler};
use smol::Timer;

use crate::child::Process;
use crate::cleanup::undoing;
use crate::herald::{Herald, now};
use crate::kit::Kit;
use crate::machine::Place;
use crate::row::{Contender, Figures, Metric, Role, Row, Target, Terms, median};
use crate::trouble::{Doing, Result, Trouble};

/// How long a victim runs before it is evicted: it has loaded by then, and
/// sleeps.
const SETTLE: Duration = Duration::from_millis(5);

const VICTIM: [&str; 2] = ["/bin/sleep", "60"];

pub(super) fn rows(kit: &Kit) -> Vec<Row> {
    let target = Target::TimesLimit(1.2);
    let metric = |what| Metric { what, unit: "us", target };
    let (kit, other) = (kit.clone(), kit.clone());
    vec![Row {
        key: "evict".to_owned(),
        what: "1 slot, a victim that ends at TERM: from the decision until the successor runs, \
               and until that is known"
            .to_owned(),
        metrics: vec![metric("median until it runs"), metric("median until it is known")],
        slices: 1,
        contenders: vec![
            Contender::new(Role::Ours, "the scheduler of this library", move |terms| {
                smol::block_on(ours(&other, times(terms)))
            }),
            Contender::new(Role::Limit, "kill, wait and posix_spawn, in C", move |terms| {
                limit(&kit, times(terms))
            }),
        ],
    }]
}

const fn times(terms: &Terms) -> usize {
    terms.pick(200, 20)
}

async fn ours(kit: &Kit, times: usize) -> Result<Figures> {
    let herald = Herald::new(kit, "evict")?;
    let (scheduler, _guard) = undoing(|| {
        let scheduler = Scheduler::start(NonZeroUsize::MIN, Policy::seed());
        let scheduler = scheduler.map_err(Trouble::wrong)?;
        let end = scheduler.clone();
        let end = move || {
            let _summary = smol::block_on(end.kill());
        };
        Ok((scheduler, end))
    })?;
    let mut story = scheduler.subscribe().await.map_err(Trouble::wrong)?;
    let zero = began(&scheduler).await?;
    let (mut known, mut runs) = (Vec::new(), Vec::new());
    for _ in 0..times {
        let [program, argument] = VICTIM;
        let victim = JobSpec::new(Priority::new(9), Command::new(program).arg(argument));
        let victim = scheduler.submit(victim).await.map_err(Trouble::wrong)?;
        when(&mut story, |kind| started(kind, victim.id())).await?;
        Timer::after(SETTLE).await;
        let [program, argument] = herald.words();
        let successor = JobSpec::new(Priority::new(0), Command::new(program).arg(argument));
        let successor = scheduler.submit(successor).await.map_err(Trouble::wrong)?;
        let decided = |kind: &EventKind| matches!(kind, EventKind::Stopping { job, .. } if *job == victim.id());
        let decided = when(&mut story, decided).await?;
        let heard = when(&mut story, |kind| started(kind, successor.id())).await?;
        known.push((heard - decided).as_nanos() as f64 / 1e3);
        runs.push((herald.ran()? - zero - decided.as_nanos() as i64) as f64 / 1e3);
        successor.ended().await.map_err(Trouble::wrong)?;
    }
    Ok(vec![median(runs), median(known)])
}

/// What the clock that processes share showed when the scheduler's began: by
/// the look that took least.
async fn began(scheduler: &Scheduler) -> Result<i64> {
    const LOOKS: usize = 100;
    let mut best: Option<(i64, i64)> = None;
    for _ in 0..LOOKS {
        let before = now();
        let its = scheduler.inspect(|_, its| its).await.map_err(Trouble::wrong)?;
        let took = now() - before;
        let zero = before + took / 2 - its.as_nanos() as i64;
        best = best.into_iter().chain([(took, zero)]).min();
    }
    best.map(|(_, zero)| zero).ok_or_else(|| Trouble::wrong("the scheduler shows no time"))
}

fn started(kind: &EventKind, wanted: JobId) -> bool {
    matches!(kind, EventKind::Started { job, .. } if *job == wanted)
}

/// Waits for an event; returns when it was.
async fn when(story: &mut Subscription, is_it: impl Fn(&EventKind) -> bool) -> Result<Instant> {
    loop {
        match story.next().await {
            Some(Notice::Event(event)) if is_it(&event.kind) => return Ok(event.at),
            Some(Notice::Event(_)) => {}
            _ => return Err(Trouble::wrong("the scheduler's events ended, or some are missing")),
        }
    }
}

fn limit(kit: &Kit, times: usize) -> Result<Figures> {
    let herald = Herald::new(kit, "evict-limit")?;
    let mut command = Program::new(kit.evict_limit()?);
    command.args([times.to_string(), SETTLE.as_micros().to_string()]).args(VICTIM);
    command.args(herald.words()).stdout(Stdio::piped()).stdin(Stdio::null());
    let process = Process::start(&mut command, Place::Anywhere)?;
    let mut text = String::new();
    process.output().map(|mut out| out.read_to_string(&mut text)).transpose().doing("read")?;
    let ended = process.wait()?;
    let took = text.split_whitespace().map(|word| word.parse::<f64>().ok());
    let [Some(known), Some(runs)] = took.collect::<Vec<_>>()[..] else {
        return Err(Trouble::wrong(format_args!("the floor ended with {ended}")));
    };
    Ok(vec![Some(runs / 1e3), Some(known / 1e3)])
}
