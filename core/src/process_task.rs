//! The life of one run.

use crate::job::{Outcome, StopCause, TimeBound};
use crate::spawner::{Exit, ExitStatus, Stop};
use crate::time::{Duration, Instant};

/// One run, from the decision to start it until its process is reaped.
///
/// A machine of its own, to drive a single process without a queue; a
/// [`PriorityRunner`](crate::PriorityRunner) keeps one in each occupied slot.
/// It follows the common shape: `handle_*` for what happened, [`stop`](Self::stop)
/// to change something, [`poll_stop`](Self::poll_stop) for what the driver must
/// do, [`poll_timeout`](Self::poll_timeout) for when to call
/// [`handle_timeout`](Self::handle_timeout) at the latest.
///
/// ```
/// use sched_core::{Duration, Exit, ExitStatus, Instant, Outcome, ProcessTask, Stop, StopCause};
///
/// let grace = Duration::from_secs(5);
/// let mut task = ProcessTask::new(Instant::ZERO, None, grace);
/// task.handle_started(Instant::from_millis(1));
/// task.stop(Instant::from_secs(2), StopCause::Cancelled);
/// assert_eq!(task.poll_stop(), Some(Stop::Terminate));
/// task.handle_timeout(Instant::from_secs(7)); // it ignores TERM
/// assert_eq!(task.poll_stop(), Some(Stop::Kill));
/// let outcome = task.handle_exit(Instant::from_secs(7), Exit::stopped(ExitStatus::Signal(9)));
/// assert_eq!(outcome, Some(Outcome::Cancelled { exit: Some(ExitStatus::Signal(9)) }));
/// ```
#[derive(Clone, Debug)]
pub struct ProcessTask {
    state: TaskState,
    began: Instant,
    time_limit: Option<Duration>,
    grace: Duration,
    wanted: Option<Stop>,
    given_out: Option<Stop>,
}

/// What a run is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TaskState {
    /// Its process is being started.
    Starting,
    /// It has a process.
    Running {
        /// Since when.
        since: Instant,
    },
    /// It was asked to end.
    Stopping {
        /// Why.
        cause: StopCause,
        /// Since when it has had a process; `None`: still being started.
        running: Option<Instant>,
        /// When it is killed, or was.
        kill_at: Instant,
        /// Whether it was.
        killed: bool,
    },
    /// Its process is reaped, or there never was one.
    Exited {
        /// How long it ran.
        ran: Duration,
    },
}

impl ProcessTask {
    /// A run whose start is under way. `time_limit` counts from the moment
    /// there is a process; `grace` is the time between TERM and KILL.
    #[must_use]
    pub const fn new(now: Instant, time_limit: Option<Duration>, grace: Duration) -> Self {
        Self {
            state: TaskState::Starting,
            began: now,
            time_limit,
            grace,
            wanted: None,
            given_out: None,
        }
    }

    /// What it is doing.
    #[must_use]
    pub const fn state(&self) -> TaskState {
        self.state
    }

    /// When its start was decided.
    #[must_use]
    pub const fn began(&self) -> Instant {
        self.began
    }

    /// Why it is being stopped, if it is.
    #[must_use]
    pub const fn stop_cause(&self) -> Option<StopCause> {
        match self.state {
            TaskState::Stopping { cause, .. } => Some(cause),
            _ => None,
        }
    }

    /// There is a process now.
    pub fn handle_started(&mut self, now: Instant) {
        match &mut self.state {
            TaskState::Starting => self.state = TaskState::Running { since: now },
            TaskState::Stopping { running: running @ None, .. } => *running = Some(now),
            _ => {}
        }
    }

    /// There will be no process. Returns why it was to be stopped, if it was.
    pub fn handle_spawn_failed(&mut self) -> Option<StopCause> {
        let cause = self.stop_cause();
        self.state = TaskState::Exited { ran: Duration::ZERO };
        self.wanted = None;
        cause
    }

    /// The process was reaped. Returns how this run ended; `None` if that was
    /// said before.
    ///
    /// An exit seen before the process was sent a signal keeps its natural
    /// outcome; after that it is what caused the signal.
    pub fn handle_exit(&mut self, now: Instant, exit: Exit) -> Option<Outcome> {
        let (since, cause) = match self.state {
            TaskState::Starting => (now, None),
            TaskState::Running { since } => (since, None),
            TaskState::Stopping { cause, running, .. } => (running.unwrap_or(now), Some(cause)),
            TaskState::Exited { .. } => return None,
        };
        self.state = TaskState::Exited { ran: now - since };
        self.wanted = None;
        let stop_sent = self.given_out.is_some() && exit.after_stop;
        Some(match cause {
            Some(cause) if stop_sent => stopped_outcome(cause, exit.status),
            _ => natural_outcome(exit.status),
        })
    }

    /// Asks the run to end, also while it is starting. Returns whether that
    /// is news: the first cause stands, and a run that ended cannot be stopped.
    pub fn stop(&mut self, now: Instant, cause: StopCause) -> bool {
        let running = match self.state {
            TaskState::Starting => None,
            TaskState::Running { since } => Some(since),
            TaskState::Stopping { .. } | TaskState::Exited { .. } => return false,
        };
        let kill_at = now + self.grace;
        self.state = TaskState::Stopping { cause, running, kill_at, killed: false };
        self.wanted = Some(Stop::Terminate);
        true
    }

    /// Replaces the cause of a stop that is under way; the stop goes on as it was.
    pub fn change_cause(&mut self, to: StopCause) {
        if let TaskState::Stopping { cause, .. } = &mut self.state {
            *cause = to;
        }
    }

    /// Ends the grace period of a stop at once. Returns whether that is news.
    pub fn kill(&mut self, now: Instant) -> bool {
        match &mut self.state {
            TaskState::Stopping { killed: killed @ false, kill_at, .. } => {
                *killed = true;
                *kill_at = now;
                self.wanted = Some(Stop::Kill);
                true
            }
            _ => false,
        }
    }

    /// Lets the time limit and the grace period act, if they are over.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.poll_timeout().is_none_or(|due| now < due) {
            return;
        }
        if matches!(self.state, TaskState::Running { .. }) {
            self.stop(now, StopCause::TimedOut(TimeBound::Run));
        } else {
            self.kill(now);
        }
    }

    /// What the driver must do to the process now; `None`: nothing. Drain it
    /// after every other call.
    pub fn poll_stop(&mut self) -> Option<Stop> {
        let stop = self.wanted.take()?;
        self.given_out = Some(stop);
        Some(stop)
    }

    /// Whether [`poll_stop`](Self::poll_stop) has something to say.
    #[must_use]
    pub const fn stop_is_wanted(&self) -> bool {
        self.wanted.is_some()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due; `None`: never.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            TaskState::Running { since } => self.time_limit.map(|limit| since + limit),
            TaskState::Stopping { kill_at, killed: false, .. } => Some(kill_at),
            _ => None,
        }
    }
}

fn natural_outcome(status: ExitStatus) -> Outcome {
    match status {
        ExitStatus::Code(0) => Outcome::Finished,
        ExitStatus::Unknown => Outcome::Lost,
        other => Outcome::Failed(other),
    }
}

fn stopped_outcome(cause: StopCause, exit: ExitStatus) -> Outcome {
    match cause {
        StopCause::Evicted { by } => Outcome::Evicted { by, exit },
        StopCause::TimedOut(limit) => Outcome::TimedOut { limit, exit },
        StopCause::Cancelled => Outcome::Cancelled { exit: Some(exit) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(5);

    fn at(secs: u64) -> Instant {
        Instant::from_secs(secs)
    }

    fn running(limit: Option<u64>) -> ProcessTask {
        let mut task = ProcessTask::new(at(0), limit.map(Duration::from_secs), GRACE);
        task.handle_started(at(1));
        task
    }

    #[test]
    fn the_time_limit_counts_from_the_start_of_the_process() {
        let mut task = ProcessTask::new(at(0), Some(Duration::from_secs(10)), GRACE);
        assert_eq!(task.poll_timeout(), None);
        task.handle_started(at(4));
        assert_eq!(task.poll_timeout(), Some(at(14)));
        task.handle_timeout(at(13));
        assert_eq!(task.poll_stop(), None, "early");
        task.handle_timeout(at(14));
        assert_eq!(task.poll_stop(), Some(Stop::Terminate));
        let outcome = task.handle_exit(at(15), Exit::stopped(ExitStatus::Signal(15)));
        let exit = ExitStatus::Signal(15);
        assert_eq!(outcome, Some(Outcome::TimedOut { limit: TimeBound::Run, exit }));
    }

    #[test]
    fn kill_follows_term_after_the_grace_period_and_once() {
        let mut task = running(None);
        assert!(task.stop(at(2), StopCause::Cancelled));
        assert_eq!((task.poll_stop(), task.poll_stop()), (Some(Stop::Terminate), None));
        assert_eq!(task.poll_timeout(), Some(at(7)));
        task.handle_timeout(at(7));
        task.handle_timeout(at(8));
        assert_eq!((task.poll_stop(), task.poll_stop()), (Some(Stop::Kill), None));
        assert_eq!(task.poll_timeout(), None);
    }

    #[test]
    fn a_stop_while_starting_is_ordered_at_once() {
        let mut task = ProcessTask::new(at(0), None, GRACE);
        assert!(task.stop(at(1), StopCause::Cancelled));
        assert_eq!(task.poll_stop(), Some(Stop::Terminate));
        task.handle_started(at(2));
        assert_eq!(task.stop_cause(), Some(StopCause::Cancelled));
        assert_eq!(task.poll_timeout(), Some(at(6)));
    }

    #[test]
    fn f4_an_exit_seen_before_term_was_sent_keeps_its_natural_outcome() {
        let mut task = running(None);
        task.stop(at(2), StopCause::Cancelled);
        let not_polled = task.clone().handle_exit(at(2), Exit::stopped(ExitStatus::Code(0)));
        assert_eq!(not_polled, Some(Outcome::Finished), "TERM was never given out");
        assert_eq!(task.poll_stop(), Some(Stop::Terminate));
        let faster = task.handle_exit(at(2), Exit::natural(ExitStatus::Code(3)));
        assert_eq!(faster, Some(Outcome::Failed(ExitStatus::Code(3))));
    }

    #[test]
    fn f7_no_timer_outlives_its_process() {
        let mut task = running(Some(10));
        assert_eq!(
            task.handle_exit(at(3), Exit::natural(ExitStatus::Code(0))),
            Some(Outcome::Finished)
        );
        assert_eq!(task.poll_timeout(), None);
        task.handle_timeout(at(99));
        assert!(!task.stop(at(99), StopCause::Cancelled));
        assert_eq!(task.poll_stop(), None);
        assert_eq!(task.handle_exit(at(99), Exit::natural(ExitStatus::Code(1))), None);
    }

    #[test]
    fn the_first_cause_stands() {
        let mut task = running(Some(10));
        task.handle_timeout(at(11));
        assert!(!task.stop(at(12), StopCause::Cancelled));
        assert_eq!(task.stop_cause(), Some(StopCause::TimedOut(TimeBound::Run)));
    }
}
