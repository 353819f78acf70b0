//! The sample scheduler: takes jobs from a bus, and runs a process for each.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::time::Duration;

use sched_core::bus::TestJob;
use sched_core::{Policy, Priority};
use sched_runtime_smol::bus::{Agent, AgentConfig, AgentCounts, AgentError, BusUrl, Wanted};
use sched_runtime_smol::scheduler::{Notice, Subscription, Summary};
use sched_runtime_smol::{Command, Output, Scheduler};
use serde::Deserialize;
use tracing::{debug, info, warn};

use crate::narrate::{Loudness, Narrator};

/// How a [`Worker`] runs jobs.
#[derive(Clone, Debug)]
pub struct Terms {
    /// What people call it.
    pub name: String,
    /// How many jobs run at once.
    pub slots: NonZeroUsize,
    /// How long a job may run that says nothing about it itself.
    pub time_limit: Option<Duration>,
    /// The rules of its scheduler; see [`AgentConfig::policy`].
    pub policy: Policy,
    /// The programs that it runs for others. Test jobs, which only sleep, it
    /// always runs.
    pub allow: Vec<String>,
}

/// A scheduler that serves a bus.
#[derive(Debug)]
pub struct Worker(Agent);

/// What a worker has done when it has ended.
#[derive(Clone, Debug)]
pub struct Report {
    /// What its scheduler has done; `None`: it went away.
    pub summary: Option<Summary>,
    /// What it was offered.
    pub counts: AgentCounts,
}

impl Worker {
    /// Starts a scheduler, and connects to the bus in the background.
    ///
    /// # Errors
    ///
    /// This machine cannot run so many processes at once.
    pub async fn start(bus: BusUrl, terms: Terms) -> Result<Self, AgentError> {
        let Terms { name, slots, time_limit, policy, allow } = terms;
        let config = AgentConfig { bus, name, slots, policy };
        let translate = move |payload: &str| wanted(payload, &allow, time_limit);
        Ok(Self(Agent::start(config, Box::new(translate)).await?))
    }

    /// Its scheduler, to look at.
    #[must_use]
    pub const fn scheduler(&self) -> &Scheduler {
        self.0.scheduler()
    }

    /// Takes jobs from the first call on, until it is [ended](Self::end).
    pub async fn serve(&self) {
        self.0.serve().await;
    }

    /// Takes no more jobs and ends those that are there, each with its grace
    /// period, which ends when `hurry` does.
    pub async fn end(self, hurry: impl Future<Output = ()>) -> Report {
        let (summary, counts) = self.0.end(hurry).await;
        Report { summary, counts }
    }
}

/// A payload that names a program.
#[derive(Deserialize)]
struct ProgramJob {
    priority: i32,
    command: Vec<String>,
    #[serde(default)]
    cwd: Option<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
}

/// What a payload asks for, or why it is not run here.
fn wanted(payload: &str, allow: &[String], limit: Option<Duration>) -> Result<Wanted, String> {
    if let Ok(job) = serde_json::from_str::<ProgramJob>(payload) {
        return program(job, allow, limit);
    }
    let job = TestJob::from_payload(payload).map_err(|why| why.to_string())?;
    let command = Command::new("sleep").arg(job.runtime.as_secs_f64().to_string());
    Ok(Wanted { priority: job.priority, command, time_limit: limit })
}

fn program(job: ProgramJob, allow: &[String], limit: Option<Duration>) -> Result<Wanted, String> {
    let ProgramJob { priority, command, cwd, env } = job;
    let Some((program, arguments)) = command.split_first() else {
        return Err("its \"command\" is empty".into());
    };
    if !allow.contains(program) {
        return Err(format!("this scheduler is not allowed to run {program:?}"));
    }
    if priority < 0 {
        return Err(format!("\"priority\" is {priority}, and must not be negative"));
    }
    let mut command = Command::new(program).args(arguments).output(Output::CAPTURE);
    if let Some(folder) = cwd {
        command = command.cwd(folder);
    }
    for (name, value) in env {
        command = command.env(name, value);
    }
    Ok(Wanted { priority: Priority::new(priority), command, time_limit: limit })
}

/// Tells the story of a scheduler, a line at a time, until it has ended.
pub async fn tell_story(mut story: Subscription, slots: usize, say: impl Fn(Loudness, &str)) {
    let mut narrator = Narrator::new(slots);
    while let Some(notice) = story.next().await {
        match notice {
            Notice::Event(event) => {
                if let Some((loudness, line)) = narrator.tell(&event) {
                    say(loudness, &line);
                }
            }
            Notice::Missed(count) => {
                say(Loudness::Warning, &format!("{count} events are missing here"));
            }
        }
    }
}

/// Writes a line of a story to the log.
pub fn log_line(loudness: Loudness, line: &str) {
    match loudness {
        Loudness::Warning => warn!("{line}"),
        Loudness::Normal => info!("{line}"),
        Loudness::Detail => debug!("{line}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_runs_only_if_it_is_allowed() {
        let payload = r#"{"priority":3,"command":["echo","a b"],"cwd":"/","env":{"X":"1"}}"#;
        let refused = wanted(payload, &["true".into()], None).unwrap_err();
        assert!(refused.contains("not allowed to run \"echo\""), "{refused}");
        let wanted = wanted(payload, &["echo".into()], None).unwrap();
        let expected =
            Command::new("echo").arg("a b").cwd("/").env("X", "1").output(Output::CAPTURE);
        assert_eq!((wanted.priority.number(), wanted.command), (3, expected));
    }

    #[test]
    fn a_test_job_sleeps_and_rubbish_is_named() {
        let limit = Some(Duration::from_secs(10));
        let job = wanted(r#"{"priority":3,"runtime":1.5}"#, &[], limit).unwrap();
        assert_eq!((job.command, job.time_limit), (Command::new("sleep").arg("1.5"), limit));
        for payload in ["null", "{}", r#"{"priority":1,"command":[]}"#] {
            assert!(wanted(payload, &["".into()], None).is_err(), "{payload}");
        }
    }
}
