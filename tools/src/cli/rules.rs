//! Options that name rules: presets of a policy, and the fate of a victim.

use sched_core::{OnEvict, Policy};

/// Reads the value of `--on-evict`.
///
/// # Errors
///
/// It is neither `drop` nor `requeue`.
pub fn fate(text: &str) -> Result<OnEvict, String> {
    match text {
        "drop" => Ok(OnEvict::Drop),
        "requeue" => Ok(OnEvict::Requeue),
        _ => Err(format!("{text:?} is neither drop nor requeue")),
    }
}

/// Reads the value of `--policy`.
///
/// # Errors
///
/// It is neither `seed` nor `durable`.
pub fn policy(text: &str) -> Result<Policy, String> {
    match text {
        "seed" => Ok(Policy::seed()),
        "durable" => Ok(Policy::durable()),
        _ => Err(format!("{text:?} is neither seed nor durable")),
    }
}
