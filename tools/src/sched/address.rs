//! Where the bus is, and how long it is waited for.

use std::time::Duration;

use sched_core::JobId;
use sched_runtime_smol::bus::BusUrl;

use super::Failure;
use crate::cli;

/// The variable that says where the bus is.
const VARIABLE: &str = "SCHED_BUS";

/// How long a bus is waited for that is not there.
pub(super) const USUAL_PATIENCE: Duration = Duration::from_secs(5);

/// The bus that is meant: by the option, by the environment, or the local one.
/// One that makes no sense ends the process, with exit status 2.
pub(super) fn bus(option: Option<BusUrl>) -> BusUrl {
    let variable = std::env::var(VARIABLE).ok().filter(|text| !text.is_empty());
    match (option, variable) {
        (Some(url), _) => url,
        (None, None) => BusUrl::local(),
        (None, Some(text)) => match text.parse() {
            Ok(url) => url,
            Err(why) => cli::refuse("sched", &format!("{VARIABLE}={text:?}: {why}")),
        },
    }
}

pub(super) fn job(text: &str) -> Result<JobId, String> {
    JobId::parse(text).ok_or_else(|| format!("{text:?} is no job's id, such as j17"))
}

/// Runs what a verb does, with the log out of the way of what it prints.
pub(super) fn run<T>(verb: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    cli::log_to_stderr("error");
    smol::block_on(verb)
}
