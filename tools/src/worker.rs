//! The sample scheduler: takes test jobs from a bus, and runs a process that
//! sleeps for each.

use std::num::NonZeroUsize;
use std::time::Duration;

use futures_lite::FutureExt;
use sched_core::bus::{Role, TestJob};
use sched_core::{JobSpec, Policy};
use sched_runtime_smol::bus::{BusClient, BusUrl, ClientConfig};
use sched_runtime_smol::scheduler::{Notice, Subscription, Summary};
use sched_runtime_smol::{Command, Scheduler, SpawnerError};
use tracing::{debug, info, warn};

use crate::narrate::{Loudness, Narrator};

/// How a [`Worker`] runs jobs.
#[derive(Clone, Debug)]
pub struct Terms {
    /// How many jobs run at once.
    pub slots: NonZeroUsize,
    /// How long a job may run.
    pub time_limit: Duration,
    /// The rules of its scheduler.
    pub policy: Policy,
}

/// A scheduler that serves a bus.
#[derive(Debug)]
pub struct Worker {
    scheduler: Scheduler,
    client: BusClient,
    time_limit: Duration,
    /// Payloads that are no test job.
    unusable: u64,
    /// Jobs that were not accepted.
    refused: u64,
}

/// What a worker has done when it has ended.
#[derive(Clone, Debug)]
pub struct Report {
    /// What its scheduler has done; `None`: it went away.
    pub summary: Option<Summary>,
    /// Payloads that were no test job.
    pub unusable: u64,
    /// Payloads that had come in, and that nobody looked at any more.
    pub unread: u64,
}

impl Worker {
    /// Starts a scheduler, and connects to the bus in the background.
    ///
    /// # Errors
    ///
    /// This machine cannot run so many processes at once.
    pub fn start(bus: BusUrl, terms: Terms) -> Result<Self, SpawnerError> {
        let scheduler = Scheduler::start(terms.slots, terms.policy)?;
        let client = BusClient::open(ClientConfig::new(bus, Role::Scheduler));
        Ok(Self { scheduler, client, time_limit: terms.time_limit, unusable: 0, refused: 0 })
    }

    /// Its scheduler, to look at.
    #[must_use]
    pub const fn scheduler(&self) -> &Scheduler {
        &self.scheduler
    }

    /// Takes jobs, for as long as it is polled.
    pub async fn serve(&mut self) {
        while let Some(payload) = self.client.next_payload().await {
            match TestJob::from_payload(&payload) {
                Ok(job) => self.take(&job).await,
                Err(why) => {
                    self.unusable += 1;
                    warn!("payload refused: {why}: {}", excerpt(&payload));
                }
            }
        }
    }

    /// Takes no more jobs and ends those that are there, each with its grace
    /// period, which ends when `hurry` does.
    pub async fn end(self, hurry: impl Future<Output = ()>) -> Report {
        let Self { scheduler, client, unusable, .. } = self;
        let taken = unusable + self.refused;
        let patient = scheduler.stop();
        let hurried = async {
            hurry.await;
            scheduler.kill().await
        };
        let summary = patient.or(hurried).await;
        let taken = taken + summary.as_ref().map_or(0, |summary| summary.stats.accepted);
        let unread = client.close().await.received.saturating_sub(taken);
        Report { summary, unusable, unread }
    }

    async fn take(&mut self, job: &TestJob) {
        let seconds = job.runtime.as_secs_f64();
        debug!("job from the bus: priority {}, runtime {seconds} s", job.priority);
        let command = Command::new("sleep").arg(seconds.to_string());
        let spec = JobSpec::new(job.priority, command).time_limit(self.time_limit);
        if let Err(why) = self.scheduler.submit(spec).await {
            self.refused += 1;
            warn!("job refused (priority {}, runtime {seconds} s): {why}", job.priority);
        }
    }
}

/// Tells the story of a scheduler, a line at a time, until it has ended.
pub async fn tell_story(mut story: Subscription, slots: usize, say: impl Fn(Loudness, &str)) {
    let mut narrator = Narrator::new(slots);
    while let Some(notice) = story.next().await {
        match notice {
            Notice::Event(event) => {
                if let Some((loudness, line)) = narrator.tell(&event) {
                    say(loudness, &line);
                }
            }
            Notice::Missed(count) => {
                say(Loudness::Warning, &format!("{count} events are missing here"));
            }
        }
    }
}

/// Writes a line of a story to the log.
pub fn log_line(loudness: Loudness, line: &str) {
    match loudness {
        Loudness::Warning => warn!("{line}"),
        Loudness::Normal => info!("{line}"),
        Loudness::Detail => debug!("{line}"),
    }
}

/// The beginning of a payload, for a message.
fn excerpt(payload: &str) -> String {
    const SHOWN: usize = 80;
    match payload.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{:?}…", &payload[..end]),
        None => format!("{payload:?}"),
    }
}
