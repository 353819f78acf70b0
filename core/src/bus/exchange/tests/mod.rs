//! Scenes of an exchange: everything that it says is drained and compared.

mod disk;
mod following;
mod leases;
mod queue;
mod watching;

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde_json::Value;

use super::*;
use crate::bus::v1::{Envelope, Request};

/// An exchange, its clock and its disk.
struct Scene {
    exchange: Exchange,
    config: ExchangeConfig,
    now: Instant,
    disk: Disk,
}

/// What is on disk, and what is on its way there.
#[derive(Default)]
struct Disk {
    ids: Option<String>,
    jobs: BTreeMap<JobId, String>,
    queued: Vec<Persist>,
}

/// A scheduler called `c` and its number, with so many slots.
fn scheduler(client: u64, slots: u32) -> (u64, String) {
    (
        client,
        format!(
            r#"{{"cmd":"register","type":"scheduler","v":1,"name":"c{client}","slots":{slots}}}"#
        ),
    )
}

fn producer(client: u64) -> (u64, String) {
    (client, r#"{"cmd":"register","type":"producer","v":1}"#.to_owned())
}

impl Scene {
    /// In memory, with these clients; their welcomes are left out.
    fn new(clients: &[(u64, String)]) -> Self {
        Self::with(ExchangeConfig::new(0), clients)
    }

    fn durable(clients: &[(u64, String)]) -> Self {
        let durability = Durability::Fsync;
        Self::with(ExchangeConfig { durability, ..ExchangeConfig::new(0) }, clients)
    }

    fn with(config: ExchangeConfig, clients: &[(u64, String)]) -> Self {
        let exchange = Exchange::new(config.clone());
        let now = Instant::from_secs(1000);
        let mut scene = Self { exchange, config, now, disk: Disk::default() };
        for (client, register) in clients {
            scene.hears(*client, register);
            if register.contains("scheduler") {
                scene.beats(*client, &[]);
            }
        }
        scene.commit();
        scene.said();
        scene
    }

    /// The time is so many seconds after the beginning.
    fn at(&mut self, secs: u64) -> &mut Self {
        self.now = Instant::from_secs(1000 + secs);
        self.exchange.handle_timeout(self.now);
        self
    }

    /// A client sends a message, as a server would pass it on.
    fn hears(&mut self, client: u64, text: &str) -> &mut Self {
        let Envelope { id, request } = Envelope::parse(text);
        let (now, it, re) = (self.now, &mut self.exchange, id.as_deref());
        let client = ClientId::new(client);
        match request.unwrap() {
            Request::Register(role) => it.register(now, client, &role),
            Request::Submit(job) => it.submit(now, client, id, &job),
            Request::JobRequest { .. } => panic!("that is version 0"),
            Request::Cancel(job) => it.cancel(now, client, re, job),
            Request::Report(report) => it.report(now, client, re, &report),
            Request::Beat { leases, floor, .. } => it.beat(now, client, &leases, floor),
            Request::Stopping(stopping) => it.stopping(now, client, &stopping),
            Request::Subscribe(wanted) => it.subscribe(now, client, re, wanted),
            Request::Admin { verb, target } => it.admin(now, client, re, verb, target.as_deref()),
        }
        self
    }

    fn submits(&mut self, client: u64, priority: i32) -> &mut Self {
        self.submits_with(client, priority, "{}")
    }

    fn submits_with(&mut self, client: u64, priority: i32, opts: &str) -> &mut Self {
        let job =
            format!(r#"{{"cmd":"submit","payload":{{"priority":{priority}}},"opts":{opts}}}"#);
        self.hears(client, &job)
    }

    fn cancels(&mut self, client: u64, job: &str) -> &mut Self {
        self.hears(client, &format!(r#"{{"cmd":"cancel","job":"{job}"}}"#))
    }

    fn reports(&mut self, client: u64, job: &str, lease: u64, state: &str) -> &mut Self {
        let text = r#"{"cmd":"report","job":"JOB","lease":LEASE,"state":"STATE","ran_ms":5}"#;
        let text = text.replace("JOB", job).replace("LEASE", &lease.to_string());
        self.hears(client, &text.replace("STATE", state))
    }

    /// A beat; anything may be evicted.
    fn beats(&mut self, client: u64, leases: &[u64]) -> &mut Self {
        self.hears(client, &format!(r#"{{"cmd":"beat","leases":{leases:?},"floor":9}}"#))
    }

    fn leaves(&mut self, client: u64, in_order: bool) -> &mut Self {
        self.exchange.disconnect(self.now, ClientId::new(client), in_order);
        self
    }

    /// Everything that is said from now on is on disk at once.
    fn commit(&mut self) -> &mut Self {
        while let Some(seq) = self.queue_writes() {
            self.disk.apply();
            self.exchange.handle_persisted(self.now, seq);
        }
        self
    }

    /// What is to be written now is on disk, and nothing that follows from it.
    fn commits_once(&mut self) -> &mut Self {
        let seq = self.queue_writes().unwrap();
        self.disk.apply();
        self.exchange.handle_persisted(self.now, seq);
        self
    }

    fn disk_fails(&mut self) -> &mut Self {
        self.queue_writes();
        self.exchange.handle_persist_failed(self.now, "no space");
        self
    }

    /// Takes what is to be written; returns the last number, if there is any.
    fn queue_writes(&mut self) -> Option<u64> {
        self.disk.queued.extend(core::iter::from_fn(|| self.exchange.poll_persist()));
        self.disk.queued.last().map(|last| last.seq)
    }

    /// The bus is killed, and started again with what is on disk.
    fn crashes(&mut self) -> &mut Self {
        self.disk.queued.clear();
        let records = self.disk.jobs.iter().map(|(id, record)| (*id, &**record));
        let (config, ids) = (self.config.clone(), self.disk.ids.as_deref());
        self.exchange = Exchange::restore(self.now, config, ids, records).unwrap();
        self
    }

    /// The snapshot that a client is sent for this subscription.
    fn shows(&mut self, subscribe: &str) -> Value {
        self.hears(1, subscribe);
        let (_, frame) = self.exchange.poll_transmit().unwrap();
        serde_json::from_str(&frame).unwrap()
    }

    /// All that was said since the last look, in short. Nothing else was.
    fn said(&mut self) -> Vec<String> {
        self.exchange.check().unwrap();
        let it = &mut self.exchange;
        let said = core::iter::from_fn(|| next(it));
        let mut said: Vec<String> =
            said.map(|(to, frame)| format!("{to} {}", short(&frame))).collect();
        said.extend(
            core::iter::from_fn(|| it.poll_close()).map(|client| format!("close {client}")),
        );
        self.exchange.check().unwrap();
        said
    }
}

/// The next message, as a driver sends it that has room for everything.
fn next(it: &mut Exchange) -> Option<(ClientId, Arc<str>)> {
    let behind: Vec<ClientId> = it.behind().collect();
    let missed = |it: &mut Exchange| {
        behind.iter().find_map(|client| Some((*client, it.poll_missed(*client)?)))
    };
    it.poll_transmit().or_else(|| missed(it)).or_else(|| it.poll_transmit())
}

impl Disk {
    fn apply(&mut self) {
        for write in self.queued.drain(..) {
            match write.op {
                PersistOp::Put(job, record) => drop(self.jobs.insert(job, record)),
                PersistOp::Forget(job) => drop(self.jobs.remove(&job)),
                PersistOp::Ids(record) => self.ids = Some(record),
            }
        }
    }
}

/// A message of the bus in few words: `assign j1 1`, `job j1 running`.
fn short(frame: &str) -> String {
    let it: Value = serde_json::from_str(frame).unwrap();
    let text = |field: &str| it[field].as_str().unwrap_or_default().to_owned();
    let flag = |field: &str| it[field].as_bool().is_some_and(|set| set);
    match it["ev"].as_str().unwrap() {
        "welcome" => format!("welcome {}", text("session")),
        "accepted" if flag("dup") => format!("dup {}", text("job")),
        "accepted" => format!("accepted {}", text("job")),
        "assign" if it["opts"]["shielded"] == true => {
            format!("assign {} {} shielded", text("job"), it["lease"])
        }
        "assign" => format!("assign {} {}", text("job"), it["lease"]),
        "revoke" => format!("revoke {} {} {}", text("job"), it["lease"], text("why")),
        "beat" if it["revoked"] == serde_json::json!([]) => "beat".to_owned(),
        "beat" => format!("beat without {}", it["revoked"]),
        "job" => format!("{} {} {}", it["seq"], text("job"), text("state")),
        "error" => text("name"),
        other => other.to_owned(),
    }
}
