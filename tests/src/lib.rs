//! What the tests share.

#![forbid(unsafe_code)]

pub mod browser;
pub mod bus;
pub mod bussim;
pub mod missing;
pub mod processes;
pub mod scheduling;
pub mod sim;
