//! One place where the outcomes of many jobs come in.

use async_channel::{Receiver, Sender};
use sched_core::{JobId, JobSpec, SubmitError};

use super::news::Tell;
use super::{Ended, Scheduler};
use crate::process::Command;

/// Where the outcomes of many jobs come in, for whoever runs so many that a
/// [`JobHandle`](super::JobHandle) and a task for each would be too much.
///
/// Nothing is lost and nobody waits: there is room for the outcome of every
/// job that was submitted here. It holds as many as are submitted and not yet
/// taken out, so bound those.
#[derive(Debug)]
pub struct Outcomes {
    sender: Sender<(JobId, Ended)>,
    ended: Receiver<(JobId, Ended)>,
}

impl Outcomes {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        let (sender, ended) = async_channel::unbounded();
        Self { sender, ended }
    }

    /// The next one, in the order in which they came about. It does not end: count.
    pub async fn next(&self) -> (JobId, Ended) {
        match self.ended.recv().await {
            Ok(told) => told,
            // There is a sender in here.
            Err(_closed) => std::future::pending().await,
        }
    }

    /// The next one, if it has come in.
    #[must_use]
    pub fn next_now(&self) -> Option<(JobId, Ended)> {
        self.ended.try_recv().ok()
    }
}

impl Default for Outcomes {
    fn default() -> Self {
        Self::new()
    }
}

impl Scheduler {
    /// Submits jobs, all in one step, and has their outcomes told in `outcomes`.
    /// For each there is its id, or the job with the reason why it was refused.
    pub async fn submit_all(
        &self,
        jobs: Vec<JobSpec<Command>>,
        outcomes: &Outcomes,
    ) -> Vec<Result<JobId, SubmitError<Command>>> {
        let tell = || Tell::Outcomes(outcomes.sender.clone());
        self.handle.shared.step(|driver, now| {
            jobs.into_iter().map(|job| driver.submit(now, job, tell())).collect()
        })
    }
}
