//! What a connection takes that does nothing.

use std::time::Duration;

use super::{Crowd, Dialect, Part};
use crate::machine::resident;
use crate::trouble::Result;

/// Connections that are there before it is measured, so that what a server
/// makes once does not count.
const BEFORE: usize = 50;

/// The server's memory for each of so many subscribers, in bytes. What the
/// kernel keeps for a socket is not in it.
pub(crate) fn memory(dialect: Dialect, port: u16, pid: u32, count: usize) -> Result<f64> {
    let mut crowd = Crowd::empty(dialect, port)?;
    crowd.join(Part::Subscriber, BEFORE)?;
    crowd.run_for(Duration::from_millis(500))?;
    let before = resident(pid);
    crowd.join(Part::Subscriber, count)?;
    crowd.run_for(Duration::from_millis(1000))?;
    Ok((resident(pid) - before) / count as f64)
}
