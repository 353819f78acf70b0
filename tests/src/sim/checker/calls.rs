//! What the spawner is asked: every start and every stop, once each.

use sched_core::Stop;

use super::{Checker, Step};
use crate::sim::ledger::RunRow;
use crate::sim::twin::Call;
use crate::sim::{Verdict, ensure};

impl Checker {
    /// Every call is about a run of the books, and is made once: a start
    /// first, then TERM, then KILL.
    pub(super) fn calls_match(&mut self, step: &Step<'_>) -> Verdict {
        for call in step.calls {
            let expected = match call {
                // A start may be decided within this very step: see `calls_follow`.
                Call::Spawn(..) => true,
                Call::Stop(id, how) => self.ledger.runs.get_mut(id).is_none_or(|run| match how {
                    Stop::Terminate => {
                        !std::mem::replace(&mut run.term_asked, true) && !run.kill_asked
                    }
                    Stop::Kill => !std::mem::replace(&mut run.kill_asked, true),
                }),
            };
            ensure(expected, || format!("{call:?} once more"))?;
        }
        Ok(())
    }

    /// Once everything is polled, the spawner has heard of every start and
    /// every stop.
    pub(super) fn calls_follow(&mut self, step: &Step<'_>) -> Verdict {
        for call in step.calls {
            match call {
                Call::Spawn(info, script, _) => {
                    let known = self.ledger.jobs.get(&info.job);
                    ensure(known.is_some_and(|row| row.spec.command == *script), || {
                        format!("{info:?} starts with the command of another job")
                    })?;
                    if let Some(run) = self.ledger.runs.get_mut(&info.id) {
                        ensure(!std::mem::replace(&mut run.spawn_asked, true), || {
                            format!("{info:?} is started twice")
                        })?;
                    }
                }
                Call::Stop(id, how) => {
                    if let Some(run) = self.ledger.runs.get_mut(id) {
                        run.term_asked |= *how == Stop::Terminate;
                        run.kill_asked |= *how == Stop::Kill;
                        let told =
                            run.stop.is_some() && (*how == Stop::Terminate || run.killed.is_some());
                        ensure(told && run.spawn_asked, || {
                            format!("{call:?} is not told: {run:?}")
                        })?;
                    }
                }
            }
        }
        let unheard = |run: &&RunRow| {
            !run.spawn_asked
                || run.stop.is_some() && !run.term_asked && !run.kill_asked
                || run.killed.is_some() && !run.kill_asked
        };
        let forgotten = self.ledger.runs.values().find(unheard);
        ensure(step.pending_calls || forgotten.is_none(), || {
            format!("the spawner has not heard of {forgotten:?}")
        })
    }
}
