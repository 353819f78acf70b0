//! `sched submit`.

use std::collections::BTreeMap;

use argh::FromArgs;
use sched_core::OnEvict;
use sched_core::bus::MAX_RUNTIME;
use sched_core::bus::v1::SubmitOptions;
use sched_runtime_smol::bus::BusUrl;
use serde::Serialize;

use super::address::{self, USUAL_PATIENCE};
use super::handover::{follow, hand_in};
use super::{Failure, Patience, Status};
use crate::cli::{self, AboveZero, AtLeastOne, Seconds};

/// Submits a job, and prints its id. It runs on whatever scheduler of the bus
/// has room, or a less urgent run to evict.
#[derive(FromArgs, Debug)]
#[argh(
    subcommand,
    name = "submit",
    help_triggers("-h", "--help"),
    example = "sched submit -p 3 --wait -- make -C /srv/site",
    note = "An option that is left out follows the policy of the bus. With --wait, what the \
            program wrote last is printed as well, as far as its scheduler captured it.",
    error_code(0, "accepted; with --wait: finished"),
    error_code(2, "the arguments make no sense"),
    error_code(125, "no bus, one of version 0, or it refuses; with --wait, see wait --help")
)]
pub struct Submit {
    /// how urgent it is; lower is more urgent (default: 5)
    #[argh(option, short = 'p', arg_name = "PRIO", default = "5", from_str_fn(priority))]
    priority: i32,

    /// seconds that one run may take
    #[argh(option, short = 't', arg_name = "SECONDS")]
    timeout: Option<AboveZero>,

    /// seconds that it may wait for its first start
    #[argh(option, arg_name = "SECONDS")]
    expires: Option<AboveZero>,

    /// seconds that it may take as a whole
    #[argh(option, arg_name = "SECONDS")]
    deadline: Option<AboveZero>,

    /// a second submission under the same key within ten minutes is the first
    /// (default: a random one)
    #[argh(option, arg_name = "KEY", from_str_fn(key))]
    key: Option<String>,

    /// what becomes of it when it is evicted: requeue or drop
    #[argh(option, arg_name = "FATE", from_str_fn(fate))]
    on_evict: Option<OnEvict>,

    /// how often it is tried until it finishes
    #[argh(option, arg_name = "N")]
    attempts: Option<AtLeastOne>,

    /// follow it, and exit as it does
    #[argh(switch)]
    wait: bool,

    /// where it runs (default: where its scheduler does)
    #[argh(option, arg_name = "DIR")]
    cwd: Option<String>,

    /// a variable of its environment, KEY=VALUE; may be given again
    #[argh(option, arg_name = "KEY=VALUE", from_str_fn(variable))]
    env: Vec<(String, String)>,

    /// instead of a program: a test job, which takes so many seconds
    #[argh(option, arg_name = "SECONDS")]
    runtime: Option<Seconds>,

    /// where the bus is (default: $SCHED_BUS, or ws://localhost:8101)
    #[argh(option, arg_name = "URL")]
    bus: Option<BusUrl>,

    /// seconds to wait for a bus that is not there (default: 5)
    #[argh(option, arg_name = "SECONDS", default = "AboveZero(USUAL_PATIENCE)")]
    connect: AboveZero,

    /// the program and its arguments
    #[argh(positional, greedy, arg_name = "PROGRAM")]
    program: Vec<String>,
}

/// What the scheduler is given.
#[derive(Serialize)]
struct Payload<'a> {
    priority: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    runtime: Option<f64>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    command: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    cwd: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    env: BTreeMap<&'a str, &'a str>,
}

impl Submit {
    pub(super) fn run(self) -> Result<Status, Failure> {
        let payload = self.payload().unwrap_or_else(|why| cli::refuse("sched submit", &why));
        let url = address::bus(self.bus.clone());
        let opts = self.options();
        if self.wait {
            address::run(follow(url, Patience::AtFirst(self.connect.0), payload, opts))
        } else {
            address::run(hand_in(url, Patience::Always(self.connect.0), payload, opts))
        }
    }

    fn payload(&self) -> Result<String, String> {
        match (self.runtime, self.program.is_empty()) {
            (None, true) => return Err("a program is needed, or --runtime".to_owned()),
            (Some(_), false) => return Err("a program or --runtime, not both".to_owned()),
            (Some(_), true) if self.cwd.is_some() || !self.env.is_empty() => {
                return Err("--cwd and --env are for programs, not for --runtime".to_owned());
            }
            _ => {}
        }
        let payload = Payload {
            priority: self.priority,
            runtime: self.runtime.map(|Seconds(time)| time.min(MAX_RUNTIME).as_secs_f64()),
            command: &self.program,
            cwd: self.cwd.as_deref(),
            env: self.env.iter().map(|(key, value)| (&**key, &**value)).collect(),
        };
        serde_json::to_string(&payload).map_err(|why| why.to_string())
    }

    fn options(&self) -> SubmitOptions {
        SubmitOptions {
            key: Some(self.key.clone().unwrap_or_else(random_key)),
            on_evict: self.on_evict,
            max_attempts: self.attempts.map(|AtLeastOne(count)| count),
            max_lost: None,
            timeout_ms: self.timeout.map(millis),
            expires_ms: self.expires.map(millis),
            deadline_ms: self.deadline.map(millis),
        }
    }
}

/// A key that nobody else has: with it a submission can be sent again after a
/// loss of connection, and is still one.
#[must_use]
pub fn random_key() -> String {
    format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..))
}

fn millis(AboveZero(time): AboveZero) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn priority(text: &str) -> Result<i32, String> {
    match text.parse::<i32>() {
        Ok(number) if number >= 0 => Ok(number),
        _ => Err(format!("{text:?} is no priority: a whole number from 0 to {}", i32::MAX)),
    }
}

fn key(text: &str) -> Result<String, String> {
    const LONGEST: usize = 256;
    match text.len() {
        1..=LONGEST => Ok(text.to_owned()),
        length => Err(format!("a key has 1 to {LONGEST} bytes, not {length}")),
    }
}

pub(super) fn fate(text: &str) -> Result<OnEvict, String> {
    match text {
        "drop" => Ok(OnEvict::Drop),
        "requeue" => Ok(OnEvict::Requeue),
        _ => Err(format!("{text:?} is neither drop nor requeue")),
    }
}

fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(format!("{text:?} is not KEY=VALUE")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn submit(words: &[&str]) -> Result<Submit, String> {
        Submit::from_args(&["sched", "submit"], words).map_err(|early| early.output)
    }

    fn payload(words: &[&str]) -> Result<String, String> {
        submit(words)?.payload()
    }

    #[test]
    fn what_follows_the_program_is_its_own() {
        let expected = r#"{"priority":5,"command":["make","-p","1","--help","--","x"]}"#;
        assert_eq!(payload(&["--", "make", "-p", "1", "--help", "--", "x"]).unwrap(), expected);
        assert_eq!(payload(&["make", "-p", "1", "--help", "--", "x"]).unwrap(), expected);
    }

    #[test]
    fn a_test_job_is_written_as_the_producer_writes_it() {
        assert_eq!(
            payload(&["-p", "3", "--runtime", "1.5"]).unwrap(),
            r#"{"priority":3,"runtime":1.5}"#
        );
    }

    #[test]
    fn places_and_variables_belong_to_the_program() {
        let words = ["--cwd", "/srv", "--env", "A=1=2", "--env", "B=", "--", "true"];
        assert_eq!(
            payload(&words).unwrap(),
            r#"{"priority":5,"command":["true"],"cwd":"/srv","env":{"A":"1=2","B":""}}"#
        );
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (words, why) in [
            (&["-p", "-1", "--", "true"][..], "no priority"),
            (&["-p", "x", "--", "true"], "no priority"),
            (&["-t", "0", "--", "true"], "too small"),
            (&["--attempts", "0", "--", "true"], "whole number"),
            (&["--on-evict", "eat", "--", "true"], "neither drop nor requeue"),
            (&["--env", "=1", "--", "true"], "not KEY=VALUE"),
            (&["--key", "", "--", "true"], "a key has"),
            (&["--runtime", "1", "--", "true"], "not both"),
            (&["--runtime", "1", "--cwd", "/"], "for programs"),
            (&[], "a program is needed"),
            (&["--"], "a program is needed"),
        ] {
            let error = payload(words).unwrap_err();
            assert!(error.contains(why), "{words:?}: {error}");
        }
    }

    #[test]
    fn every_submission_has_a_key_of_its_own() {
        let key = |words: &[&str]| submit(words).unwrap().options().key.unwrap();
        assert_ne!(key(&["--", "true"]), key(&["--", "true"]));
        assert_eq!(key(&["--key", "k", "--", "true"]), "k");
    }

    #[test]
    fn times_are_told_in_milliseconds() {
        let words = ["-t", "1.5", "--expires", "2", "--deadline", "3", "--attempts", "4"];
        let opts = submit(&[&words[..], &["--", "true"]].concat()).unwrap().options();
        assert_eq!((opts.timeout_ms, opts.expires_ms), (Some(1500), Some(2000)));
        assert_eq!((opts.deadline_ms, opts.max_attempts), (Some(3000), Some(4)));
    }
}
