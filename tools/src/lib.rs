//! What the programs share.

#![forbid(unsafe_code)]

pub mod cli;
pub mod demo;
pub mod lines;
pub mod narrate;
pub mod scenes;
pub mod sched;
pub mod simulate;
pub mod submitter;
pub mod worker;
pub mod workload;
