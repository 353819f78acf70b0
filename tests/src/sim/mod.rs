//! A simulated world for one scheduler bin: virtual time, fake processes,
//! faults, a reference model and a checker of the invariants.
//!
//! - [`model`]: the rules once more, slow and plain. It is given the same
//!   inputs at the same times as the machine, and must say the same.
//! - [`processes`] and [`faults`]: what a machine of this kind runs, and what
//!   goes wrong with it. Both are [`ProcessSpawner`](sched_core::ProcessSpawner)s.
//! - [`workload`]: random policies, jobs and moments.
//! - [`checker`]: every invariant that concerns one scheduler, told from what
//!   can be seen from outside, without the model; [`ledger`] keeps its books.
//! - [`twin`]: the machine and the model side by side, compared at every step.
//! - [`harness`]: one plan, from the first job to the last outcome.
//! - [`scene`]: scripted scenes with a recording spawner.
//!
//! Everything is decided by one seed; the same seed gives the same run.

pub mod checker;
pub mod faults;
pub mod harness;
pub mod ledger;
pub mod model;
pub mod processes;
pub mod scene;
pub mod twin;
pub mod view;
pub mod workload;

/// What a check says: `Err` tells what is wrong, for a person to read.
pub type Verdict = Result<(), String>;

/// Fails with the words made by `why` unless `holds`.
///
/// # Errors
///
/// The words, when it does not hold.
pub fn ensure(holds: bool, why: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(why()) }
}
