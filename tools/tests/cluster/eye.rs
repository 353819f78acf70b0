//! A client that submits, and sees everything that happens to jobs.

use std::collections::BTreeMap;
use std::time::Instant;

use sched_core::JobId;
use sched_core::bus::v1::SubmitOptions;
use sched_core::bus::{Identity, Role, SessionEvent};
use sched_runtime_smol::bus::{ClientConfig, SessionClient};

/// A producer that has subscribed to all jobs.
pub(crate) struct Eye {
    client: SessionClient,
    /// What happened, in order.
    pub(crate) changes: Vec<Change>,
    accepted: BTreeMap<u64, JobId>,
    /// The reports that the bus refused, as of the last snapshot.
    pub(crate) stale_reports: u64,
    snapshots: u32,
}

#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) seq: u64,
    pub(crate) job: JobId,
    pub(crate) state: String,
    pub(crate) attempt: u64,
    pub(crate) on: Option<String>,
    pub(crate) by: Option<JobId>,
    pub(crate) code: Option<i64>,
    pub(crate) output: Option<String>,
    /// Whether it is an outcome.
    pub(crate) last: bool,
    /// When it was heard of here.
    pub(crate) heard: Instant,
}

impl Eye {
    pub(crate) async fn open(url: &str) -> Self {
        let config = ClientConfig::new(url.parse().unwrap(), Role::Producer);
        let identity = Identity { role: "producer", name: "eye".to_owned(), slots: 0 };
        let mut eye = Self {
            client: SessionClient::open(config, identity),
            changes: Vec::new(),
            accepted: BTreeMap::new(),
            stale_reports: 0,
            snapshots: 0,
        };
        eye.until(|eye| eye.snapshots > 0).await;
        eye
    }

    /// Submits a job, and waits until it is accepted.
    pub(crate) async fn submit(&mut self, payload: String) -> JobId {
        self.submit_all([payload]).await[0]
    }

    /// Submits jobs, and waits until all of them are accepted.
    pub(crate) async fn submit_all(
        &mut self,
        payloads: impl IntoIterator<Item = String>,
    ) -> Vec<JobId> {
        let mut requests = Vec::new();
        for payload in payloads {
            let submit = self
                .client
                .call(move |session, _| session.submit(&payload, &SubmitOptions::default()));
            requests.push(submit.await.unwrap());
        }
        let all = requests.clone();
        self.until(move |eye| all.iter().all(|request| eye.accepted.contains_key(request))).await;
        requests.iter().map(|request| self.accepted[request]).collect()
    }

    pub(crate) async fn cancel(&self, job: JobId) {
        self.client.call(move |session, _| session.cancel(job)).await.unwrap();
    }

    /// Asks for a snapshot, and waits for it.
    pub(crate) async fn look(&mut self) {
        let before = self.snapshots;
        self.client.call(|session, _| session.subscribe(None, true)).await.unwrap();
        self.until(move |eye| eye.snapshots > before).await;
    }

    /// Waits until it is so.
    pub(crate) async fn until(&mut self, so: impl Fn(&Self) -> bool) {
        while !so(self) {
            let event = self.client.next_event().await.unwrap();
            self.hear(event).await;
        }
    }

    /// Waits until a job has come into a state, on a scheduler.
    pub(crate) async fn runs_on(&mut self, job: JobId, on: &str) -> Change {
        self.seen(move |it| it.job == job && it.state == "running" && it.on.as_deref() == Some(on))
            .await
    }

    /// Waits until a job has its outcome.
    pub(crate) async fn outcome(&mut self, job: JobId) -> Change {
        self.seen(move |it| it.job == job && it.last).await
    }

    /// Waits for a change, which may have been heard before.
    pub(crate) async fn seen(&mut self, which: impl Fn(&Change) -> bool) -> Change {
        self.until(|eye| eye.changes.iter().any(&which)).await;
        self.changes.iter().find(|change| which(change)).unwrap().clone()
    }

    /// What happened to a job, in order.
    pub(crate) fn story(&self, job: JobId) -> Vec<&Change> {
        self.changes.iter().filter(|change| change.job == job).collect()
    }

    /// Its outcomes: one, if all is well.
    pub(crate) fn outcomes(&self, job: JobId) -> Vec<&str> {
        self.story(job).into_iter().filter(|it| it.last).map(|it| it.state.as_str()).collect()
    }

    async fn hear(&mut self, event: SessionEvent) {
        match event {
            SessionEvent::Welcomed { .. } => {
                self.client.call(|session, _| session.subscribe(None, true)).await.unwrap();
            }
            SessionEvent::Accepted { request, job, .. } => {
                self.accepted.insert(request, job);
            }
            SessionEvent::Job(text) => self.note(&serde_json::from_str(&text).unwrap()),
            SessionEvent::Snapshot(text) => {
                let snapshot: serde_json::Value = serde_json::from_str(&text).unwrap();
                for change in snapshot["ended"].as_array().unwrap() {
                    self.note(change);
                }
                self.stale_reports = snapshot["counters"]["stale_reports"].as_u64().unwrap();
                self.snapshots += 1;
            }
            SessionEvent::Refused { message, .. } => panic!("the bus refuses: {message}"),
            _ => {}
        }
    }

    fn note(&mut self, change: &serde_json::Value) {
        let text = |field: &str| change[field].as_str().map(str::to_owned);
        let job = |field: &str| change[field].as_str().map(|id| JobId::parse(id).unwrap());
        let seq = change["seq"].as_u64().unwrap();
        // A snapshot repeats what was heard.
        if self.changes.iter().any(|known| known.seq == seq) {
            return;
        }
        self.changes.push(Change {
            seq,
            job: job("job").unwrap(),
            state: text("state").unwrap(),
            attempt: change["attempt"].as_u64().unwrap(),
            on: text("on"),
            by: job("by"),
            code: change["code"].as_i64(),
            output: text("output"),
            last: change["final"].as_bool().unwrap(),
            heard: Instant::now(),
        });
    }
}
