//! Where a scene is played: a clock, a voice, and a list of who has to leave.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};

use sched_core::Outcome;
use sched_runtime_smol::{Command, Process, ProcessResult};

use crate::cli::tell_line;

/// What did not go as it should.
#[derive(thiserror::Error, Debug)]
#[error("{0}")]
pub struct Misbehaviour(pub String);

/// Where one scene is played.
#[derive(Debug)]
pub struct Stage {
    began: Instant,
    long: Duration,
    cast: RefCell<Cast>,
}

/// The ends of all processes that were started here.
#[derive(Default)]
struct Cast(Vec<Pin<Box<dyn Future<Output = ()> + Send>>>);

impl std::fmt::Debug for Cast {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} processes", self.0.len())
    }
}

impl Stage {
    /// A stage on which "a while" is `long`.
    #[must_use]
    pub fn new(long: Duration) -> Self {
        Self { began: Instant::now(), long, cast: RefCell::default() }
    }

    /// How long a while is.
    #[must_use]
    pub const fn long(&self) -> Duration {
        self.long
    }

    /// The time since the scene began.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Tells a line with the time since the scene began. The scene goes on if
    /// nobody reads it.
    pub fn say(&self, line: impl AsRef<str>) {
        let seconds = self.elapsed().as_secs_f64();
        tell_line(format_args!("  {seconds:7.3} s  {}", line.as_ref()));
    }

    /// Starts `process`.
    ///
    /// # Errors
    ///
    /// It was started before.
    pub fn start(&self, process: &mut Process) -> Result<(), Misbehaviour> {
        process.start().map_err(|why| Misbehaviour(why.to_string()))?;
        let end = process.wait();
        self.cast.borrow_mut().0.push(Box::pin(async move {
            // Started: it has an end, whatever it is.
            let _ = end.await;
        }));
        Ok(())
    }

    /// Starts `command`.
    ///
    /// # Errors
    ///
    /// None, in fact: a new process has not been started before.
    pub fn run(&self, command: Command) -> Result<Process, Misbehaviour> {
        let mut process = Process::new(command);
        self.start(&mut process)?;
        Ok(process)
    }

    /// Waits for the end of `process`.
    ///
    /// # Errors
    ///
    /// It was never started.
    pub async fn end(&self, process: &Process) -> Result<ProcessResult, Misbehaviour> {
        process.wait().await.map_err(|why| Misbehaviour(why.to_string()))
    }

    /// Waits until every process that was started here is reaped: for those
    /// whose handle is gone, that is soon.
    pub async fn clear(&self) {
        let ends = std::mem::take(&mut self.cast.borrow_mut().0);
        for end in ends {
            end.await;
        }
    }
}

/// Goes on only if `fine`.
pub(super) fn check(fine: bool, wrong: impl FnOnce() -> String) -> Result<(), Misbehaviour> {
    if fine { Ok(()) } else { Err(Misbehaviour(wrong())) }
}

/// Goes on only if `result` is `expected`.
pub(super) fn check_outcome(
    result: &ProcessResult,
    expected: &Outcome,
) -> Result<(), Misbehaviour> {
    let outcome = &result.outcome;
    check(outcome == expected, || format!("the outcome is {outcome}, not {expected}"))
}

/// Goes on only if what was to take `expected` took that long: never less, and
/// not much more even on a busy machine.
pub(super) fn check_time(took: Duration, expected: Duration) -> Result<(), Misbehaviour> {
    const SLACK: Duration = Duration::from_secs(2);
    check(took >= expected && took < expected + SLACK, || {
        format!("it took {took:.3?}, where {expected:.3?} were expected")
    })
}
