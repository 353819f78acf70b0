//! A scheduler that runs: jobs in, processes started and stopped, outcomes out.

mod driver;
mod news;
mod outcomes;
mod subscription;
mod timekeeper;

use std::convert::Infallible;
use std::num::NonZeroUsize;
use std::sync::{Arc, OnceLock};

use async_channel::Receiver;
use sched_core::{
    Duration, Instant, JobId, JobSpec, JobTally, Outcome, Policy, SchedulerManager, Stats,
    SubmitError, UnknownJob,
};

use self::driver::Shared;
use self::news::{OutcomeSetter, Tell};
pub use self::outcomes::Outcomes;
pub use self::subscription::{Notice, Subscription};
pub(crate) use self::subscription::{Subscriber, pair as subscription};
use self::timekeeper::{Alarm, keep_time};
use crate::process::{CapturedOutput, Command, SpawnerError, SpooledOutput, make_room};

/// A handle to a running scheduler. Cloning it is cheap.
///
/// It owns a [`SchedulerManager`], behind a lock: each call is one step of it,
/// taken on the caller's thread, and short, for processes are started elsewhere
/// (see the theory of operation of the crate). Calls are `async` so that a
/// program can be written as if the scheduler were far away; they do not wait for
/// each other longer than a step takes. Time limits and grace periods are kept by
/// a task on smol's global executor.
///
/// When the last handle is dropped the scheduler stops as [`stop`](Self::stop)
/// does: nothing it has started is left behind. A [`JobHandle`] and a
/// [`Subscription`] do not keep it going.
///
/// ```
/// use std::num::NonZeroUsize;
/// use sched_core::{JobSpec, Outcome, Policy, Priority};
/// use sched_runtime_smol::{Command, Scheduler};
///
/// smol::block_on(async {
///     let scheduler = Scheduler::start(NonZeroUsize::MIN, Policy::seed())?;
///     let job = JobSpec::new(Priority::new(5), Command::new("true"));
///     let job = scheduler.submit(job).await?;
///     assert_eq!(job.ended().await?.outcome, Outcome::Finished);
///     scheduler.stop().await;
///     Ok::<_, Box<dyn std::error::Error>>(())
/// })
/// # .unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct Scheduler {
    handle: Arc<Handle>,
}

/// What all handles are copies of.
#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        // It may have ended before.
        if self.shared.act(SchedulerManager::stop).is_ok() {
            tracing::debug!("the last handle was dropped; stopping");
        }
    }
}

/// What a scheduler has done when it has ended.
#[derive(Clone, Debug)]
pub struct Summary {
    /// What its bins have counted.
    pub stats: Stats,
    /// How long it was there.
    pub elapsed: Duration,
    /// How many slots it had.
    pub slots: usize,
}

/// How a job ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// How.
    pub outcome: Outcome,
    /// Its life in figures.
    pub tally: JobTally,
    /// What its last run wrote, if that was to be captured.
    pub output: Option<CapturedOutput>,
    /// What its last run wrote, if that was to be spooled.
    pub spooled: Option<SpooledOutput>,
}

/// The scheduler has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the scheduler has ended")]
pub struct SchedulerGone;

/// A job was not cancelled.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CancelFailed {
    /// There is no such job, or it has ended.
    #[error(transparent)]
    UnknownJob(#[from] UnknownJob),
    /// The scheduler has ended, and with it every job.
    #[error(transparent)]
    Gone(#[from] SchedulerGone),
}

impl Scheduler {
    /// Starts a scheduler with one bin of this many slots.
    ///
    /// # Errors
    ///
    /// This machine cannot run so many processes at once; the error says why.
    pub fn start(slots: NonZeroUsize, policy: Policy) -> Result<Self, SpawnerError> {
        // The machine is asked before the slots are laid out in memory.
        make_room(slots)?;
        let mut manager = SchedulerManager::new();
        manager.add_bin(slots, policy);
        Ok(Self::drive(manager, slots))
    }

    /// Starts a scheduler with bins of one's own making.
    ///
    /// # Errors
    ///
    /// See [`start`](Self::start).
    pub fn start_manager(manager: SchedulerManager<Command>) -> Result<Self, SpawnerError> {
        let slots = manager.bins().map(|bin| bin.slots()).sum();
        let slots = NonZeroUsize::new(slots).unwrap_or(NonZeroUsize::MIN);
        make_room(slots)?;
        Ok(Self::drive(manager, slots))
    }

    fn drive(manager: SchedulerManager<Command>, slots: NonZeroUsize) -> Self {
        let (alarm, calls) = Alarm::new();
        let shared = Shared::new(manager, slots.get(), alarm);
        smol::spawn(keep_time(Arc::downgrade(&shared), calls)).detach();
        // What it was made with may want something already.
        shared.step(|_driver, _now| ());
        Self { handle: Arc::new(Handle { shared }) }
    }

    /// Submits a job. It starts at once, by eviction or without, or waits.
    ///
    /// # Errors
    ///
    /// No bin accepts the job, or the scheduler is draining or has ended: the
    /// job is handed back.
    pub async fn submit(&self, job: JobSpec<Command>) -> Result<JobHandle, SubmitError<Command>> {
        let (open, ended) = async_channel::bounded(1);
        let told = Arc::new(OnceLock::new());
        let tell = Tell::Handle(OutcomeSetter { told: Arc::clone(&told), open });
        let submit = |driver: &mut driver::Driver, now| driver.submit(now, job, tell);
        let id = self.handle.shared.step(submit)?;
        Ok(JobHandle { id, ended, told })
    }

    /// Ends a job: at once if it waits, else by stopping its process. Its
    /// outcome is told as any other.
    ///
    /// # Errors
    ///
    /// There is no such job, it has its outcome already, or the scheduler has ended.
    pub async fn cancel(&self, job: JobId) -> Result<(), CancelFailed> {
        Ok(self.act(move |manager, now| manager.cancel(now, job)).await??)
    }

    /// As [`cancel`](Self::cancel), without a grace period; also after one.
    ///
    /// # Errors
    ///
    /// There is no such job, it has its outcome already, or the scheduler has ended.
    pub async fn kill_job(&self, job: JobId) -> Result<(), CancelFailed> {
        Ok(self.act(move |manager, now| manager.kill_job(now, job)).await??)
    }

    /// Starts nothing new until [`resume`](Self::resume); what runs goes on.
    ///
    /// # Errors
    ///
    /// The scheduler has ended.
    pub async fn pause(&self) -> Result<(), SchedulerGone> {
        self.act(SchedulerManager::pause).await
    }

    /// Finishes what runs, and accepts and starts nothing until
    /// [`resume`](Self::resume).
    ///
    /// # Errors
    ///
    /// The scheduler has ended.
    pub async fn drain(&self) -> Result<(), SchedulerGone> {
        self.act(SchedulerManager::drain).await
    }

    /// Undoes a pause or a drain.
    ///
    /// # Errors
    ///
    /// The scheduler has ended.
    pub async fn resume(&self) -> Result<(), SchedulerGone> {
        self.act(SchedulerManager::resume).await
    }

    /// Ends everything, each process with its grace period, and waits until
    /// the last one is reaped.
    pub async fn stop(&self) -> Summary {
        let _ = self.act(SchedulerManager::stop).await;
        self.ended().await
    }

    /// Ends everything at once, without a grace period; also during a
    /// [`stop`](Self::stop). Otherwise the same.
    pub async fn kill(&self) -> Summary {
        let _ = self.act(SchedulerManager::kill).await;
        self.ended().await
    }

    /// Waits until the scheduler has ended.
    pub async fn ended(&self) -> Summary {
        self.handle.shared.ended().await
    }

    /// Everything that happens from now on. Take it before submitting what is
    /// to be observed.
    ///
    /// # Errors
    ///
    /// The scheduler has ended.
    pub async fn subscribe(&self) -> Result<Subscription, SchedulerGone> {
        let (subscriber, subscription) = subscription::pair();
        let is_there = self.handle.shared.step(|driver, _now| driver.subscribe(subscriber));
        if is_there { Ok(subscription) } else { Err(SchedulerGone) }
    }

    /// Looks at the state machine, between two of its steps.
    ///
    /// Everything waits for `look`: it is called under the scheduler's lock, and
    /// must neither call a scheduler nor wait for anything that one has to do, also
    /// another: all of a program share the threads that start and reap processes.
    ///
    /// # Errors
    ///
    /// The scheduler has ended, or `look` panicked (which harms nobody else).
    pub async fn inspect<T>(
        &self,
        look: impl FnOnce(&SchedulerManager<Command>, Instant) -> T,
    ) -> Result<T, SchedulerGone> {
        self.act(move |manager, now| look(manager, now)).await
    }

    async fn act<T>(
        &self,
        act: impl FnOnce(&mut SchedulerManager<Command>, Instant) -> T,
    ) -> Result<T, SchedulerGone> {
        self.handle.shared.act(act)
    }
}

/// A job that was accepted.
///
/// Cloning it is cheap, and dropping it changes nothing for the job.
#[derive(Clone, Debug)]
pub struct JobHandle {
    id: JobId,
    told: Arc<OnceLock<Ended>>,
    /// Closed when it was told, or never will be.
    ended: Receiver<Infallible>,
}

impl JobHandle {
    /// Its id.
    #[must_use]
    pub const fn id(&self) -> JobId {
        self.id
    }

    /// Waits until the job has its outcome. It may be asked at any time, again
    /// and from several tasks.
    ///
    /// # Errors
    ///
    /// The scheduler has gone before the job ended, which it never does unless it
    /// panicked.
    pub async fn ended(&self) -> Result<Ended, SchedulerGone> {
        match self.ended.recv().await {
            Ok(never) => match never {},
            Err(_closed) => self.told.get().cloned().ok_or(SchedulerGone),
        }
    }
}
