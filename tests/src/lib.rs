//! What the tests share.

pub mod processes;
pub mod scheduling;
pub mod sim;
