//! The runs of one owner.

use std::collections::HashMap;
use std::sync::Arc;

use sched_core::{RunId, RunInfo, SpawnFailure, Stop};

use super::command::Command;
use super::crew::{Launch, launch};
use super::limits::Places;
use super::run::{Owner, Run};
use super::start::{Supplies, Variables};

/// The runs of one owner that are under way.
///
/// Dropping it changes nothing for them: their processes go on.
pub(crate) struct Runs {
    under_way: HashMap<RunId, Arc<Run>>,
    supplies: Supplies,
    /// `None`: one that is alone is not counted.
    _places: Option<Places>,
}

impl Runs {
    /// None yet, and so many at once.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            under_way: HashMap::new(),
            supplies: Supplies::for_runs(most),
            _places: Some(Places::take(most)),
        }
    }

    /// One that will be alone: what it leaves is of no use to others.
    pub(super) fn one() -> Self {
        Self { under_way: HashMap::new(), supplies: Supplies::for_runs(0), _places: None }
    }

    /// How many are under way.
    pub(super) fn count(&self) -> usize {
        self.under_way.len()
    }

    /// Starts `command` as `run`; `owner` is told.
    ///
    /// # Errors
    ///
    /// No process can be started now. The owner is told nothing.
    pub(super) fn start(
        &mut self,
        run: RunId,
        owner: Arc<dyn Owner>,
        command: &Command,
        vars: Variables,
    ) -> Result<(), SpawnFailure> {
        let it = Arc::new(Run::new(run, owner));
        let (command, supplies) = (command.clone(), self.supplies.clone());
        launch(Launch { run: Arc::clone(&it), command, vars, supplies })?;
        self.under_way.insert(run, it);
        Ok(())
    }

    /// As [`start`](Self::start); the process is told what it is.
    pub(crate) fn start_informed(
        &mut self,
        info: &RunInfo,
        owner: Arc<dyn Owner>,
        command: &Command,
    ) -> Result<(), SpawnFailure> {
        self.start(info.id, owner, command, variables(info))
    }

    /// Asks a run to end, or ends it. Nothing, if it has ended.
    pub(crate) fn stop(&self, run: RunId, how: Stop) {
        if let Some(run) = self.under_way.get(&run) {
            run.stop(how);
        }
    }

    /// A run has ended, and its owner was told.
    pub(crate) fn forget(&mut self, run: RunId) {
        self.under_way.remove(&run);
    }

    /// Kills them all, and keeps those from being started that are not yet.
    pub(super) fn abandon(&self) {
        self.under_way.values().for_each(|run| run.stop(Stop::Kill));
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
