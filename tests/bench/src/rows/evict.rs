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
use crate::kit::Kit;
use crate::machine::Place;
use crate::row::{Contender, Metric, Role, Row, Target, Terms, median};
use crate::trouble::{Doing, Result, Trouble};

/// How long a victim runs before it is evicted: it has loaded by then, and
/// sleeps.
const SETTLE: Duration = Duration::from_millis(5);

const VICTIM: [&str; 2] = ["/bin/sleep", "60"];
const SUCCESSOR: &str = "/bin/true";

pub(super) fn rows(kit: &Kit) -> Vec<Row> {
    let target = Target::TimesLimit(1.2);
    let kit = kit.clone();
    vec![Row {
        key: "evict".to_owned(),
        what: "1 slot, a victim that ends at TERM: from the decision until there is the successor"
            .to_owned(),
        metrics: vec![Metric { what: "median", unit: "us", target }],
        slices: 1,
        contenders: vec![
            Contender::new(Role::Ours, "the scheduler of this library", |terms| {
                Ok(vec![Some(smol::block_on(ours(times(terms)))? / 1e3)])
            }),
            Contender::new(Role::Limit, "kill, wait and posix_spawn, in C", move |terms| {
                Ok(vec![Some(limit(&kit, times(terms))? / 1e3)])
            }),
        ],
    }]
}

const fn times(terms: &Terms) -> usize {
    terms.pick(200, 20)
}

/// The median, in nanoseconds.
async fn ours(times: usize) -> Result<f64> {
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
    let mut took = Vec::new();
    for _ in 0..times {
        let [program, argument] = VICTIM;
        let victim = JobSpec::new(Priority::new(9), Command::new(program).arg(argument));
        let victim = scheduler.submit(victim).await.map_err(Trouble::wrong)?;
        when(&mut story, |kind| started(kind, victim.id())).await?;
        Timer::after(SETTLE).await;
        let successor = JobSpec::new(Priority::new(0), Command::new(SUCCESSOR));
        let successor = scheduler.submit(successor).await.map_err(Trouble::wrong)?;
        let decided = |kind: &EventKind| matches!(kind, EventKind::Stopping { job, .. } if *job == victim.id());
        let decided = when(&mut story, decided).await?;
        let runs = when(&mut story, |kind| started(kind, successor.id())).await?;
        took.push((runs - decided).as_nanos() as f64);
        successor.ended().await.map_err(Trouble::wrong)?;
    }
    median(took).ok_or_else(|| Trouble::wrong("nothing was evicted"))
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

fn limit(kit: &Kit, times: usize) -> Result<f64> {
    let mut command = Program::new(kit.evict_limit()?);
    command.args([times.to_string(), SETTLE.as_micros().to_string()]).args(VICTIM).arg(SUCCESSOR);
    command.stdout(Stdio::piped()).stdin(Stdio::null());
    let process = Process::start(&mut command, Place::Anywhere)?;
    let mut text = String::new();
    process.output().map(|mut out| out.read_to_string(&mut text)).transpose().doing("read")?;
    let ended = process.wait()?;
    let took = text.trim().parse().ok().filter(|_| ended.success());
    took.ok_or_else(|| Trouble::wrong(format_args!("the floor ended with {ended}")))
}
