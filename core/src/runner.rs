//! The slots: what runs in them, and who would be evicted.

#[cfg(test)]
mod tests;
mod victims;

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::num::NonZeroUsize;

use self::victims::VictimKey;
use crate::id::{JobId, RunId, SlotId};
use crate::index::Index;
use crate::job::{Outcome, StopCause};
use crate::process_task::{ProcessTask, TaskState};
use crate::sorted::Sorted;
use crate::spawner::{Exit, RunInfo, Stop};
use crate::time::{Duration, Instant};

/// A fixed number of slots, each with room for one run.
///
/// It knows who would be evicted, and that a slot is taken until its process
/// is reaped. Who gets a slot is not its business: that is what a
/// [`SchedulerBin`](crate::SchedulerBin) decides.
///
/// The *victim* is the run with the highest level (the least urgent), and of
/// several the one that started last, so that the least work is thrown away. A run
/// that is being stopped, or that is shielded, is never the victim.
#[derive(Clone, Debug)]
pub struct PriorityRunner {
    slots: Vec<Option<Occupant>>,
    free: Sorted<u32>,
    /// Empty where nothing is ever evicted.
    victims: Sorted<VictimKey>,
    evicts: bool,
    by_run: Index,
    stopping: usize,
    orders: VecDeque<Order>,
}

/// The run in a slot.
#[derive(Clone, Debug)]
pub(crate) struct Occupant {
    pub(crate) info: RunInfo,
    pub(crate) task: ProcessTask,
    level: i64,
    shielded: bool,
}

/// About a run in its slot, if it is still there.
#[derive(Clone, Copy, Debug)]
enum Order {
    Spawn(RunId, SlotId),
    Stop(RunId, SlotId),
}

/// A run that is to be given a slot.
#[derive(Clone, Copy, Debug)]
pub struct RunRequest {
    /// Its id, new.
    pub id: RunId,
    /// Its job.
    pub job: JobId,
    /// Which attempt of the job, from 1.
    pub attempt: u32,
    /// How urgent it is while it runs; lower is more urgent.
    pub level: i64,
    /// Whether it is spared from eviction.
    pub shielded: bool,
    /// How long its process may run.
    pub time_limit: Option<Duration>,
    /// The time between TERM and KILL.
    pub grace: Duration,
}

/// What to do to a process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RunOrder {
    /// Start one.
    Spawn(RunInfo),
    /// Stop the one of this run.
    Stop(RunId, Stop),
}

/// A run, as it is now.
#[derive(Clone, Copy, Debug)]
pub struct RunView {
    /// Its id, job, attempt and slot.
    pub info: RunInfo,
    /// How urgent it is while it runs; lower is more urgent.
    pub level: i64,
    /// Whether it is spared from eviction.
    pub shielded: bool,
    /// What its process is doing.
    pub state: TaskState,
    /// When its start was decided.
    pub began: Instant,
}

/// A run that has left its slot.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EndedRun {
    /// Its id, job, attempt and slot.
    pub info: RunInfo,
    /// Why it had been asked to end, if it had.
    pub cause: Option<StopCause>,
    /// How long it had a process.
    pub ran: Duration,
    /// How long it had its slot.
    pub occupied: Duration,
}

impl PriorityRunner {
    /// A runner with this many slots, all free.
    #[must_use]
    pub fn new(slots: NonZeroUsize) -> Self {
        let count = u32::try_from(slots.get()).unwrap_or(u32::MAX - 1);
        let mut free = Sorted::new();
        (0..count).for_each(|slot| free.insert(slot, slot));
        Self {
            slots: (0..count).map(|_| None).collect(),
            free,
            victims: Sorted::new(),
            evicts: true,
            by_run: Index::new(),
            stopping: 0,
            orders: VecDeque::new(),
        }
    }

    /// One that need not know who would be evicted, because nobody ever is.
    pub(crate) fn sparing(slots: NonZeroUsize) -> Self {
        Self { evicts: false, ..Self::new(slots) }
    }

    /// How many slots there are.
    #[must_use]
    pub fn size(&self) -> usize {
        self.slots.len()
    }

    /// How many slots are free.
    #[must_use]
    pub const fn free(&self) -> usize {
        self.free.len()
    }

    /// How many runs have not been reaped yet.
    #[must_use]
    pub const fn running(&self) -> usize {
        self.by_run.len()
    }

    /// How many of them are being stopped.
    #[must_use]
    pub const fn stopping(&self) -> usize {
        self.stopping
    }

    /// The run that would be evicted next, and its level.
    #[must_use]
    pub fn victim(&self) -> Option<(RunId, i64)> {
        let (slot, level) = self.victim_at()?;
        self.at(slot).map(|it| (it.info.id, level))
    }

    /// A run that has not been reaped yet.
    #[must_use]
    pub fn run(&self, run: RunId) -> Option<RunView> {
        self.at(self.slot_of(run)?).map(Occupant::view)
    }

    /// The runs that have not been reaped yet, by slot.
    pub fn runs(&self) -> impl Iterator<Item = RunView> {
        self.slots.iter().flatten().map(Occupant::view)
    }

    /// Gives the run the free slot with the lowest number; `None` if no slot
    /// is free.
    #[inline(always)] // as what takes a place in the queue; see `Place`
    pub fn start(&mut self, now: Instant, run: RunRequest) -> Option<RunInfo> {
        let (_, slot) = self.free.pop_first()?;
        let RunRequest { id, job, attempt, level, shielded, time_limit, grace } = run;
        let info = RunInfo { id, job, attempt, slot: SlotId::new(slot) };
        let task = ProcessTask::new(now, time_limit, grace);
        self.slots[slot as usize] = Some(Occupant { info, task, level, shielded });
        self.by_run.insert(id.number(), slot);
        if self.evicts && !shielded {
            self.victims.insert(VictimKey::new(level, id), slot);
        }
        self.orders.push_back(Order::Spawn(id, info.slot));
        Some(info)
    }

    /// Asks a run to end. Returns whether that is news; see [`ProcessTask::stop`].
    #[inline]
    pub fn stop(&mut self, now: Instant, run: RunId, cause: StopCause) -> bool {
        self.slot_of(run).is_some_and(|slot| self.stop_at(now, slot, cause).is_some())
    }

    /// Ends the grace period of a stop at once. Returns whether that is news.
    pub fn kill(&mut self, now: Instant, run: RunId) -> bool {
        self.slot_of(run).is_some_and(|slot| self.kill_at(now, slot).is_some())
    }

    /// Replaces the cause of a stop that is under way.
    pub fn change_cause(&mut self, run: RunId, cause: StopCause) {
        if let Some(slot) = self.slot_of(run) {
            self.change_cause_at(slot, cause);
        }
    }

    /// There is a process now. Returns its run; `None` if it is unknown.
    #[inline]
    pub fn handle_started(&mut self, now: Instant, run: RunId) -> Option<RunInfo> {
        let slot = self.slot_of(run)?;
        let occupant = self.at_mut(slot)?;
        occupant.task.handle_started(now);
        Some(occupant.info)
    }

    /// There will be no process; the slot is free. `None`: an unknown run.
    pub fn handle_spawn_failed(&mut self, now: Instant, run: RunId) -> Option<EndedRun> {
        self.vacate(run, |it| {
            let cause = it.task.handle_spawn_failed();
            Some(it.ended(now, cause))
        })
    }

    /// A process was reaped; the slot is free. Returns how the run ended as
    /// well. `None`: an unknown run.
    #[inline]
    pub fn handle_exit(
        &mut self,
        now: Instant,
        run: RunId,
        exit: Exit,
    ) -> Option<(EndedRun, Outcome)> {
        self.vacate(run, |it| {
            let cause = it.task.stop_cause();
            let outcome = it.task.handle_exit(now, exit)?;
            Some((it.ended(now, cause), outcome))
        })
    }

    /// When the time limit or the grace period of this run is over. Its owner
    /// stops or kills it then.
    #[must_use]
    pub fn due(&self, run: RunId) -> Option<Instant> {
        self.at(self.slot_of(run)?)?.task.poll_timeout()
    }

    /// What to do next to a process; `None`: nothing. Drain it after every
    /// other call. There are never more than three orders a slot.
    #[inline]
    pub fn poll_order(&mut self) -> Option<RunOrder> {
        loop {
            let order = match self.orders.pop_front()? {
                Order::Spawn(run, slot) => self.order_spawn(run, slot),
                Order::Stop(run, slot) => self.order_stop(run, slot),
            };
            if order.is_some() {
                return order;
            }
        }
    }

    /// The run in a slot; `None`: the slot is free.
    #[inline]
    pub(crate) fn at(&self, slot: SlotId) -> Option<&Occupant> {
        self.slots.get(slot.number() as usize)?.as_ref()
    }

    /// As [`victim`](Self::victim): its slot, and its level.
    #[inline]
    pub(crate) fn victim_at(&self) -> Option<(SlotId, i64)> {
        self.victims.first().map(|(key, slot)| (SlotId::new(slot), key.level()))
    }

    /// As [`stop`](Self::stop). Returns the run, if that is news.
    #[inline(always)] // as above
    pub(crate) fn stop_at(
        &mut self,
        now: Instant,
        slot: SlotId,
        cause: StopCause,
    ) -> Option<RunInfo> {
        let occupant = self.at_mut(slot)?;
        if !occupant.task.stop(now, cause) {
            return None;
        }
        let (info, level) = (occupant.info, occupant.level);
        self.stopping += 1;
        self.victims.remove(VictimKey::new(level, info.id));
        self.orders.push_back(Order::Stop(info.id, slot));
        Some(info)
    }

    /// As [`kill`](Self::kill). Returns the run, if that is news.
    pub(crate) fn kill_at(&mut self, now: Instant, slot: SlotId) -> Option<RunInfo> {
        let occupant = self.at_mut(slot)?;
        let asked_already = occupant.task.stop_is_wanted();
        if !occupant.task.kill(now) {
            return None;
        }
        let info = occupant.info;
        if !asked_already {
            self.orders.push_back(Order::Stop(info.id, slot));
        }
        Some(info)
    }

    /// As [`change_cause`](Self::change_cause).
    pub(crate) fn change_cause_at(&mut self, slot: SlotId, cause: StopCause) {
        if let Some(occupant) = self.at_mut(slot) {
            occupant.task.change_cause(cause);
        }
    }

    #[inline]
    fn at_mut(&mut self, slot: SlotId) -> Option<&mut Occupant> {
        self.slots.get_mut(slot.number() as usize)?.as_mut()
    }

    #[inline]
    fn order_spawn(&self, run: RunId, slot: SlotId) -> Option<RunOrder> {
        self.at(slot).filter(|it| it.info.id == run).map(|it| RunOrder::Spawn(it.info))
    }

    #[inline]
    fn order_stop(&mut self, run: RunId, slot: SlotId) -> Option<RunOrder> {
        let stop = self.at_mut(slot).filter(|it| it.info.id == run)?.task.poll_stop()?;
        Some(RunOrder::Stop(run, stop))
    }

    #[inline]
    fn slot_of(&self, run: RunId) -> Option<SlotId> {
        let slot = self.by_run.find(run.number(), |slot| number_of(&self.slots, slot));
        slot.map(SlotId::new)
    }

    /// Ends the run in its slot, which is free then.
    #[inline]
    fn vacate<T>(&mut self, run: RunId, end: impl FnOnce(&mut Occupant) -> Option<T>) -> Option<T> {
        let slots = &self.slots;
        let slot = self.by_run.remove(run.number(), |slot| number_of(slots, slot))?;
        let place = self.slots.get_mut(slot as usize)?;
        let occupant = place.as_mut()?;
        if occupant.task.stop_cause().is_some() {
            self.stopping -= 1;
        } else if self.evicts && !occupant.shielded {
            self.victims.remove(VictimKey::new(occupant.level, run));
        }
        let ended = end(occupant);
        *place = None;
        self.free.insert(slot, slot);
        ended
    }
}

/// The run in a slot, as a number; one that no run has if there is none.
fn number_of(slots: &[Option<Occupant>], slot: u32) -> u64 {
    let occupant = slots.get(slot as usize).and_then(Option::as_ref);
    occupant.map_or(u64::MAX, |occupant| occupant.info.id.number())
}

impl Occupant {
    #[inline]
    const fn view(&self) -> RunView {
        RunView {
            info: self.info,
            level: self.level,
            shielded: self.shielded,
            state: self.task.state(),
            began: self.task.began(),
        }
    }

    #[inline]
    fn ended(&self, now: Instant, cause: Option<StopCause>) -> EndedRun {
        let ran = match self.task.state() {
            TaskState::Exited { ran } => ran,
            _ => Duration::ZERO,
        };
        EndedRun { info: self.info, cause, ran, occupied: now - self.task.began() }
    }
}
