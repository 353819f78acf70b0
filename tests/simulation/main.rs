//! One scheduler bin in a simulated world: random workloads and faults,
//! compared step by step with a reference model, every invariant checked.
//!
//! `SCHED_SIM_SEED=17` replays one seed; `SCHED_SIM_SEEDS=10000` runs so many
//! in place of the usual number, from a start that changes with every run.

#![expect(clippy::unwrap_used, reason = "this is how a test fails")]

mod corners;
mod faults;
mod manager;
mod model;
mod random;
