//! One process on its own, without a scheduler.

use std::convert::Infallible;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_channel::{Receiver, Sender, TrySendError, bounded};
use sched_core::Outcome;

use super::capture::CapturedOutput;
use super::command::Command;
use super::solo::{Plan, Solo};
use super::spool::SpooledOutput;

/// The grace period unless another is set, as in [`Policy::seed`](sched_core::Policy::seed).
const GRACE: Duration = Duration::from_secs(5);

/// A process that is started once, awaited, and ended: by itself, by its time
/// limit, or by [`terminate`](Self::terminate).
///
/// Dropping it kills and reaps the process in the background, with its whole
/// group; those who still [`wait`](Self::wait) get the outcome
/// [`Cancelled`](Outcome::Cancelled). A program that is about to end must wait:
/// what goes on in the background ends with the program.
///
/// ```
/// use sched_core::Outcome;
/// use sched_runtime_smol::{Command, Output, Process};
///
/// smol::block_on(async {
///     let mut process = Process::new(Command::new("echo").arg("hello").output(Output::CAPTURE));
///     process.start()?;
///     let result = process.wait().await?;
///     assert_eq!(result.outcome, Outcome::Finished);
///     assert_eq!(result.output.map(|output| output.bytes), Some(b"hello\n".to_vec()));
///     Ok::<(), Box<dyn std::error::Error>>(())
/// })
/// # .unwrap();
/// ```
#[derive(Debug)]
pub struct Process {
    state: State,
    result: Arc<OnceLock<ProcessResult>>,
    /// Closed when there is a result, or when there will never be one.
    ended: Receiver<Infallible>,
}

/// How a process ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProcessResult {
    /// [`Finished`](Outcome::Finished), [`Failed`](Outcome::Failed),
    /// [`TimedOut`](Outcome::TimedOut), [`Cancelled`](Outcome::Cancelled) if it
    /// was terminated, [`SpawnFailed`](Outcome::SpawnFailed), or
    /// [`Lost`](Outcome::Lost).
    pub outcome: Outcome,
    /// From its start until it was reaped; zero if it did not start.
    pub ran: Duration,
    /// What it wrote, if its command asked for [`Output::Capture`](crate::Output::Capture).
    pub output: Option<CapturedOutput>,
    /// What it wrote, if its command asked for [`Output::Spool`](crate::Output::Spool).
    pub spooled: Option<SpooledOutput>,
}

/// A process is started once.
#[derive(Clone, Copy, PartialEq, Eq, thiserror::Error, Debug)]
#[error("this process was started before: make another to run the command again")]
pub struct AlreadyStarted;

/// Only a process that was started can be awaited or terminated.
#[derive(Clone, Copy, PartialEq, Eq, thiserror::Error, Debug)]
#[error("this process was never started")]
pub struct NotStarted;

#[derive(Debug)]
enum State {
    New {
        plan: Plan,
        ended: Sender<Infallible>,
    },
    /// The one thing that can be asked; closed when the handle is dropped.
    Started {
        terminate: Sender<()>,
    },
}

impl Process {
    /// A process that will run `command`, without a time limit, and with a
    /// grace period of 5 s.
    #[must_use]
    pub fn new(command: Command) -> Self {
        let (sender, ended) = bounded(1);
        let plan = Plan { command, time_limit: None, grace: GRACE };
        Self { state: State::New { plan, ended: sender }, result: Arc::default(), ended }
    }

    /// Limits how long it may run, from the moment there is a process. After
    /// that it is terminated. Without effect once it is started.
    #[must_use]
    pub fn time_limit(mut self, limit: Duration) -> Self {
        if let State::New { plan, .. } = &mut self.state {
            plan.time_limit = Some(limit);
        }
        self
    }

    /// Sets the time between TERM and KILL. Without effect once it is started.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        if let State::New { plan, .. } = &mut self.state {
            plan.grace = grace;
        }
        self
    }

    /// Starts it; the start itself goes on in the background.
    ///
    /// # Errors
    ///
    /// It was started before. That it cannot be started is not told here but
    /// as the outcome [`SpawnFailed`](Outcome::SpawnFailed).
    pub fn start(&mut self) -> Result<(), AlreadyStarted> {
        let (terminate, orders) = bounded(1);
        match std::mem::replace(&mut self.state, State::Started { terminate }) {
            State::New { plan, ended } => {
                let result = Arc::clone(&self.result);
                smol::spawn(drive(plan, orders, result, ended)).detach();
                Ok(())
            }
            started @ State::Started { .. } => {
                self.state = started;
                Err(AlreadyStarted)
            }
        }
    }

    /// Waits until it has ended and is reaped. At any time after the start,
    /// also long after the end, as often as wanted, from any number of tasks:
    /// the future does not borrow the process.
    ///
    /// # Errors
    ///
    /// It has not been started.
    pub fn wait(&self) -> impl Future<Output = Result<ProcessResult, NotStarted>> + Send + use<> {
        let started = matches!(self.state, State::Started { .. });
        let (result, ended) = (Arc::clone(&self.result), self.ended.clone());
        async move {
            if started {
                until_closed(&ended).await;
            }
            result.get().cloned().ok_or(NotStarted)
        }
    }

    /// Asks it to end: TERM, and KILL after the grace period. Does nothing to a
    /// process that has ended.
    ///
    /// # Errors
    ///
    /// It has not been started.
    pub fn terminate(&self) -> Result<(), NotStarted> {
        match &self.state {
            State::New { .. } => Err(NotStarted),
            State::Started { terminate } => match terminate.try_send(()) {
                // Full: it was asked before. Closed: it has ended.
                Ok(()) | Err(TrySendError::Full(()) | TrySendError::Closed(())) => Ok(()),
            },
        }
    }

    /// Calls `callback` when it has ended, from whatever cause, or soon if it
    /// has ended already. May be called any number of times, also before the
    /// start. Each callback is a task of its own: one that blocks holds up the
    /// executor, one that panics harms nothing but itself. None is called for
    /// a process that is dropped without having been started.
    pub fn on_done(&self, callback: impl FnOnce(&ProcessResult) + Send + 'static) {
        let (result, ended) = (Arc::clone(&self.result), self.ended.clone());
        let call = async move {
            until_closed(&ended).await;
            if let Some(result) = result.get() {
                if catch_unwind(AssertUnwindSafe(|| callback(result))).is_err() {
                    tracing::error!(outcome = %result.outcome, "a callback panicked");
                }
            }
        };
        smol::spawn(call).detach();
    }
}

impl fmt::Display for ProcessResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} after {:.3} s", self.outcome, self.ran.as_secs_f64())
    }
}

async fn until_closed(ended: &Receiver<Infallible>) {
    match ended.recv().await {
        Ok(never) => match never {},
        Err(_closed) => {}
    }
}

/// Runs the process and leaves the result. `_ended` closes after that.
async fn drive(
    plan: Plan,
    orders: Receiver<()>,
    result: Arc<OnceLock<ProcessResult>>,
    _ended: Sender<Infallible>,
) {
    let ended = Solo::new(orders, &plan).run(&plan.command).await;
    // Set here and nowhere else.
    let _ = result.set(ended);
}
