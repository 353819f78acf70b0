//! Children that do not want to go, or that leave somebody behind.

use std::fs::{self, File};
use std::path::PathBuf;
use std::time::Duration;

use sched_core::{ExitStatus, Outcome};
use sched_runtime_smol::{Command, Process};
use smol::future::or;
use smol::io::{AsyncBufReadExt, BufReader};
use smol::{Timer, Unblock};

use super::stage::{Misbehaviour, Stage, check, check_outcome, check_time};

pub(super) async fn deaf(stage: &Stage) -> Result<(), Misbehaviour> {
    let grace = stage.long() / 5;
    let mut witness = Witness::new(stage).await?;
    let script = format!("trap '' TERM; {}; sleep 600", witness.says("deaf"));
    let mut process = Process::new(sh(&script)).grace(grace);
    stage.start(&mut process)?;
    witness.hear(stage, "deaf").await?;
    stage.say(format!("terminating it, with a grace period of {grace:.3?}"));
    let asked = stage.elapsed();
    process.terminate().map_err(|why| Misbehaviour(why.to_string()))?;
    let result = stage.end(&process).await?;
    stage.say(format!("{result}"));
    check_outcome(&result, &Outcome::Cancelled { exit: Some(ExitStatus::Signal(9)) })?;
    check_time(stage.elapsed() - asked, grace)?;
    witness.nobody_left(stage).await
}

pub(super) async fn family(stage: &Stage) -> Result<(), Misbehaviour> {
    let mut witness = Witness::new(stage).await?;
    let process = stage.run(sh(&format!("{} wait", generations(&witness))))?;
    witness.hear(stage, "here").await?;
    stage.say("terminating the leader of three");
    process.terminate().map_err(|why| Misbehaviour(why.to_string()))?;
    let result = stage.end(&process).await?;
    stage.say(format!("{result}"));
    check_outcome(&result, &Outcome::Cancelled { exit: Some(ExitStatus::Signal(15)) })?;
    witness.nobody_left(stage).await
}

pub(super) async fn orphans(stage: &Stage) -> Result<(), Misbehaviour> {
    let mut witness = Witness::new(stage).await?;
    let process = stage.run(sh(&generations(&witness)))?;
    witness.open().await?;
    let result = stage.end(&process).await?;
    stage.say(format!("the leader of three ended by itself: {result}"));
    check_outcome(&result, &Outcome::Finished)?;
    witness.nobody_left(stage).await
}

fn sh(script: &str) -> Command {
    Command::new("sh").args(["-c", script])
}

/// Two grandchildren, one of which ignores TERM.
fn generations(witness: &Witness) -> String {
    format!("{}; sleep 600 & sh -c 'trap \"\" TERM; echo here >&3; sleep 600' &", witness.says(""))
}

/// A named pipe that a child and its descendants hold open. Its end of file
/// says that they are all gone.
struct Witness {
    path: PathBuf,
    lines: Option<BufReader<Unblock<File>>>,
}

impl Witness {
    async fn new(stage: &Stage) -> Result<Self, Misbehaviour> {
        let name = format!("test_process-{}-{}", std::process::id(), fastrand::u64(..));
        let path = std::env::temp_dir().join(name);
        let mkfifo = stage.run(Command::new("mkfifo").arg(&path))?;
        check_outcome(&stage.end(&mkfifo).await?, &Outcome::Finished)?;
        Ok(Self { path, lines: None })
    }

    /// For a script: opens the pipe for good and writes a line into it.
    fn says(&self, line: &str) -> String {
        format!("exec 3> '{}'; echo {line} >&3", self.path.display())
    }

    /// Opens our end; it meets the child's there.
    async fn open(&mut self) -> Result<&mut BufReader<Unblock<File>>, Misbehaviour> {
        if self.lines.is_none() {
            let path = self.path.clone();
            let file = smol::unblock(move || File::open(path)).await;
            let file = file.map_err(|why| Misbehaviour(format!("no named pipe: {why}")))?;
            self.lines = Some(BufReader::new(Unblock::new(file)));
        }
        self.lines.as_mut().ok_or_else(|| Misbehaviour("no named pipe".into()))
    }

    async fn hear(&mut self, stage: &Stage, expected: &str) -> Result<(), Misbehaviour> {
        loop {
            let line = self.line().await?;
            check(!line.is_empty(), || format!("it ended without saying {expected:?}"))?;
            if line.trim() == expected {
                break;
            }
        }
        stage.say(format!("it says {expected:?}"));
        Ok(())
    }

    async fn nobody_left(&mut self, stage: &Stage) -> Result<(), Misbehaviour> {
        let gone = async {
            while !self.line().await?.is_empty() {}
            Ok(())
        };
        let guard = async {
            Timer::after(Duration::from_secs(10)).await;
            Err(Misbehaviour("a descendant lives on".into()))
        };
        or(gone, guard).await?;
        stage.say("it and all its descendants are gone");
        Ok(())
    }

    /// The next line, with its end; empty when nobody can write one any more.
    async fn line(&mut self) -> Result<String, Misbehaviour> {
        let mut line = String::new();
        let read = self.open().await?.read_line(&mut line).await;
        read.map_err(|why| Misbehaviour(format!("the named pipe: {why}")))?;
        check(line.len() < 1_000, || "a line without an end".into())?;
        Ok(line)
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}
