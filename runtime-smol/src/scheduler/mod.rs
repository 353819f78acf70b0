//! A scheduler that runs: jobs in, processes started and stopped, outcomes out.

mod driver;
mod outcomes;
mod subscription;

use std::num::NonZeroUsize;
use std::sync::{Arc, OnceLock};

use async_channel::{Receiver, Sender};
use sched_core::{
    Duration, Instant, JobId, JobSpec, JobTally, Outcome, Policy, SchedulerManager, Stats,
    SubmitError, UnknownJob,
};
use smol::lock::OnceCell;

use self::driver::{Driver, Request};
pub use self::outcomes::Outcomes;
pub use self::subscription::{Notice, Subscription};
pub(crate) use self::subscription::{Subscriber, pair as subscription};
use crate::process::{CapturedOutput, Command, Report, SmolSpawner, SpawnerError, SpooledOutput};

/// How many requests may wait for the scheduler before callers wait as well.
const REQUESTS: usize = 256;

/// A handle to a running scheduler. Cloning it is cheap.
///
/// The scheduler is one task that owns a [`SchedulerManager`] and a
/// [`SmolSpawner`]; it runs on smol's global executor. Requests reach it through
/// a bounded queue: when that is full a caller waits its turn, and nobody else.
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
    requests: Sender<Request>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    summary: OnceLock<Summary>,
    /// Closed when the scheduler has ended.
    ended: Receiver<std::convert::Infallible>,
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

/// The scheduler has ended, or its executor has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the scheduler has ended")]
pub struct SchedulerGone;

/// A job was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum SubmitFailed {
    /// It was refused, and is handed back with the reason.
    #[error(transparent)]
    Refused(#[from] SubmitError<Command>),
    /// The scheduler's executor is gone, and the job with it.
    #[error(transparent)]
    Gone(#[from] SchedulerGone),
}

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
        let spawner = SmolSpawner::new(slots)?;
        let mut manager = SchedulerManager::new();
        manager.add_bin(slots, policy);
        Ok(Self::drive(manager, spawner))
    }

    /// Starts a scheduler with bins of one's own making.
    ///
    /// # Errors
    ///
    /// See [`start`](Self::start).
    pub fn start_manager(manager: SchedulerManager<Command>) -> Result<Self, SpawnerError> {
        let slots = manager.bins().map(|bin| bin.slots()).sum();
        let runs = NonZeroUsize::new(slots).unwrap_or(NonZeroUsize::MIN);
        Ok(Self::drive(manager, SmolSpawner::new(runs)?))
    }

    fn drive(
        manager: SchedulerManager<Command>,
        (spawner, reports): (SmolSpawner, Receiver<Report>),
    ) -> Self {
        let (requests, inbox) = async_channel::bounded(REQUESTS);
        let (alive, ended) = async_channel::bounded(1);
        let shared = Arc::new(Shared { summary: OnceLock::new(), ended });
        let driver = Driver::new(manager, spawner, reports, inbox);
        let result = Arc::downgrade(&shared);
        smol::spawn(async move {
            let _alive = alive;
            let summary = driver.run().await;
            if let Some(shared) = result.upgrade() {
                // Set once: this task is the only one that does.
                let _ = shared.summary.set(summary);
            }
        })
        .detach();
        Self { requests, shared }
    }

    /// Submits a job. It starts at once, by eviction or without, or waits.
    ///
    /// # Errors
    ///
    /// No bin accepts the job, or the scheduler is draining or has ended: the
    /// job is handed back.
    pub async fn submit(&self, job: JobSpec<Command>) -> Result<JobHandle, SubmitFailed> {
        let (reply, answer) = async_channel::bounded(1);
        let request = Request::Submit(Box::new(job), reply);
        if let Err(unsent) = self.requests.send(request).await {
            unsent.into_inner().refuse();
        }
        let (id, ended) = answer.recv().await.map_err(|_| SchedulerGone)??;
        Ok(JobHandle { id, ended, told: Arc::default() })
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
    /// the last one is reaped. `None`: the executor went away first.
    pub async fn stop(&self) -> Option<Summary> {
        let _ = self.act(SchedulerManager::stop).await;
        self.ended().await
    }

    /// Ends everything at once, without a grace period; also during a
    /// [`stop`](Self::stop). Otherwise the same.
    pub async fn kill(&self) -> Option<Summary> {
        let _ = self.act(SchedulerManager::kill).await;
        self.ended().await
    }

    /// Waits until the scheduler has ended. `None`: the executor went away first.
    pub async fn ended(&self) -> Option<Summary> {
        // Nothing is ever sent: this waits for the sender to go.
        let _ = self.shared.ended.recv().await;
        self.shared.summary.get().cloned()
    }

    /// Everything that happens from now on. Take it before submitting what is
    /// to be observed.
    ///
    /// # Errors
    ///
    /// The scheduler has ended.
    pub async fn subscribe(&self) -> Result<Subscription, SchedulerGone> {
        let (subscriber, subscription) = subscription::pair();
        let request = Request::Subscribe(subscriber);
        self.requests.send(request).await.map_err(|_| SchedulerGone)?;
        Ok(subscription)
    }

    /// Looks at the state machine, between two of its steps.
    ///
    /// `look` runs on the scheduler's own task: everything waits for it.
    ///
    /// # Errors
    ///
    /// The scheduler has ended, or `look` panicked (which harms nobody else).
    pub async fn inspect<T: Send + 'static>(
        &self,
        look: impl FnOnce(&SchedulerManager<Command>, Instant) -> T + Send + 'static,
    ) -> Result<T, SchedulerGone> {
        self.act(move |manager, now| look(manager, now)).await
    }

    async fn act<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut SchedulerManager<Command>, Instant) -> T + Send + 'static,
    ) -> Result<T, SchedulerGone> {
        let (reply, answer) = async_channel::bounded(1);
        let request = Request::Act(Box::new(move |manager, now| {
            // Nobody waits for the answer any more: then it is not needed.
            let _ = reply.try_send(act(manager, now));
        }));
        self.requests.send(request).await.map_err(|_| SchedulerGone)?;
        answer.recv().await.map_err(|_| SchedulerGone)
    }
}

/// A job that was accepted.
///
/// Cloning it is cheap, and dropping it changes nothing for the job.
#[derive(Clone, Debug)]
pub struct JobHandle {
    id: JobId,
    ended: Receiver<Ended>,
    told: Arc<OnceCell<Ended>>,
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
    /// The scheduler's executor went away before the job ended.
    pub async fn ended(&self) -> Result<Ended, SchedulerGone> {
        let told = self.told.get_or_try_init(|| self.ended.recv()).await;
        told.cloned().map_err(|_| SchedulerGone)
    }
}
