//! What a policy would do: the scheduler of `core`, with processes that exist
//! on paper only, in a time that jumps from one event to the next.
//!
//! - a workload is a list of [`Work`], in the order of submission: made up
//!   ([`Synthetic`]), or read from a file ([`read`]);
//! - [`run`] puts it through a bin, and gives its [`Figures`];
//! - [`chart`] and [`Trace`] draw what came of it.

pub mod chart;
mod figures;
mod recorded;
mod rules;
mod swf;
mod synthetic;
mod workload;
mod world;

pub use self::figures::{Figures, Percentiles};
pub use self::rules::{Candidates, Rules, RulesError};
pub use self::synthetic::Synthetic;
pub use self::workload::{BadLines, Format, ReadError, Source, read};
pub use self::world::{Terms, Trace, run};

use std::time::Duration;

/// A job on paper.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Work {
    /// When it is submitted, from the begin of the workload.
    pub submitted: Duration,
    /// How long its process would run if nobody stopped it.
    pub runtime: Duration,
    /// How urgent it is; lower is more urgent.
    pub priority: i32,
    /// How long one run of it may take.
    pub limit: Option<Duration>,
}
