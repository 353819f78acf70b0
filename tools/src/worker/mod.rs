//! A scheduler that takes jobs from a bus, and runs a process for each: what
//! `test_scheduler` and `sched scheduler` are.

mod jobs;

use std::error::Error;
use std::num::NonZeroUsize;
use std::time::Duration;

use sched_core::Policy;
use sched_runtime_smol::Scheduler;
use sched_runtime_smol::bus::{Agent, AgentConfig, AgentCounts, AgentError, BusUrl};
use sched_runtime_smol::scheduler::{Notice, Subscription, Summary};
use tracing::{debug, info, warn};

use self::jobs::wanted;
use crate::cli::{self, Shutdown};
use crate::narrate::{InWords, Loudness, Narrator};

/// How a [`Worker`] runs jobs.
#[derive(Clone, Debug)]
pub struct Terms {
    /// What people call it.
    pub name: String,
    /// How many jobs run at once.
    pub slots: NonZeroUsize,
    /// How long a job may run that says nothing about it itself.
    pub time_limit: Option<Duration>,
    /// The rules of its scheduler; see [`AgentConfig::policy`].
    pub policy: Policy,
    /// The programs that it runs for others. Test jobs, which only sleep, it
    /// always runs.
    pub allow: Vec<String>,
}

/// A scheduler that serves a bus.
#[derive(Debug)]
pub struct Worker(Agent);

/// What a worker has done when it has ended.
#[derive(Clone, Debug)]
pub struct Report {
    /// What its scheduler has done; `None`: it went away.
    pub summary: Summary,
    /// What it was offered.
    pub counts: AgentCounts,
}

impl Worker {
    /// Starts a scheduler, connects to the bus in the background, and tells
    /// what happens.
    ///
    /// # Errors
    ///
    /// This machine cannot run so many processes at once.
    pub async fn start(bus: BusUrl, terms: Terms) -> Result<(Self, Subscription), AgentError> {
        let Terms { name, slots, time_limit, policy, allow } = terms;
        let config = AgentConfig { bus, name, slots, policy };
        let translate = move |payload: &str| wanted(payload, &allow, time_limit);
        let (agent, story) = Agent::start(config, Box::new(translate)).await?;
        Ok((Self(agent), story))
    }

    /// Its scheduler, to look at.
    #[must_use]
    pub const fn scheduler(&self) -> &Scheduler {
        self.0.scheduler()
    }

    /// Takes jobs from the first call on, until it is [ended](Self::end).
    pub async fn serve(&self) {
        self.0.serve().await;
    }

    /// Takes no more jobs and ends those that are there, each with its grace
    /// period, which ends when `hurry` does.
    pub async fn end(self, hurry: impl Future<Output = ()>) -> Report {
        let (summary, counts) = self.0.end(hurry).await;
        Report { summary, counts }
    }
}

/// Serves a bus until INT or TERM, logs what happens, and prints a summary.
///
/// # Errors
///
/// This machine cannot run so many processes at once, or gives no signals.
pub async fn run(bus: BusUrl, terms: Terms) -> Result<(), Box<dyn Error>> {
    let shutdown = Shutdown::with_children()?;
    let (slots, name, limit) = (terms.slots.get(), terms.name.clone(), terms.time_limit);
    let allowed = match terms.allow.join(", ") {
        none if none.is_empty() => "of all jobs, only test jobs run here (--allow)".to_owned(),
        programs => format!("may run {programs}"),
    };
    let (worker, story) = Worker::start(bus, terms).await?;
    let limit = match limit {
        Some(limit) => format!("a time limit of {limit:?} a job"),
        None => "no time limit".to_owned(),
    };
    info!("{name}: {slots} slots, {limit}; {allowed}");
    let log = smol::spawn(tell_story(story, slots, log_line));
    shutdown.or_done(worker.serve()).await;
    info!("stopping; a second INT or TERM kills what still runs");
    let report = worker.end(shutdown.urged()).await;
    log.await;
    report.conclude();
    Ok(())
}

impl Report {
    fn conclude(&self) {
        let AgentCounts { declined, late, .. } = self.counts;
        if declined > 0 {
            warn!("{declined} jobs were declined, because they do not run here");
        }
        if late > 0 {
            warn!("{late} jobs came in too late and were not taken");
        }
        // After the log, for who reads both.
        cli::until_told();
        cli::tell_line(InWords(&self.summary));
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
