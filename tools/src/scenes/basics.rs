//! Starting, waiting, and every way to end.

use std::time::Duration;

use async_channel::bounded;
use sched_core::{ExitStatus, Outcome, TimeBound};
use sched_runtime_smol::{Command, Output, Process};
use smol::Timer;
use smol::future::or;

use super::stage::{Misbehaviour, Stage, check, check_outcome, check_time};

const TERM: ExitStatus = ExitStatus::Signal(15);

fn sleep(long: Duration) -> Command {
    Command::new("sleep").arg(long.as_secs_f64().to_string())
}

/// Without the wrapper: what it is built on.
pub(super) async fn together(stage: &Stage) -> Result<(), Misbehaviour> {
    let raw = |parts: u32| {
        let long = stage.long() * parts / 5;
        let mut command = smol::process::Command::new("sleep");
        command.arg(long.as_secs_f64().to_string()).kill_on_drop(true);
        stage.say(format!("starting a raw process that sleeps {long:.3?}"));
        command.spawn().map_err(|why| Misbehaviour(format!("cannot start sleep: {why}")))
    };
    let mut children = [raw(1)?, raw(2)?, raw(3)?];
    for child in &mut children {
        let status = child.status().await;
        let status = status.map_err(|why| Misbehaviour(format!("cannot await sleep: {why}")))?;
        stage.say(format!("process {} ended: {status}", child.id()));
        check(status.success(), || format!("sleep failed: {status}"))?;
    }
    check_time(stage.elapsed(), stage.long() * 3 / 5)
}

pub(super) async fn wait(stage: &Stage) -> Result<(), Misbehaviour> {
    stage.say("starting a task, and waiting for it");
    let nap = stage.long() / 5;
    let script = format!("sleep {}; echo done", nap.as_secs_f64());
    let command = Command::new("sh").args(["-c", &script]).output(Output::CAPTURE);
    let process = stage.run(command)?;
    let result = stage.end(&process).await?;
    stage.say(format!("{result}"));
    check_outcome(&result, &Outcome::Finished)?;
    check_time(stage.elapsed(), nap)?;
    let output = result.output.clone().unwrap_or_default();
    check(output.bytes == b"done\n", || format!("it wrote {:?}", output.text()))?;
    let again = stage.end(&process).await?;
    check(again == result, || format!("asked again, it says {again}"))
}

pub(super) async fn callback(stage: &Stage) -> Result<(), Misbehaviour> {
    let (told, outcome) = bounded(1);
    let mut process = Process::new(sleep(stage.long() / 2));
    process.on_done(move |result| drop(told.try_send(result.outcome.clone())));
    stage.start(&mut process)?;
    stage.say("started a task with a callback; going on");
    let mut steps = 0;
    let outcome = loop {
        let step = async {
            Timer::after(stage.long() / 10).await;
            None
        };
        match or(async { outcome.recv().await.ok() }, step).await {
            Some(outcome) => break outcome,
            None => steps += 1,
        }
        stage.say(format!("the caller does something else: step {steps}"));
        check(stage.elapsed() < stage.long() * 10, || "the callback was never called".into())?;
    };
    stage.say(format!("called back: {outcome}"));
    check(outcome == Outcome::Finished, || format!("the outcome is {outcome}"))?;
    check(steps > 0, || "the caller could not go on".into())
}

pub(super) async fn failure(stage: &Stage) -> Result<(), Misbehaviour> {
    let mut failing = stage.run(Command::new("sh").args(["-c", "exit 3"]))?;
    let result = stage.end(&failing).await?;
    stage.say(format!("exit 3: {result}"));
    check_outcome(&result, &Outcome::Failed(ExitStatus::Code(3)))?;

    let second = failing.start();
    check(second.is_err(), || "it could be started twice".into())?;
    stage.say("a second start is refused");

    let missing = stage.run(Command::new("/no/such/program"))?;
    let result = stage.end(&missing).await?;
    stage.say(format!("{result}"));
    check(matches!(result.outcome, Outcome::SpawnFailed(_)), || "it was started".into())
}

pub(super) async fn time_limit(stage: &Stage) -> Result<(), Misbehaviour> {
    let limit = stage.long();
    stage.say(format!("starting a task of {:.3?} with a time limit of {limit:.3?}", limit * 4));
    let mut process = Process::new(sleep(limit * 4)).time_limit(limit);
    stage.start(&mut process)?;
    let result = stage.end(&process).await?;
    stage.say(format!("{result}"));
    check_outcome(&result, &Outcome::TimedOut { limit: TimeBound::Run, exit: TERM })?;
    check_time(result.ran, limit)
}

pub(super) async fn terminate(stage: &Stage) -> Result<(), Misbehaviour> {
    let after = stage.long();
    stage.say(format!("starting a task of {:.3?}, to be terminated after {after:.3?}", after * 4));
    let process = stage.run(sleep(after * 4))?;
    Timer::after(after).await;
    stage.say("terminating it");
    process.terminate().map_err(|why| Misbehaviour(why.to_string()))?;
    let result = stage.end(&process).await?;
    stage.say(format!("{result}"));
    check_outcome(&result, &Outcome::Cancelled { exit: Some(TERM) })?;
    check_time(stage.elapsed(), after)
}
