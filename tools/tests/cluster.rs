//! Several schedulers work as one, with the real `test_scheduler` on loopback:
//! no job runs twice at once, none is lost, whoever is killed.
//!
//! The bus is the library's, in this process, so that leases can be short.

#![expect(clippy::unwrap_used, reason = "this is how a test fails")]

mod support;

#[path = "cluster/burst.rs"]
mod burst;
#[path = "cluster/bus_restarted.rs"]
mod bus_restarted;
#[path = "cluster/eye.rs"]
mod eye;
#[path = "cluster/fleet.rs"]
mod fleet;
#[path = "cluster/scheduler_killed.rs"]
mod scheduler_killed;
#[path = "cluster/scheduler_stopped.rs"]
mod scheduler_stopped;
#[path = "cluster/urgent.rs"]
mod urgent;
