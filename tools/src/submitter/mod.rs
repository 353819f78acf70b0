//! A producer that hears what becomes of its jobs.

mod tally;

use std::collections::BTreeMap;
use std::time::Instant;

use sched_core::bus::v1::{HeardChange, SubmitOptions};
use sched_core::bus::{SessionEvent, TestJob};
use sched_runtime_smol::bus::BusUrl;
use tracing::{debug, info, warn};

pub use self::tally::Tally;
use crate::sched::{Ended, Failure, Patience, Seen, Since, Snapshot, Talk, Watch, random_key};
use crate::sched::{sentence, span};
use crate::workload::Workload;

/// Submissions that the bus has not answered, at most; beyond it no job is made.
const MOST_UNANSWERED: usize = 256;

/// Submits test jobs to a bus of version 1, each under a key, and follows them.
///
/// A bus that is not there is waited for, and no jobs are made meanwhile.
#[derive(Debug)]
pub struct Submitter {
    workload: Workload,
    count: Option<u32>,
    made: u32,
    /// What the bus has not answered, by request.
    asked: BTreeMap<u64, Job>,
    /// What it has accepted, and what has no outcome yet.
    open: BTreeMap<String, Job>,
    /// When the next job is due.
    due: Instant,
    tally: Tally,
}

#[derive(Clone, Copy, Debug)]
struct Job {
    number: u32,
    submitted: Instant,
    started: bool,
}

impl Submitter {
    /// One that makes `count` jobs; `None`: without end.
    #[must_use]
    pub fn new(workload: Workload, count: Option<u32>) -> Self {
        let (asked, open) = (BTreeMap::new(), BTreeMap::new());
        let (due, tally) = (Instant::now(), Tally::default());
        Self { workload, count, made: 0, asked, open, due, tally }
    }

    /// Submits until all jobs are made, and waits until each has an outcome.
    ///
    /// # Errors
    ///
    /// The bus speaks version 0.
    pub async fn run(&mut self, bus: BusUrl) -> Result<(), Failure> {
        let talk = Talk::open(bus, Patience::Endless, "producer").await?;
        let mut watch = Watch::start(talk, Since::Now, false).await?;
        while !self.is_done() {
            watch.wake_at(self.may_submit(&watch).then_some(self.due));
            match watch.next().await? {
                Seen::Alarm => self.submit(&watch).await?,
                seen => self.see(seen)?,
            }
        }
        watch.end().await;
        Ok(())
    }

    /// How many jobs it has made.
    #[must_use]
    pub const fn made(&self) -> u32 {
        self.made
    }

    /// What became of them so far.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// How many jobs have no outcome yet.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open.len() + self.asked.len()
    }

    fn is_done(&self) -> bool {
        self.all_made() && self.open() == 0
    }

    fn all_made(&self) -> bool {
        self.count.is_some_and(|count| self.made >= count)
    }

    fn may_submit(&self, watch: &Watch) -> bool {
        watch.is_up() && !self.all_made() && self.asked.len() < MOST_UNANSWERED
    }

    async fn submit(&mut self, watch: &Watch) -> Result<(), Failure> {
        let job = self.workload.job();
        let opts = SubmitOptions { key: Some(random_key()), ..SubmitOptions::default() };
        let payload = job.to_payload();
        let submitted = Instant::now();
        let request = watch.ask(move |session| session.submit(&payload, &opts)).await?;
        self.made += 1;
        self.asked.insert(request, Job { number: self.made, submitted, started: false });
        self.pace(job);
        Ok(())
    }

    /// Says what was made, and when the next is due.
    fn pace(&mut self, TestJob { priority, runtime }: TestJob) {
        let (made, runtime) = (self.made, runtime.as_secs_f64());
        if self.all_made() {
            return info!("job {made}: priority {priority}, runtime {runtime} s; the last one");
        }
        let wait = self.workload.wait();
        let seconds = wait.as_secs_f64();
        info!("job {made}: priority {priority}, runtime {runtime} s; next in {seconds:.3} s");
        self.due = Instant::now() + wait;
    }

    fn see(&mut self, seen: Seen) -> Result<(), Failure> {
        match seen {
            Seen::Event(text) => self.follow(&text),
            Seen::Snapshot(text) => self.compare(&Snapshot::parse(&text)?),
            Seen::NewBus => self.forgotten(),
            Seen::Other(event) => self.answered(event),
            Seen::Away(_) | Seen::Back | Seen::Alarm => {}
        }
        Ok(())
    }

    fn answered(&mut self, event: SessionEvent) {
        match event {
            SessionEvent::Accepted { request, job, .. } => {
                if let Some(it) = self.asked.remove(&request) {
                    info!("job {}: accepted as {job}", it.number);
                    self.open.insert(job.to_string(), it);
                }
            }
            SessionEvent::Refused { request: Some(request), message, .. } => {
                if let Some(it) = self.asked.remove(&request) {
                    warn!("job {}: refused: {message}", it.number);
                    self.tally.count("refused");
                }
            }
            SessionEvent::Refused { request: None, message, .. } => {
                warn!("the bus refuses: {message}");
            }
            _ => {}
        }
    }

    fn follow(&mut self, event: &str) {
        let Ok(change) = serde_json::from_str::<HeardChange<'_>>(event) else { return };
        let Some(job) = self.open.get_mut(&*change.job) else { return };
        let words = sentence(&change);
        match &*change.state {
            "assigned" => debug!("job {}: {words}", job.number),
            _ => info!("job {}: {words}", job.number),
        }
        if change.state == "running" && !job.started {
            job.started = true;
            self.tally.waited(job.submitted.elapsed());
        }
        if let Some(ended) = Ended::of(&change) {
            self.tally.count(&ended.state);
            self.tally.turned_around(job.submitted.elapsed());
            self.open.remove(&*change.job);
        }
    }

    /// Some events are gone: what has ended meanwhile?
    fn compare(&mut self, snapshot: &Snapshot) {
        let jobs: Vec<String> = self.open.keys().cloned().collect();
        for job in jobs {
            if let Some(event) = snapshot.ending_of(&job) {
                self.follow(event.get());
            } else if snapshot.is_alive(&job) == Some(false) {
                self.not_known(&job);
            }
        }
    }

    /// The bus is another, and has none of our jobs.
    fn forgotten(&mut self) {
        let jobs: Vec<String> = self.open.keys().cloned().collect();
        warn!("the bus was started anew and has forgotten {} jobs", jobs.len());
        for job in jobs {
            self.not_known(&job);
        }
    }

    fn not_known(&mut self, id: &str) {
        if let Some(job) = self.open.remove(id) {
            let after = span(job.submitted.elapsed());
            warn!("job {}: the bus does not know {id} any more, after {after}", job.number);
            self.tally.count("not known");
        }
    }
}
