//! The spawner: `core`'s port to the world, on smol.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use async_channel::{Receiver, Sender, bounded};
use sched_core::{Exit, ProcessSpawner, RunId, RunInfo, SpawnFailure, Stop};

use super::capture::CapturedOutput;
use super::command::Command;
use super::error::{SpawnerError, exhausted};
use super::launch::{Launch, STARTS, launch};
use super::limits;
use super::run::{Line, Run, STOPS};
use super::spares::Spares;
use super::spool::SpooledOutput;
use super::start::Variables;

/// How many reports a run gives: it started, it ended.
pub(super) const REPORTS: usize = 2;

/// Starts and stops real processes for a machine of `core`.
///
/// It never blocks: a run is a task of smol's global executor once there is a
/// process, and tells of
/// itself through the channel that came with the spawner. Feed each
/// [`Report`] to the machine's method of the same name.
///
/// A run has its place from [`spawn`](ProcessSpawner::spawn) until its last
/// report has been sent. There are places for `max_runs`; a scheduler that
/// starts a run only in a free slot always finds one, and its reports never
/// wait. Who does not read the reports is refused new runs.
///
/// Dropping the spawner kills and reaps all its runs in the background.
#[derive(Debug)]
pub struct SmolSpawner {
    /// Those under way, and some that have ended: see `forget_ended`.
    runs: HashMap<RunId, Control>,
    /// As many copies as there are runs, and one.
    places: Arc<()>,
    max_runs: usize,
    reports: Sender<Report>,
    spares: Arc<Spares>,
}

/// What a run tells of itself: exactly one `SpawnFailed`, or one `Started`
/// and, later, one `Exited`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Report {
    /// There is a process.
    Started {
        /// Whose.
        run: RunId,
        /// Its number, which is also that of its process group.
        pid: u32,
    },
    /// There will be none.
    SpawnFailed {
        /// Whose.
        run: RunId,
        /// Why not.
        why: SpawnFailure,
    },
    /// It is reaped, and its process group is gone.
    Exited {
        /// Whose.
        run: RunId,
        /// How it ended.
        exit: Exit,
        /// What it wrote, if its command asked for [`Output::Capture`](crate::Output::Capture).
        output: Option<CapturedOutput>,
        /// What it wrote, if its command asked for [`Output::Spool`](crate::Output::Spool).
        spooled: Option<SpooledOutput>,
    },
}

/// The way to a run's task. At most [`STOPS`] are ever sent: none twice, and
/// no TERM after KILL.
#[derive(Debug)]
pub(super) struct Control {
    stops: Sender<Stop>,
    asked: Option<Stop>,
}

impl SmolSpawner {
    /// A spawner for `max_runs` runs at once (the slots of all bins together),
    /// and the channel of its reports.
    ///
    /// # Errors
    ///
    /// The limit of descriptors leaves no room for so many runs (the soft limit
    /// is raised if that helps), or the ends of processes cannot be awaited.
    pub fn new(max_runs: NonZeroUsize) -> Result<(Self, Receiver<Report>), SpawnerError> {
        limits::make_room(max_runs, STARTS)?;
        limits::check_waiting()?;
        let max_runs = max_runs.get();
        let (reports, receiver) = bounded(max_runs.saturating_mul(REPORTS));
        let places = Arc::new(());
        let spares = Spares::new(max_runs);
        Ok((Self { runs: HashMap::new(), places, max_runs, reports, spares }, receiver))
    }

    /// How many runs there may be at once.
    #[must_use]
    pub const fn max_runs(&self) -> usize {
        self.max_runs
    }

    fn find_place(&self) -> Result<Arc<()>, SpawnFailure> {
        let place = Arc::clone(&self.places);
        let runs = Arc::strong_count(&place) - 2;
        if runs >= self.max_runs {
            return Err(exhausted(format!("{runs} runs are under way, as many as there may be")));
        }
        if self.reports.is_full() {
            return Err(exhausted("the reports of earlier runs have not been read".into()));
        }
        Ok(place)
    }

    /// Runs end without a word to the spawner. When at least half of those it
    /// knows must have ended it forgets them: next to nothing a run.
    fn forget_ended(&mut self) {
        if self.runs.len() / 2 >= self.max_runs {
            self.runs.retain(|_, control| !control.stops.is_closed());
        }
    }
}

impl ProcessSpawner for SmolSpawner {
    type Command = Command;

    fn spawn(&mut self, info: &RunInfo, command: &Command) -> Result<(), SpawnFailure> {
        let place = self.find_place()?;
        self.forget_ended();
        let (control, stops) = Control::new();
        self.runs.insert(info.id, control);
        let line = Line { stops, _place: place };
        let run = Run { id: info.id, line, reports: self.reports.clone() };
        let spares = Arc::clone(&self.spares);
        launch(Launch { run, command: command.clone(), vars: variables(info), spares });
        Ok(())
    }

    fn stop(&mut self, run: RunId, how: Stop) {
        if let Some(control) = self.runs.get_mut(&run) {
            control.stop(how);
        }
    }
}

impl Control {
    pub(super) fn new() -> (Self, Receiver<Stop>) {
        let (stops, receiver) = bounded(STOPS);
        (Self { stops, asked: None }, receiver)
    }

    pub(super) fn stop(&mut self, how: Stop) {
        let news = match self.asked {
            None => true,
            Some(Stop::Terminate) => how == Stop::Kill,
            Some(Stop::Kill) => false,
        };
        if news {
            self.asked = Some(how);
            // Never full; closed if the run has just ended.
            let _ = self.stops.try_send(how);
        }
    }
}

fn variables(info: &RunInfo) -> Variables {
    vec![
        ("SCHED_JOB", info.job.to_string()),
        ("SCHED_RUN", info.id.to_string()),
        ("SCHED_ATTEMPT", info.attempt.to_string()),
        ("SCHED_SLOT", info.slot.number().to_string()),
    ]
}
