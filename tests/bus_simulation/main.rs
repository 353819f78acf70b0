//! A bus, its schedulers and its producers in a simulated world: connections
//! that break, a disk that fails, and every one of them killed; every promise
//! of the protocol checked at every step, and that all is done once all is well.
//!
//! `SCHED_BUSSIM_SEED=17` replays one seed; `SCHED_BUSSIM_SEEDS=10000` runs so
//! many in place of the usual number, from a start that changes with every run.

mod replay;
mod seeds;
