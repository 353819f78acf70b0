//! Many at once.

use std::collections::VecDeque;
use std::fs;

use sched_core::{ExitStatus, Outcome, OutcomeKind};
use sched_runtime_smol::{Command, Process};

use super::stage::{Misbehaviour, Stage, check, check_outcome};

/// How many are terminated at once.
const BURST: usize = 50;
/// How many short ones there are.
const SHORT: usize = 1_000;
/// How many of them at once.
const AT_ONCE: usize = 32;

pub(super) async fn burst(stage: &Stage) -> Result<(), Misbehaviour> {
    let sleeper = || stage.run(Command::new("sleep").arg("600"));
    let processes = (0..BURST).map(|_| sleeper()).collect::<Result<Vec<_>, _>>()?;
    stage.say(format!("{BURST} tasks are starting; terminating them all"));
    for process in &processes {
        process.terminate().map_err(|why| Misbehaviour(why.to_string()))?;
    }
    for process in &processes {
        let result = stage.end(process).await?;
        // One whose turn had not come was never started.
        if result.outcome != (Outcome::Cancelled { exit: None }) {
            check_outcome(&result, &Outcome::Cancelled { exit: Some(ExitStatus::Signal(15)) })?;
        }
    }
    stage.say("all have ended, each by TERM or before its turn");
    nobody_left(stage)
}

pub(super) async fn thousand(stage: &Stage) -> Result<(), Misbehaviour> {
    stage.say(format!("running {SHORT} short tasks, {AT_ONCE} at once"));
    let mut live = VecDeque::<Process>::with_capacity(AT_ONCE);
    let mut finished = 0;
    for _ in 0..SHORT {
        if live.len() == AT_ONCE {
            finished += end_first(stage, &mut live).await?;
        }
        live.push_back(stage.run(Command::new("true"))?);
    }
    while !live.is_empty() {
        finished += end_first(stage, &mut live).await?;
    }
    let rate = f64::from(finished) / stage.elapsed().as_secs_f64();
    stage.say(format!("{finished} have finished, {rate:.0} a second"));
    nobody_left(stage)
}

async fn end_first(stage: &Stage, live: &mut VecDeque<Process>) -> Result<u32, Misbehaviour> {
    let Some(process) = live.pop_front() else { return Ok(0) };
    let result = stage.end(&process).await?;
    check(result.outcome.kind() == OutcomeKind::Finished, || format!("one {result}"))?;
    Ok(1)
}

/// Every process is reaped: this program has no child, be it a zombie.
fn nobody_left(stage: &Stage) -> Result<(), Misbehaviour> {
    let children = children();
    check(children.is_empty(), || format!("children are left: {children:?}"))?;
    stage.say("no child and no zombie is left");
    Ok(())
}

fn children() -> Vec<String> {
    let threads = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let lists = threads.flat_map(|thread| fs::read_to_string(thread.path().join("children")));
    lists.flat_map(|list| list.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).collect()
}
