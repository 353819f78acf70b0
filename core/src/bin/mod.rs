//! The pending queue in front of one runner.

mod look;
mod record;
mod report;
mod start;
mod stop;
#[cfg(test)]
mod tests;
mod timers;
mod view;

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::iter::once_with;
use core::num::NonZeroUsize;

pub use self::view::{Action, JobView, Mode, Refusal, Stats, SubmitError, UnknownJob};

use self::record::{Record, TimerKey};
use self::start::refuse;
use crate::event::{Event, EventKind};
use crate::id::{BinIndex, JobId, RunId, SlotId};
use crate::job::{JobSpec, StopCause};
use crate::policy::Policy;
use crate::queue::Queue;
use crate::runner::{PriorityRunner, RunOrder};
use crate::sorted::Sorted;
use crate::spawner::{Exit, ProcessSpawner, SpawnFailure};
use crate::table::Table;
use crate::time::Instant;

/// How many events of earlier inputs are kept for a driver that does not drain
/// them. Those of the last input, and of the dispatch after it, are all kept.
const EVENT_BACKLOG: usize = 4096;

/// A preemptive priority scheduler: slots, and a queue of jobs that wait for
/// one. It decides; a driver acts.
///
/// # Driving it
///
/// There are four kinds of method:
///
/// - *verbs* change something and answer at once: [`submit`](Self::submit),
///   [`cancel`](Self::cancel), [`pause`](Self::pause), [`drain`](Self::drain),
///   [`resume`](Self::resume), [`stop`](Self::stop), [`kill`](Self::kill);
/// - `handle_*` is input: what became of processes, and that time has passed;
/// - `poll_*` is output, to be drained until `None` after every verb and every
///   input, in this order: [`poll_action`](Self::poll_action), which must be
///   carried out ([`dispatch`](Self::dispatch) does that with a
///   [`ProcessSpawner`]); [`poll_event`](Self::poll_event), which may be
///   ignored; [`poll_timeout`](Self::poll_timeout), at which
///   [`handle_timeout`](Self::handle_timeout) is due, unless another input
///   comes first;
/// - the rest are getters.
///
/// Time is an argument of all that changes something, and must not go
/// backwards. The same inputs at the same times give the same outputs.
///
/// # What it decides
///
/// - A slot that is free is taken by the first job in *queue order*: the most
///   urgent, counting what aging has added, then first come, first served.
/// - When none is free, the first job in *priority order* (as submitted, then
///   first come, first served) evicts the least urgent run, if its priority
///   number is smaller by at least [`Policy::preempt_delta`]. The slot is
///   reserved for it, or for one that is more urgent, until the process of the
///   victim is reaped. If a slot is being vacated already and nobody has it
///   reserved, it is reserved instead and nothing more is stopped.
/// - An input is applied first, then the timers that are due, then slots are
///   filled: a job that has expired or was cancelled never starts.
///
/// The cost of every decision is O(log n) in pending jobs and in runs.
///
/// # Example
///
/// ```
/// use core::num::NonZeroUsize;
/// use sched_core::{Action, Exit, ExitStatus, Instant, JobSpec, Policy, Priority, SchedulerBin, Stop};
///
/// let mut bin = SchedulerBin::new(NonZeroUsize::MIN, Policy::durable());
/// let backlog = bin.submit(Instant::ZERO, JobSpec::new(Priority::new(7), "reduce"))?;
/// let Some(Action::Spawn { run, command: &"reduce" }) = bin.poll_action() else { panic!() };
/// let first = run.id;
/// bin.handle_started(Instant::from_millis(2), first);
///
/// // Something more urgent: the slot is vacated for it ...
/// let urgent = bin.submit(Instant::from_secs(9), JobSpec::new(Priority::new(0), "observe"))?;
/// assert_eq!(bin.poll_action(), Some(Action::Stop { run: first, how: Stop::Terminate }));
/// // ... and taken once the victim is reaped.
/// bin.handle_exit(Instant::from_secs(10), first, Exit::stopped(ExitStatus::Signal(15)));
/// let Some(Action::Spawn { run, command: &"observe" }) = bin.poll_action() else { panic!() };
/// assert_eq!(run.job, urgent);
/// assert_eq!(bin.pending_in_order(), [backlog]);
/// # Ok::<(), sched_core::SubmitError<&str>>(())
/// ```
#[derive(Clone, Debug)]
pub struct SchedulerBin<C> {
    index: BinIndex,
    policy: Policy,
    now: Instant,
    mode: Mode,
    /// Whether `Drained` was told since draining began.
    drained: bool,
    runner: PriorityRunner,
    queue: Queue,
    jobs: Table<Record<C>>,
    /// By slot: the job whose run is in it, or was the last.
    seated: Vec<u32>,
    backing_off: usize,
    /// By job: the next time at which something is due about it.
    timers: Sorted<TimerKey>,
    /// Until when nothing is started because the machine is exhausted.
    spawning_paused: Option<Instant>,
    /// Starts in a row that failed because of it.
    exhausted: u32,
    last_job: u64,
    last_run: u64,
    events: VecDeque<Event>,
    stats: Stats,
}

impl<C> SchedulerBin<C> {
    /// A bin with this many slots, by itself.
    #[must_use]
    pub fn new(slots: NonZeroUsize, policy: Policy) -> Self {
        Self::with_index(BinIndex::default(), slots, policy)
    }

    /// The bin at this place of a manager: its ids carry the place.
    #[must_use]
    pub fn with_index(index: BinIndex, slots: NonZeroUsize, policy: Policy) -> Self {
        let runner = match policy.preempt_delta {
            Some(_) => PriorityRunner::new(slots),
            None => PriorityRunner::sparing(slots),
        };
        Self {
            index,
            policy,
            now: Instant::ZERO,
            mode: Mode::Accepting,
            drained: false,
            runner,
            queue: Queue::new(),
            jobs: Table::new(),
            seated: Vec::new(),
            backing_off: 0,
            timers: Sorted::new(),
            spawning_paused: None,
            exhausted: 0,
            last_job: 0,
            last_run: 0,
            events: VecDeque::new(),
            stats: Stats::default(),
        }
    }

    /// Accepts a job, which starts at once, by eviction or without, or waits.
    ///
    /// # Errors
    ///
    /// The job is handed back with the reason: as many jobs wait as may wait,
    /// or the bin is draining or stopped.
    pub fn submit(&mut self, now: Instant, job: JobSpec<C>) -> Result<JobId, SubmitError<C>> {
        let now = self.begin(now);
        self.fire_timers(now);
        let submitted = match self.refusal() {
            None => self.try_accept(now, job),
            Some(why) => {
                self.settle(now);
                Err(refuse(job, why))
            }
        };
        self.stats.refused += u64::from(submitted.is_err());
        self.tell_if_idle();
        submitted
    }

    /// Ends a job: at once if it waits, else by stopping its process.
    ///
    /// # Errors
    ///
    /// There is no such job, or it has its outcome already.
    pub fn cancel(&mut self, now: Instant, job: JobId) -> Result<(), UnknownJob> {
        let now = self.begin(now);
        let handle = self.jobs.handle(job);
        if let Some(handle) = handle {
            self.cancel_job(now, handle);
        }
        self.finish(now);
        handle.map(|_| ()).ok_or(UnknownJob(job))
    }

    /// As [`cancel`](Self::cancel), without a grace period; also after one. For
    /// a job that somebody else may be running by now.
    ///
    /// # Errors
    ///
    /// There is no such job, or it has its outcome already.
    pub fn kill_job(&mut self, now: Instant, job: JobId) -> Result<(), UnknownJob> {
        let now = self.begin(now);
        let handle = self.jobs.handle(job);
        if let Some(handle) = handle {
            self.cancel_job(now, handle);
            self.kill_run_of(now, handle);
        }
        self.finish(now);
        handle.map(|_| ()).ok_or(UnknownJob(job))
    }

    /// Starts nothing new, until [`resume`](Self::resume). Jobs are accepted,
    /// and wait; what runs goes on.
    pub fn pause(&mut self, now: Instant) {
        self.change_mode(now, Mode::Paused, EventKind::Paused);
    }

    /// Finishes what runs, and accepts and starts nothing, until
    /// [`resume`](Self::resume). `Drained` is told when the last run has ended.
    pub fn drain(&mut self, now: Instant) {
        self.change_mode(now, Mode::Draining, EventKind::Draining);
    }

    /// Undoes a pause or a drain.
    pub fn resume(&mut self, now: Instant) {
        self.change_mode(now, Mode::Accepting, EventKind::Resumed);
    }

    /// Ends everything: what waits is cancelled at once, what runs is stopped,
    /// with its grace period. `Stopped` is told when the last process is reaped.
    pub fn stop(&mut self, now: Instant) {
        self.change_mode(now, Mode::Stopping, EventKind::ShuttingDown);
    }

    /// As [`stop`](Self::stop), without a grace period; also after a `stop`.
    pub fn kill(&mut self, now: Instant) {
        self.stop(now);
        self.kill_all();
    }

    /// There is a process for this run.
    pub fn handle_started(&mut self, now: Instant, run: RunId) {
        let now = self.begin(now);
        self.run_started(now, run);
        self.finish_unchanged(now);
    }

    /// There will be no process for this run.
    pub fn handle_spawn_failed(&mut self, now: Instant, run: RunId, why: SpawnFailure) {
        let now = self.begin(now);
        self.spawn_failed_at(now, run, why);
    }

    /// The process of this run was reaped.
    pub fn handle_exit(&mut self, now: Instant, run: RunId, exit: Exit) {
        let now = self.begin(now);
        let vacated = self.run_exited(now, run, exit);
        self.finish_vacated(now, vacated);
    }

    /// Time has passed. Nothing acts before its time; calling early is harmless.
    pub fn handle_timeout(&mut self, now: Instant) {
        let now = self.begin(now);
        self.finish_unchanged(now);
    }

    /// What to do to a process next; `None`: nothing more. It must be carried out.
    pub fn poll_action(&mut self) -> Option<Action<'_, C>> {
        match self.runner.poll_order()? {
            RunOrder::Stop(run, how) => Some(Action::Stop { run, how }),
            RunOrder::Spawn(run) => {
                let record = self.jobs.get(self.seated(run.slot)?)?;
                Some(Action::Spawn { run, command: &record.spec.command })
            }
        }
    }

    /// What happened next; `None`: nothing more.
    ///
    /// A driver that drains this after every verb and input misses nothing.
    /// For one that does not, the newest few thousand are kept, and the others
    /// are counted in [`Stats::events_dropped`].
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due; `None`: never.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let job = self.timers.first().map(|(timer, _)| timer.due);
        job.into_iter().chain(self.spawning_paused).min()
    }

    /// Drains [`poll_action`](Self::poll_action) into a spawner, and feeds
    /// what it refuses back.
    pub fn dispatch<S>(&mut self, now: Instant, spawner: &mut S)
    where
        S: ProcessSpawner<Command = C> + ?Sized,
    {
        loop {
            let refused = match self.poll_action() {
                None => return,
                Some(Action::Stop { run, how }) => {
                    spawner.stop(run, how);
                    None
                }
                Some(Action::Spawn { run, command }) => {
                    spawner.spawn(&run, command).err().map(|why| (run.id, why))
                }
            };
            if let Some((run, why)) = refused {
                self.spawn_failed_at(now, run, why);
            }
        }
    }

    /// What an input begins with: time that goes forward, and a bounded backlog
    /// of events.
    fn begin(&mut self, now: Instant) -> Instant {
        self.now = self.now.max(now);
        while self.events.len() > EVENT_BACKLOG {
            self.events.pop_front();
            self.stats.events_dropped += 1;
        }
        self.now
    }

    /// Leaves the backlog of events alone: within a dispatch nobody can drain it.
    fn spawn_failed_at(&mut self, now: Instant, run: RunId, why: SpawnFailure) {
        self.now = self.now.max(now);
        let vacated = self.run_not_started(self.now, run, why);
        self.finish_vacated(self.now, vacated);
    }

    /// What an input ends with that by itself lets nothing start.
    fn finish_unchanged(&mut self, now: Instant) {
        if self.is_anything_due(now) {
            self.finish(now);
        }
    }

    /// What every other input ends with.
    fn finish(&mut self, now: Instant) {
        self.finish_vacated(now, None);
    }

    /// What an input ends with that made a slot free which was being vacated,
    /// for that reason.
    fn finish_vacated(&mut self, now: Instant, vacated: Option<StopCause>) {
        self.fire_timers(now);
        if let Some(cause) = vacated {
            self.hand_over(now, cause);
        }
        self.settle(now);
        self.tell_if_idle();
    }

    fn change_mode(&mut self, now: Instant, to: Mode, told: EventKind) {
        let now = self.begin(now);
        if self.mode != to && !self.is_ending() {
            self.mode = to;
            self.drained = false;
            self.tell(|| told);
            if to != Mode::Accepting {
                self.queue.unreserve_all();
            }
            if to == Mode::Stopping {
                self.spawning_paused = None;
                self.cancel_all();
            }
        }
        self.finish(now);
    }

    /// The event is made in its place: moved there, it would be read in large
    /// pieces when it has just been written in small ones, for which a processor
    /// waits.
    #[inline]
    fn tell(&mut self, kind: impl FnOnce() -> EventKind) {
        let at = self.now;
        self.events.extend(once_with(|| Event { at, kind: kind() }));
    }

    /// The job whose run is in this slot.
    fn seated(&self, slot: SlotId) -> Option<u32> {
        self.seated.get(slot.number() as usize).copied()
    }
}
