//! The bus is killed a hundred times under load, and keeps its promise: no job
//! that it has accepted is lost, and none has two outcomes.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use smol::{Task, Timer};

use crate::support::directory::Directory;
use crate::support::{BUS, Program};
use crate::wire::{Wire, bus, rows, run, word};

const KILLS: usize = 100;
const PRODUCERS: usize = 8;
const SCHEDULERS: usize = 2;

#[test]
fn a_hundred_kills_lose_no_accepted_job_and_give_none_two_outcomes() {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    println!("SEED={seed}");
    fastrand::seed(seed);
    run(async {
        let directory = Directory::new("durable-kills");
        let mut world = World::new();
        for round in 0..KILLS {
            let (bus, address) = bus(&directory.0);
            let load = Duration::from_millis(fastrand::u64(50..100));
            world.live(&address, Some((bus, load))).await;
            if round % 10 == 9 {
                kill_while_it_starts(&directory).await;
            }
        }
        let (_bus, address) = bus(&directory.0);
        world.live(&address, None).await;
        world.judge();
    });
}

/// A start that is cut short changes nothing.
async fn kill_while_it_starts(directory: &Directory) {
    let mut command = Command::new(BUS);
    command.args(["--listen", "127.0.0.1:0", "--data"]).arg(&directory.0);
    let mut bus = Program::spawn(&mut command);
    Timer::after(Duration::from_millis(fastrand::u64(0..30))).await;
    bus.signal("KILL");
    bus.status();
}

/// What everybody but the bus knows; nobody but the bus is ever killed.
struct World {
    producers: Vec<Producer>,
    schedulers: Vec<Scheduler>,
    /// What was accepted: by key, its job.
    accepted: BTreeMap<String, String>,
    /// The outcomes that were told: by job, the number of the event, and what.
    outcomes: BTreeMap<String, (u64, String)>,
    again: usize,
}

impl World {
    fn new() -> Self {
        Self {
            producers: (0..PRODUCERS).map(Producer::new).collect(),
            schedulers: vec![Scheduler::default(); SCHEDULERS],
            accepted: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            again: 0,
        }
    }

    /// One life of the bus: to its kill, or until there is nothing left to do.
    async fn live(&mut self, address: &str, killed: Option<(Program, Duration)>) {
        let (observer, snapshot) = Wire::observer(address).await.expect("the bus lives");
        self.compare(&snapshot);
        let schedulers: Vec<Task<Scheduler>> = std::mem::take(&mut self.schedulers)
            .into_iter()
            .map(|it| smol::spawn(it.work(address.to_owned())))
            .collect();
        let last = killed.is_none();
        let producers: Vec<Task<Producer>> = std::mem::take(&mut self.producers)
            .into_iter()
            .map(|it| smol::spawn(it.submit(address.to_owned(), last)))
            .collect();
        match killed {
            Some((mut bus, load)) => {
                let watching = smol::spawn(watch(observer));
                Timer::after(load).await;
                bus.signal("KILL");
                bus.status();
                for outcome in watching.await {
                    self.note(&outcome);
                }
                self.collect(producers).await;
                for scheduler in schedulers {
                    self.schedulers.push(scheduler.await);
                }
            }
            None => {
                self.collect(producers).await;
                self.wait_for_outcomes(observer).await;
            }
        }
    }

    async fn collect(&mut self, producers: Vec<Task<Producer>>) {
        for producer in producers {
            let mut producer = producer.await;
            for (key, job) in producer.accepted.drain(..) {
                let before = self.accepted.insert(key.clone(), job.clone());
                assert!(before.is_none_or(|before| before == job), "{key} has two jobs");
            }
            self.again += std::mem::take(&mut producer.again);
            self.producers.push(producer);
        }
    }

    async fn wait_for_outcomes(&mut self, mut observer: Wire) {
        while self.accepted.values().any(|job| !self.outcomes.contains_key(job)) {
            let change = observer.hears("job").await.expect("the bus lives");
            if change["final"] == true {
                self.note(&change);
            }
        }
    }

    /// What a bus knows that has just started, against what was told.
    fn compare(&mut self, snapshot: &Value) {
        let here = |field| rows(snapshot, field).iter().map(|row| word(row, "job"));
        let open: Vec<String> = here("pending").chain(here("running")).collect();
        assert!(open.len() < 2000, "more than a snapshot names");
        for outcome in rows(snapshot, "ended") {
            self.note(outcome);
        }
        for job in &open {
            assert!(!self.outcomes.contains_key(job), "{job} has its outcome, and is open again");
        }
        for job in self.accepted.values() {
            let known = self.outcomes.contains_key(job) || open.contains(job);
            assert!(known, "{job} was accepted, and is lost");
        }
    }

    fn note(&mut self, change: &Value) {
        let told = (change["seq"].as_u64().unwrap(), word(change, "state"));
        let job = word(change, "job");
        let before = self.outcomes.insert(job.clone(), told.clone());
        assert!(before.as_ref().is_none_or(|it| *it == told), "{job}: {before:?} and {told:?}");
    }

    fn judge(&self) {
        let (accepted, outcomes) = (self.accepted.len(), self.outcomes.len());
        println!(
            "{accepted} jobs accepted over {KILLS} kills, {outcomes} outcomes, {} submissions \
             answered only after a kill",
            self.again
        );
        assert!(accepted > 10 * KILLS, "{accepted}: that was no load");
        assert_eq!(outcomes, accepted, "no job that nobody submitted");
        assert!(self.outcomes.values().all(|(_, state)| state == "finished"));
    }
}

/// Every outcome that is told until the connection ends.
async fn watch(mut observer: Wire) -> Vec<Value> {
    let mut outcomes = Vec::new();
    while let Some(message) = observer.hear().await {
        if message["ev"] == "job" && message["final"] == true {
            outcomes.push(message);
        }
    }
    outcomes
}

/// Submits one job after the other, and one again whose answer it has not heard.
struct Producer {
    name: usize,
    count: usize,
    unsure: Option<String>,
    accepted: Vec<(String, String)>,
    again: usize,
}

impl Producer {
    const fn new(name: usize) -> Self {
        Self { name, count: 0, unsure: None, accepted: Vec::new(), again: 0 }
    }

    async fn submit(mut self, address: String, last: bool) -> Self {
        let Some((mut wire, _)) = Wire::register(&address, r#""type":"producer""#).await else {
            return self;
        };
        while !last || self.unsure.is_some() {
            let again = self.unsure.is_some();
            let key = self.unsure.take().unwrap_or_else(|| {
                self.count += 1;
                format!("{}-{}", self.name, self.count)
            });
            self.unsure = Some(key.clone());
            let Some(answer) = wire.submit(r#"{"priority":3,"runtime":1}"#, &key).await else {
                return self;
            };
            assert_eq!(answer["ev"], "accepted", "{answer}");
            self.accepted.push((key, word(&answer, "job")));
            self.again += usize::from(again);
            self.unsure = None;
        }
        self
    }
}

/// Ends every job at once, and reports again what was not answered.
#[derive(Clone, Default)]
struct Scheduler {
    session: Option<String>,
    /// By lease: the job, of which the end has not been acknowledged.
    held: BTreeMap<u64, String>,
}

impl Scheduler {
    async fn work(mut self, address: String) -> Self {
        self.try_to_work(&address).await;
        self
    }

    async fn try_to_work(&mut self, address: &str) -> Option<()> {
        let session = self.session.as_ref();
        let session = session.map_or(String::new(), |it| format!(r#","session":"{it}""#));
        let fields = format!(r#""type":"scheduler","slots":4{session}"#);
        let (mut wire, welcome) = Wire::register(address, &fields).await?;
        let welcomed = word(&welcome, "session");
        if let Some(before) = self.session.replace(welcomed.clone()) {
            assert_eq!(before, welcomed, "a session survives the bus");
        }
        for (lease, job) in &self.held {
            wire.report(job, *lease, "finished").await?;
        }
        loop {
            let message = wire.hear().await?;
            match message["ev"].as_str().unwrap_or_default() {
                "assign" => {
                    let (job, lease) = (word(&message, "job"), message["lease"].as_u64()?);
                    self.held.insert(lease, job.clone());
                    wire.report(&job, lease, "started").await?;
                    wire.report(&job, lease, "finished").await?;
                }
                // Both reports of a lease have its number for an id.
                "ok" => {}
                "error" => {
                    assert_eq!(message["name"], "stale_lease", "{message}");
                    self.held.remove(&message["re"].as_u64()?);
                }
                _ => {}
            }
        }
    }
}
