//! Who gets a slot: invariants 2 to 7, 13, and half of 10.

use sched_core::{JobId, Mode, RunInfo};

use super::{Checker, Step};
use crate::sim::ledger::{JobPlace, JobRow, RunRow};
use crate::sim::{Verdict, ensure};

impl Checker {
    pub(super) fn inv_2_never_more_than_slots(&self, step: &Step<'_>) -> Verdict {
        let runs = step.view.runs.len();
        ensure(runs <= self.slots && step.alive <= self.slots, || {
            format!("inv 2: {runs} runs, {} processes, {} slots", step.alive, self.slots)
        })?;
        let inside =
            step.view.runs.iter().all(|run| {
                usize::try_from(run.info.slot.number()).is_ok_and(|slot| slot < self.slots)
            });
        let apart = step.view.runs.windows(2).all(|two| two[0].info.slot < two[1].info.slot);
        ensure(inside && apart, || format!("inv 2: slots of {:?}", step.view.runs))
    }

    /// In the sense of the rules: the first pending job, in priority order,
    /// that no slot is promised to.
    pub(super) fn inv_3_nobody_outranks(&self, step: &Step<'_>) -> Verdict {
        let promised = |id: JobId| step.view.jobs.iter().any(|job| job.id == id && job.reserved);
        let reserved = step.view.jobs.iter().filter(|job| job.reserved).count();
        let stopping = self.ledger.runs.values().filter(|run| run.stop.is_some()).count();
        ensure(reserved <= stopping, || {
            format!("inv 3: {reserved} jobs wait for {stopping} runs to stop")
        })?;
        if !self.starts_jobs(step) {
            return ensure(reserved == 0, || format!("inv 3: {reserved} promises while held"));
        }
        let first = self
            .ledger
            .pending()
            .filter(|(id, _)| !promised(*id))
            .min_by_key(|(id, row)| (row.spec.priority, *id));
        let Some((id, row)) = first else { return Ok(()) };
        let outranked = self.ledger.evictable().find(|run| self.ledger.outranks(row, run));
        ensure(outranked.is_none(), || format!("inv 3: {id} outranks {outranked:?}"))
    }

    pub(super) fn inv_4_no_idle_slot(&self, step: &Step<'_>) -> Verdict {
        let waits = self.ledger.pending().next();
        let idle = self.starts_jobs(step) && self.ledger.runs.len() < self.slots;
        ensure(!idle || waits.is_none(), || format!("inv 4: a slot is free and {waits:?} waits"))
    }

    pub(super) fn inv_5_the_evictor_gets_the_slot(&self, run: &RunInfo) -> Verdict {
        let freed = self.ledger.freed.iter().find(|freed| freed.run.info.slot == run.slot);
        let Some((by, evictor)) = freed
            .filter(|freed| freed.awaited)
            .and_then(|freed| freed.by)
            .and_then(|by| self.ledger.jobs.get(&by).map(|row| (by, row)))
            .filter(|(_, row)| row.at == JobPlace::Pending)
        else {
            return Ok(());
        };
        let starts = self.ledger.jobs.get(&run.job).ok_or("an unknown job starts")?;
        let first = (starts.spec.priority, run.job) <= (evictor.spec.priority, by);
        ensure(first, || format!("inv 5: {} takes the slot that {by} has evicted for", run.job))
    }

    pub(super) fn inv_5_the_slot_is_taken(&self, step: &Step<'_>) -> Verdict {
        let waits = |by: Option<JobId>| {
            by.and_then(|by| self.ledger.jobs.get(&by))
                .is_some_and(|row| row.at == JobPlace::Pending)
        };
        let taken = |slot| self.ledger.runs.values().any(|run| run.info.slot == slot);
        let left = self
            .ledger
            .freed
            .iter()
            .find(|freed| freed.awaited && waits(freed.by) && !taken(freed.run.info.slot));
        ensure(left.is_none() || !self.starts_jobs(step), || {
            format!("inv 5: nobody has taken the slot of {left:?}")
        })
    }

    pub(super) fn inv_6_the_victim(&self, victim: &RunRow, by: JobId) -> Verdict {
        let due = self.ledger.evictable().max_by_key(|run| (run.level, run.info.id));
        let due = due.ok_or("inv 6: nobody can be evicted")?;
        ensure(due.info.id == victim.info.id, || {
            format!("inv 6: {} is evicted, and not {}", victim.info.id, due.info.id)
        })?;
        let evictor = self.ledger.jobs.get(&by).ok_or("inv 6: by an unknown job")?;
        let may = evictor.at == JobPlace::Pending && self.ledger.outranks(evictor, victim);
        ensure(may, || format!("inv 6: {by} may not evict {victim:?}"))
    }

    /// In queue order; a promised slot goes in priority order.
    pub(super) fn inv_7_first_come_first_served(&self, run: &RunInfo) -> Verdict {
        let queue = self.ledger.pending().min_by_key(|(id, row)| self.ledger.queue_key(*id, row));
        let urgent = self.ledger.pending().min_by_key(|(id, row)| (row.spec.priority, *id));
        let promised = !self.ledger.freed.is_empty();
        let is_first = |first: Option<(JobId, &JobRow)>| first.is_some_and(|(id, _)| id == run.job);
        ensure(is_first(queue) || promised && is_first(urgent), || {
            format!("inv 7: {} starts before {queue:?}", run.job)
        })
    }

    pub(super) fn inv_10_no_slot_before_the_reaping(&self, run: &RunInfo) -> Verdict {
        let holder = self.ledger.runs.values().find(|other| other.info.slot == run.slot);
        ensure(holder.is_none(), || format!("inv 10: {run:?} in the slot of {holder:?}"))
    }

    pub(super) fn inv_13_no_slot_leaks(&self, step: &Step<'_>) -> Verdict {
        let used: Vec<_> = step.view.runs.iter().map(|run| run.info.id).collect();
        let mut ought: Vec<_> = self.ledger.runs.values().collect();
        ought.sort_by_key(|run| run.info.slot);
        let ought: Vec<_> = ought.into_iter().map(|run| run.info.id).collect();
        ensure(used == ought, || format!("inv 13: in the slots {used:?}, and not {ought:?}"))?;
        let free = self.slots - ought.len();
        ensure(step.view.free_slots == free, || {
            format!("inv 13: {} slots are said to be free, of {free}", step.view.free_slots)
        })
    }

    pub(super) fn starts_jobs(&self, step: &Step<'_>) -> bool {
        step.view.mode == Mode::Accepting && self.ledger.spawning_paused.is_none()
    }
}
