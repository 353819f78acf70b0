//! The program `sched`, end to end with a bus and schedulers.

#![expect(clippy::unwrap_used, reason = "this is how a test fails")]

mod support;

#[path = "cli/arguments.rs"]
mod arguments;
#[path = "cli/bus_away.rs"]
mod bus_away;
#[path = "cli/events.rs"]
mod events;
#[path = "cli/kit.rs"]
mod kit;
#[path = "cli/look_and_steer.rs"]
mod look_and_steer;
#[path = "cli/outcome.rs"]
mod outcome;
#[path = "cli/producer.rs"]
mod producer;
#[path = "cli/submission.rs"]
mod submission;
