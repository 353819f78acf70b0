//! Several bins; the first that accepts a job takes it.

use alloc::vec::Vec;
use core::num::NonZeroUsize;

use crate::bin::{Action, JobView, Mode, Refusal, SchedulerBin, Stats, SubmitError, UnknownJob};
use crate::event::Event;
use crate::id::{BinIndex, JobId, RunId};
use crate::job::JobSpec;
use crate::policy::Policy;
use crate::spawner::{Exit, ProcessSpawner, SpawnFailure};
use crate::time::Instant;

/// Several bins, driven as one machine. Same shape as a [`SchedulerBin`].
///
/// A job goes to the first bin that accepts it, in the order in which the bins
/// were added. Ids carry their bin, so that what is reported about a run finds
/// its way without a search.
#[derive(Clone, Debug)]
pub struct SchedulerManager<C> {
    bins: Vec<Lane<C>>,
    rejected: u64,
}

#[derive(Clone, Debug)]
struct Lane<C> {
    bin: SchedulerBin<C>,
    accepts: fn(&JobSpec<C>) -> bool,
}

impl<C> Default for SchedulerManager<C> {
    fn default() -> Self {
        Self::new()
    }
}

impl<C> SchedulerManager<C> {
    /// No bins yet: every job is rejected.
    #[must_use]
    pub const fn new() -> Self {
        Self { bins: Vec::new(), rejected: 0 }
    }

    /// Adds a bin for jobs of any kind. There is room for 65,536; the same
    /// index comes back when there is no more, and nothing is added.
    pub fn add_bin(&mut self, slots: NonZeroUsize, policy: Policy) -> BinIndex {
        self.add_bin_for(slots, policy, |_| true)
    }

    /// Adds a bin for those jobs alone that `accepts` says yes to.
    pub fn add_bin_for(
        &mut self,
        slots: NonZeroUsize,
        policy: Policy,
        accepts: fn(&JobSpec<C>) -> bool,
    ) -> BinIndex {
        let Ok(place) = u16::try_from(self.bins.len()) else {
            return BinIndex::new(u16::MAX);
        };
        let index = BinIndex::new(place);
        self.bins.push(Lane { bin: SchedulerBin::with_index(index, slots, policy), accepts });
        index
    }

    /// Gives a job to the first bin that accepts it.
    ///
    /// # Errors
    ///
    /// No bin accepts it: the job is handed back, with [`Refusal::NoBin`], or
    /// with the bin's own reason where just one bin is for this kind of job.
    pub fn submit(&mut self, now: Instant, job: JobSpec<C>) -> Result<JobId, SubmitError<C>> {
        let mut refused = SubmitError { job: job.into(), why: Refusal::NoBin };
        let mut asked = 0;
        for lane in &mut self.bins {
            if !(lane.accepts)(&refused.job) {
                continue;
            }
            asked += 1;
            match lane.bin.submit(now, *refused.job) {
                Ok(id) => return Ok(id),
                Err(again) => refused = again,
            }
        }
        self.rejected += 1;
        if asked != 1 {
            refused.why = Refusal::NoBin;
        }
        Err(refused)
    }

    /// See [`SchedulerBin::cancel`].
    ///
    /// # Errors
    ///
    /// There is no such job, or it has its outcome already.
    pub fn cancel(&mut self, now: Instant, job: JobId) -> Result<(), UnknownJob> {
        self.bin_mut(job.bin()).ok_or(UnknownJob(job))?.cancel(now, job)
    }

    /// See [`SchedulerBin::kill_job`].
    ///
    /// # Errors
    ///
    /// There is no such job, or it has its outcome already.
    pub fn kill_job(&mut self, now: Instant, job: JobId) -> Result<(), UnknownJob> {
        self.bin_mut(job.bin()).ok_or(UnknownJob(job))?.kill_job(now, job)
    }

    /// See [`SchedulerBin::pause`].
    pub fn pause(&mut self, now: Instant) {
        self.each(|bin| bin.pause(now));
    }

    /// See [`SchedulerBin::drain`].
    pub fn drain(&mut self, now: Instant) {
        self.each(|bin| bin.drain(now));
    }

    /// See [`SchedulerBin::resume`].
    pub fn resume(&mut self, now: Instant) {
        self.each(|bin| bin.resume(now));
    }

    /// See [`SchedulerBin::stop`].
    pub fn stop(&mut self, now: Instant) {
        self.each(|bin| bin.stop(now));
    }

    /// See [`SchedulerBin::kill`].
    pub fn kill(&mut self, now: Instant) {
        self.each(|bin| bin.kill(now));
    }

    /// See [`SchedulerBin::handle_started`].
    pub fn handle_started(&mut self, now: Instant, run: RunId) {
        if let Some(bin) = self.bin_mut(run.bin()) {
            bin.handle_started(now, run);
        }
    }

    /// See [`SchedulerBin::handle_spawn_failed`].
    pub fn handle_spawn_failed(&mut self, now: Instant, run: RunId, why: SpawnFailure) {
        if let Some(bin) = self.bin_mut(run.bin()) {
            bin.handle_spawn_failed(now, run, why);
        }
    }

    /// See [`SchedulerBin::handle_exit`].
    pub fn handle_exit(&mut self, now: Instant, run: RunId, exit: Exit) {
        if let Some(bin) = self.bin_mut(run.bin()) {
            bin.handle_exit(now, run, exit);
        }
    }

    /// See [`SchedulerBin::handle_timeout`].
    pub fn handle_timeout(&mut self, now: Instant) {
        self.each(|bin| bin.handle_timeout(now));
    }

    /// See [`SchedulerBin::poll_action`].
    pub fn poll_action(&mut self) -> Option<Action<'_, C>> {
        self.bins.iter_mut().find_map(|lane| lane.bin.poll_action())
    }

    /// See [`SchedulerBin::poll_event`]. Of one input the events of a bin come
    /// together, bin by bin.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.bins.iter_mut().find_map(|lane| lane.bin.poll_event())
    }

    /// See [`SchedulerBin::poll_timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.bins().filter_map(SchedulerBin::poll_timeout).min()
    }

    /// See [`SchedulerBin::dispatch`].
    pub fn dispatch<S>(&mut self, now: Instant, spawner: &mut S)
    where
        S: ProcessSpawner<Command = C> + ?Sized,
    {
        self.each(|bin| bin.dispatch(now, spawner));
    }

    /// The bins, in order.
    pub fn bins(&self) -> impl Iterator<Item = &SchedulerBin<C>> {
        self.bins.iter().map(|lane| &lane.bin)
    }

    /// A bin.
    #[must_use]
    pub fn bin(&self, index: BinIndex) -> Option<&SchedulerBin<C>> {
        self.bins.get(index.place()).map(|lane| &lane.bin)
    }

    /// A job, wherever it is; `None` if it is unknown or has its outcome.
    #[must_use]
    pub fn job(&self, job: JobId) -> Option<JobView<'_, C>> {
        self.bin(job.bin())?.job(job)
    }

    /// How many jobs no bin accepted.
    #[must_use]
    pub const fn rejected(&self) -> u64 {
        self.rejected
    }

    /// What all bins have counted, together. What no bin accepted is counted as
    /// refused once, however many bins were asked.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let mut sum = self.bins().fold(Stats::default(), |sum, bin| sum + bin.stats());
        sum.refused = self.rejected;
        sum
    }

    /// Whether every bin is stopped.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.bins().all(|bin| bin.mode() == Mode::Stopped)
    }

    fn each(&mut self, mut act: impl FnMut(&mut SchedulerBin<C>)) {
        self.bins.iter_mut().for_each(|lane| act(&mut lane.bin));
    }

    fn bin_mut(&mut self, index: BinIndex) -> Option<&mut SchedulerBin<C>> {
        self.bins.get_mut(index.place()).map(|lane| &mut lane.bin)
    }
}
