//! Why jobs wait, in words.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Reverse;

use super::Exchange;
use super::job::{Job, Lease, Phase};
use super::remote::{Remote, RemoteMode};
use crate::id::{JobId, SessionId};

/// What the reasons of all jobs have in common. It costs a look at every
/// scheduler once, and little for every job.
pub(super) struct Reasons<'a> {
    exchange: &'a Exchange,
    connected: Vec<SessionId>,
    /// Why nothing starts; `None`: whoever comes next does.
    nothing_starts: Option<&'static str>,
    /// The least urgent run that may be evicted, and its level.
    least: Option<(i64, JobId)>,
}

impl<'a> Reasons<'a> {
    pub(super) fn new(exchange: &'a Exchange) -> Self {
        let remotes = || exchange.remotes.records().filter(|it| it.client.is_some());
        let accepting = || remotes().filter(|it| it.mode == RemoteMode::Accepting);
        let nothing_starts = match exchange.mode {
            RemoteMode::Paused => Some("the bus is paused"),
            RemoteMode::Draining => Some("the bus is draining"),
            RemoteMode::Accepting if remotes().next().is_none() => {
                Some("no scheduler is connected")
            }
            RemoteMode::Accepting if accepting().next().is_none() => {
                Some("every scheduler is paused or draining")
            }
            RemoteMode::Accepting if accepting().all(|it| it.silent) => {
                Some("no scheduler answers")
            }
            RemoteMode::Accepting if accepting().all(|it| it.silent || it.gives_back) => {
                Some("every scheduler gives back what it is given")
            }
            RemoteMode::Accepting => None,
        };
        let may_evict = exchange.config.policy.preempt_delta.is_some();
        let victims = accepting().filter(|it| may_evict && !it.silent && !it.spares_all);
        let least = victims.filter_map(|it| it.victims.peek()).min_by_key(|(victim, _)| **victim);
        let least = least.and_then(|(Reverse((level, _)), handle)| {
            exchange.jobs.get(handle).map(|job| (*level, job.id))
        });
        let connected = remotes().map(|it| it.session).collect();
        Self { exchange, connected, nothing_starts, least }
    }

    /// Why a job waits that comes after `ahead`, or before all others.
    pub(super) fn waits(&self, job: &Job, ahead: Option<JobId>) -> String {
        if let Phase::BackingOff { until } = job.phase {
            let seconds = until.since(self.exchange.now).as_millis().div_ceil(1000);
            return format!("retries in {seconds} s");
        }
        if let Some(why) = self.nothing_starts {
            return why.to_owned();
        }
        let declined = job.declined();
        if !declined.is_empty() && self.connected.iter().all(|it| declined.contains(it)) {
            return "no scheduler accepts it".to_owned();
        }
        if !declined.is_empty() {
            return "no scheduler with room accepts it".to_owned();
        }
        match (ahead, self.least) {
            (Some(ahead), _) => format!("outranked by {ahead}"),
            (None, Some((level, least))) if !self.outranks(job, level) => {
                format!("outranked by {least}")
            }
            (None, Some(_)) => "an eviction for another job comes first".to_owned(),
            (None, None) => "no slot is free, and no run may be evicted".to_owned(),
        }
    }

    /// Why a job does not run that a scheduler has.
    pub(super) fn not_started(&self, job: JobId, lease: &Lease) -> String {
        let Some(remote) = self.exchange.remotes.get(lease.remote) else {
            return String::new();
        };
        if remote.evicting != Some(lease.id) {
            return format!("{} starts it", remote.name);
        }
        match self.victim_for(job, remote) {
            Some((victim, Lease { slot, stopping: Some(stop), .. })) => {
                let slot = slot.map_or_else(|| "a slot".to_owned(), |slot| format!("slot {slot}"));
                let left = stop.killed.since(self.exchange.now).as_millis().div_ceil(1000);
                if left == 0 {
                    return format!("{slot} reserved, victim is killed ({victim})");
                }
                format!("{slot} reserved, victim has {left} s of grace left ({victim})")
            }
            _ => format!("{} evicts a run for it", remote.name),
        }
    }

    fn victim_for(&self, job: JobId, remote: &Remote) -> Option<(JobId, &'a Lease)> {
        let held = remote.leases.values().filter_map(|handle| self.exchange.jobs.get(*handle));
        let leases = held.filter_map(|it| Some((it.id, it.lease()?)));
        let for_it = |lease: &Lease| lease.stopping.is_some_and(|stop| stop.by == Some(job));
        let mut victims = leases.filter(|(_, lease)| for_it(lease));
        victims.next()
    }

    fn outranks(&self, job: &Job, level: i64) -> bool {
        let delta = self.exchange.config.policy.preempt_delta;
        delta
            .is_some_and(|delta| i64::from(job.priority.number()) + i64::from(delta.get()) <= level)
    }
}
