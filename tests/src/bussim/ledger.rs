//! What the bus has promised, and whether it keeps it.

use std::collections::{BTreeMap, BTreeSet};

use sched_core::bus::Exchange;
use sched_core::bus::v1::{Notice, ReportState, Request};
use sched_core::{JobId, LeaseId};

use super::{Verdict, ensure};

/// Everything that was acknowledged, by whomever it was heard.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Jobs that were accepted.
    pub accepted: BTreeSet<JobId>,
    /// Outcomes that were told, with the number of the event.
    pub outcomes: BTreeMap<JobId, (u64, String)>,
    /// Events by number, as they were told.
    events: BTreeMap<u64, String>,
    /// The last event of each job.
    last_event: BTreeMap<JobId, u64>,
    keys: BTreeMap<String, JobId>,
    /// What is asked of the bus: by connection and request.
    asked: BTreeMap<(u64, u64), Asked>,
    /// The job and the connection of each lease that was given.
    given: BTreeMap<LeaseId, JobId>,
    /// Leases whose end was reported, and acknowledged.
    over: BTreeSet<LeaseId>,
}

#[derive(Debug)]
enum Asked {
    Key(String),
    End(LeaseId),
}

impl Ledger {
    /// The bus hears a request.
    pub fn asked(&mut self, connection: u64, id: Option<u64>, request: &Request<'_>) {
        let asked = match request {
            Request::Submit(job) => job.opts.key.clone().map(Asked::Key),
            Request::Report(it) if it.state != ReportState::Started => Some(Asked::End(it.lease)),
            _ => None,
        };
        if let (Some(id), Some(asked)) = (id, asked) {
            self.asked.insert((connection, id), asked);
        }
    }

    /// The bus says something.
    ///
    /// # Errors
    ///
    /// It contradicts what it said before.
    pub fn said(&mut self, connection: u64, text: &str) -> Verdict {
        match Notice::parse(text).map_err(|error| error.to_string())? {
            Notice::Accepted { re, job, .. } => {
                self.accepted.insert(job);
                if let Some(Asked::Key(key)) = self.take(connection, re) {
                    let first = *self.keys.entry(key.clone()).or_insert(job);
                    ensure(first == job, || format!("{key} is {job}, and was {first}"))?;
                }
            }
            Notice::Ok { re } => {
                if let Some(Asked::End(lease)) = self.take(connection, re) {
                    self.over.insert(lease);
                }
            }
            Notice::Error { re, .. } => drop(self.take(connection, re)),
            Notice::Assign(it) => {
                let first = *self.given.entry(it.lease).or_insert(it.job);
                ensure(first == it.job, || format!("{} is of {first} and {}", it.lease, it.job))?;
                ensure(!self.over.contains(&it.lease), || format!("{} comes back", it.lease))?;
                let ended = self.outcomes.get(&it.job);
                ensure(ended.is_none(), || format!("{} is assigned after {ended:?}", it.job))?;
            }
            Notice::Job(change) => {
                let job = JobId::parse(&change.job).ok_or("no job")?;
                self.event(change.seq, job, &change.state, change.last, text)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn take(&mut self, connection: u64, re: Option<u64>) -> Option<Asked> {
        self.asked.remove(&(connection, re?))
    }

    fn event(&mut self, seq: u64, job: JobId, state: &str, last: bool, text: &str) -> Verdict {
        let before = self.events.entry(seq).or_insert_with(|| text.to_owned());
        ensure(before == text, || format!("event {seq} was {before}, and is {text}"))?;
        let latest = self.last_event.entry(job).or_insert(seq);
        *latest = seq.max(*latest);
        if last {
            let told = (seq, state.to_owned());
            let first = self.outcomes.entry(job).or_insert_with(|| told.clone());
            ensure(*first == told, || format!("{job} ended twice: {first:?}, {told:?}"))?;
        }
        let ended = self.outcomes.get(&job).filter(|(ended, _)| *ended < self.last_event[&job]);
        ensure(ended.is_none(), || format!("{job} goes on after {ended:?}: {text}"))
    }

    /// Leases whose end was acknowledged are over for ever, and no job has two.
    ///
    /// # Errors
    ///
    /// One is not.
    pub fn check_leases(&self, exchange: &Exchange) -> Verdict {
        let mut jobs = BTreeSet::new();
        for (lease, job, _) in exchange.leases() {
            ensure(!self.over.contains(&lease), || format!("{lease} of {job} is valid again"))?;
            ensure(jobs.insert(job), || format!("{job} has two leases"))?;
        }
        Ok(())
    }

    /// Nothing that was acknowledged is lost or undone.
    ///
    /// # Errors
    ///
    /// Something is.
    pub fn check_kept(&self, exchange: &Exchange) -> Verdict {
        for job in &self.accepted {
            let fate = exchange.fate(*job);
            ensure(fate.is_some(), || format!("{job} was accepted, and is lost"))?;
            if let Some((seq, state)) = self.outcomes.get(job) {
                let told = fate.flatten();
                let told = told.as_deref().map_or("nothing", |told| told.get());
                let same = told.contains(&format!(r#""state":"{state}""#))
                    && told.contains(&format!(r#""seq":{seq},"#));
                ensure(same, || format!("{job} was told as {state} in {seq}, and is {told}"))?;
            }
        }
        Ok(())
    }
}
