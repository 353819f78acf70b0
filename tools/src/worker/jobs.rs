//! What a payload asks for, and whether it may be run here.

use std::collections::BTreeMap;
use std::time::Duration;

use sched_core::Priority;
use sched_core::bus::TestJob;
use sched_runtime_smol::bus::Wanted;
use sched_runtime_smol::{Command, Output};
use serde::Deserialize;

/// How much of the name of a program is shown, in characters.
const SHOWN: usize = 80;

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
pub(super) fn wanted(
    payload: &str,
    allow: &[String],
    limit: Option<Duration>,
) -> Result<Wanted, String> {
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
        let shown: String = program.chars().take(SHOWN).collect();
        return Err(format!("this scheduler is not allowed to run {shown:?}"));
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
