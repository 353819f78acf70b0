//! A bus, its schedulers and its producers in virtual time, with a network, a
//! disk and machines that fail.
//!
//! - [`plan`]: what happens in a run; all of it follows from one seed.
//! - [`net`]: connections that delay, and break at the worst moment.
//! - [`bus`]: an [`Exchange`](sched_core::bus::Exchange) behind a server that
//!   does what a real one does, with a [`disk`] that commits in groups.
//! - [`machine`]: a scheduler: a [`Session`](sched_core::bus::Session), a
//!   [`SchedulerBin`](sched_core::SchedulerBin), and [`process`]es on paper.
//! - [`client`]: producers and observers.
//! - [`ledger`]: what was promised, and whether it is kept.
//! - [`world`]: all of that, step by step.

pub mod bus;
pub mod client;
pub mod disk;
pub mod ledger;
pub mod line;
pub mod machine;
pub mod net;
pub mod plan;
pub mod process;
pub mod world;

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
