//! The spawner: `core`'s port to the world, on smol.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_channel::{Receiver, Sender, bounded};
use sched_core::{Exit, ProcessSpawner, RunId, RunInfo, SpawnFailure, Stop};

use super::capture::CapturedOutput;
use super::command::Command;
use super::crew::{self, STARTS};
use super::error::{SpawnerError, exhausted};
use super::limits;
use super::run::Owner;
use super::runs::Runs;
use super::spool::SpooledOutput;

/// How many reports a run gives: it started, it ended.
const REPORTS: usize = 2;

/// How many threads tell: each may have a report in hand that is not owed any more.
const TELLERS: usize = STARTS + 1;

/// Starts and stops real processes for a machine of `core`.
///
/// It never blocks: processes are started, watched and reaped by threads of this
/// crate's own, and what becomes of them is told
/// through the channel that came with the spawner. Feed each
/// [`Report`] to the machine's method of the same name.
///
/// A run has its place from [`spawn`](ProcessSpawner::spawn) until its last
/// report has been sent. There are places for `max_runs`; a scheduler that
/// starts a run only in a free slot always finds one. Who does not read the
/// reports is refused new runs.
///
/// Dropping the spawner kills and reaps all its runs in the background.
pub struct SmolSpawner {
    teller: Arc<Teller>,
    max_runs: usize,
}

/// Passes reports on.
struct Teller {
    telling: Mutex<Telling>,
    reports: Sender<Report>,
}

struct Telling {
    runs: Runs,
    /// How many reports the runs under way have yet to give, at most. There is
    /// room for them.
    owed: usize,
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
    /// It is reaped, and what was left of its process group has been sent KILL:
    /// that may take a moment yet to be gone, with its ports and locks.
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

/// A spawner for `max_runs` runs at once (the slots of all bins together):
/// whether this machine has room for them.
pub(crate) fn make_room(max_runs: NonZeroUsize) -> Result<(), SpawnerError> {
    limits::make_room(max_runs, STARTS)?;
    limits::check_waiting()?;
    crew::check().map_err(SpawnerError::Watch)
}

impl SmolSpawner {
    /// A spawner for `max_runs` runs at once (the slots of all bins together),
    /// and the channel of its reports.
    ///
    /// # Errors
    ///
    /// The limit of descriptors leaves no room for so many runs beside those of
    /// the other spawners and schedulers of this program (the soft limit is raised
    /// if that helps), or the ends of processes cannot be awaited.
    pub fn new(max_runs: NonZeroUsize) -> Result<(Self, Receiver<Report>), SpawnerError> {
        make_room(max_runs)?;
        Ok(Self::with(Runs::new(max_runs.get()), max_runs.get()))
    }

    /// For one run; whether there is room for it shows when it is started.
    pub(super) fn for_one() -> (Self, Receiver<Report>) {
        Self::with(Runs::one(), 1)
    }

    fn with(runs: Runs, max_runs: usize) -> (Self, Receiver<Report>) {
        let room = max_runs.saturating_mul(REPORTS).saturating_add(TELLERS);
        let (reports, receiver) = bounded(room);
        let teller = Teller { telling: Mutex::new(Telling { runs, owed: 0 }), reports };
        (Self { teller: Arc::new(teller), max_runs }, receiver)
    }

    /// How many runs there may be at once.
    #[must_use]
    pub const fn max_runs(&self) -> usize {
        self.max_runs
    }

    /// As [`spawn`](ProcessSpawner::spawn); the process is not told what it is.
    pub(super) fn spawn_plain(&self, run: RunId, command: &Command) -> Result<(), SpawnFailure> {
        self.find_place(|runs, owner| runs.start(run, owner, command, Vec::new()))
    }

    fn find_place(
        &self,
        start: impl FnOnce(&mut Runs, Arc<dyn Owner>) -> Result<(), SpawnFailure>,
    ) -> Result<(), SpawnFailure> {
        let mut telling = self.teller.telling();
        let under_way = telling.runs.count();
        if under_way >= self.max_runs {
            let why = format!("{under_way} runs are under way, as many as there may be");
            return Err(exhausted(why));
        }
        let room = self.max_runs.saturating_mul(REPORTS);
        if self.teller.reports.len() + telling.owed + REPORTS > room {
            return Err(exhausted("the reports of earlier runs have not been read".into()));
        }
        start(&mut telling.runs, self.teller.clone())?;
        telling.owed += REPORTS;
        Ok(())
    }
}

impl ProcessSpawner for SmolSpawner {
    type Command = Command;

    fn spawn(&mut self, info: &RunInfo, command: &Command) -> Result<(), SpawnFailure> {
        self.find_place(|runs, owner| runs.start_informed(info, owner, command))
    }

    fn stop(&mut self, run: RunId, how: Stop) {
        self.teller.telling().runs.stop(run, how);
    }
}

impl Drop for SmolSpawner {
    fn drop(&mut self) {
        self.teller.telling().runs.abandon();
    }
}

impl fmt::Debug for SmolSpawner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SmolSpawner").field("max_runs", &self.max_runs).finish_non_exhaustive()
    }
}

impl Teller {
    fn telling(&self) -> MutexGuard<'_, Telling> {
        self.telling.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Owner for Teller {
    /// Who has read the last report finds the run's place free.
    fn told(&self, report: Report) {
        let mut telling = self.telling();
        if report.is_last() {
            telling.runs.forget(report.run());
        }
        telling.owed -= match report {
            Report::SpawnFailed { .. } => REPORTS,
            Report::Started { .. } | Report::Exited { .. } => 1,
        };
        // Who is woken may do as they like with the spawner.
        drop(telling);
        // Never full. Closed: nobody listens any more, and that is theirs to choose.
        let _ = self.reports.try_send(report);
    }
}

impl Report {
    /// Whose it is.
    #[must_use]
    pub const fn run(&self) -> RunId {
        match self {
            Self::Started { run, .. }
            | Self::SpawnFailed { run, .. }
            | Self::Exited { run, .. } => *run,
        }
    }

    /// Whether nothing comes after it.
    #[must_use]
    pub const fn is_last(&self) -> bool {
        !matches!(self, Self::Started { .. })
    }
}
