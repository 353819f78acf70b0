//! What happens to the jobs of a bus, told under the names that they have there.

use std::collections::{BTreeMap, VecDeque};

use sched_core::{Event, EventKind, JobId, Outcome, Requeue, StopCause};

use crate::scheduler::{Notice, Subscriber, Subscription, subscription};

/// Jobs that have ended and may still be spoken of: as those that others were
/// evicted for.
const REMEMBERED: usize = 64;

/// Passes the events of a scheduler on, with the bus's ids in place of its own.
#[derive(Debug)]
pub(super) struct Story {
    listener: Subscriber,
    on_the_bus: BTreeMap<JobId, JobId>,
    ended: VecDeque<JobId>,
}

impl Story {
    pub(super) fn new() -> (Self, Subscription) {
        let (listener, story) = subscription();
        (Self { listener, on_the_bus: BTreeMap::new(), ended: VecDeque::new() }, story)
    }

    /// A job of this scheduler is that job of the bus.
    pub(super) fn name(&mut self, job: JobId, on_the_bus: JobId) {
        self.on_the_bus.insert(job, on_the_bus);
    }

    /// The bus's id of a job, also of one that has ended not long ago.
    pub(super) fn on_the_bus(&self, job: JobId) -> Option<JobId> {
        self.on_the_bus.get(&job).copied()
    }

    pub(super) fn pass_on(&mut self, notice: &Notice) {
        match notice {
            Notice::Missed(count) => self.listener.miss(*count),
            // That nobody listens does not matter here.
            Notice::Event(event) => {
                let _ = self.listener.tell(&self.renamed(event));
                if let EventKind::Ended { job, .. } = event.kind {
                    self.retire(job);
                }
            }
        }
    }

    fn retire(&mut self, job: JobId) {
        self.ended.push_back(job);
        if self.ended.len() > REMEMBERED {
            if let Some(forgotten) = self.ended.pop_front() {
                self.on_the_bus.remove(&forgotten);
            }
        }
    }

    fn renamed(&self, event: &Event) -> Event {
        let mut event = event.clone();
        match &mut event.kind {
            EventKind::Starting { run, .. } => self.rename(&mut run.job),
            EventKind::Stopping { job, cause, .. } => {
                self.rename(job);
                if let StopCause::Evicted { by } = cause {
                    self.rename(by);
                }
            }
            EventKind::Requeued { job, why } => {
                self.rename(job);
                if let Requeue::Evicted { by, .. } = why {
                    self.rename(by);
                }
            }
            EventKind::Ended { job, outcome, .. } => {
                self.rename(job);
                if let Outcome::Evicted { by, .. } = outcome {
                    self.rename(by);
                }
            }
            EventKind::Accepted { job, .. }
            | EventKind::Started { job, .. }
            | EventKind::SpawnFailed { job, .. }
            | EventKind::Killing { job, .. }
            | EventKind::Exited { job, .. }
            | EventKind::RetryDue { job } => self.rename(job),
            EventKind::SpawningPaused { .. }
            | EventKind::SpawningResumed
            | EventKind::Paused
            | EventKind::Draining
            | EventKind::Drained
            | EventKind::Resumed
            | EventKind::ShuttingDown
            | EventKind::Stopped => {}
        }
        event
    }

    fn rename(&self, job: &mut JobId) {
        *job = self.on_the_bus(*job).unwrap_or(*job);
    }
}

#[cfg(test)]
mod tests {
    use sched_core::{ExitStatus, Instant, JobTally};

    use super::*;

    fn ended(job: JobId, by: JobId) -> Notice {
        let outcome = Outcome::Evicted { by, exit: ExitStatus::Signal(15) };
        let kind = EventKind::Ended { job, outcome, tally: JobTally::default() };
        Notice::Event(Event { at: Instant::ZERO, kind })
    }

    #[test]
    fn jobs_are_called_as_on_the_bus_and_so_are_those_they_were_evicted_for() {
        smol::block_on(async {
            let id = |text: &str| JobId::parse(text).unwrap();
            let (mut told, mut story) = Story::new();
            told.name(id("j1"), id("j70"));
            told.name(id("j2"), id("j90"));
            told.pass_on(&ended(id("j1"), id("j2")));
            assert_eq!(story.next().await, Some(ended(id("j70"), id("j90"))));
            // Of a bus of version 0, which gives no ids.
            told.pass_on(&ended(id("j3"), id("j2")));
            assert_eq!(story.next().await, Some(ended(id("j3"), id("j90"))));
            told.pass_on(&Notice::Missed(4));
            told.pass_on(&ended(id("j2"), id("j3")));
            assert_eq!(story.next().await, Some(Notice::Missed(4)));
            assert_eq!(story.next().await, Some(ended(id("j90"), id("j3"))));
            assert_eq!(told.on_the_bus(id("j2")), Some(id("j90")), "although it has ended");
            assert_eq!(told.on_the_bus(id("j3")), None);
        });
    }

    #[test]
    fn what_is_remembered_of_jobs_that_have_ended_is_bounded() {
        let id = |count: usize| JobId::parse(&format!("j{count}")).unwrap();
        let (mut told, _story) = Story::new();
        for count in 1..=10 * REMEMBERED {
            told.name(id(count), id(100_000 + count));
            told.pass_on(&ended(id(count), id(count)));
        }
        assert_eq!((told.on_the_bus.len(), told.ended.len()), (REMEMBERED, REMEMBERED));
    }
}
