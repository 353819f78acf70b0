//! The leases that a scheduler holds, and until when.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;

use crate::id::{JobId, LeaseId};
use crate::time::{Duration, Instant};

/// So great a part of a lease is spared for the end of its run: to be heard of, to
/// be carried out, and for clocks that differ. The bus gives the job to another as
/// soon as the lease is over.
const SPARE: u32 = 15;

/// Leases, each with its job and the time at which it lapses.
#[derive(Debug, Default)]
pub(super) struct Held {
    leases: BTreeMap<LeaseId, Lease>,
    /// Leases that have lapsed here or are reported, and that the bus may not
    /// know to be over: it would assign them again after a loss of connection.
    over: BTreeSet<LeaseId>,
    /// How long they last here: what is [spared](SPARE) is taken off.
    lasts: Duration,
    /// How much time has passed that the clock of `now` does not count.
    lost: Duration,
    /// What the bus assigns on this connection it has assigned after this
    /// time: when the last beat was sent that is answered, or the connection
    /// was made.
    heard_since: Instant,
    /// Beats without an answer, oldest first: when they were sent, and which
    /// leases they did not know yet. Answers come in order.
    beats: VecDeque<Beat>,
    last_beat: Option<Instant>,
}

/// What became of a lease that is assigned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Taken {
    New,
    /// It is held, or was and is over.
    Known,
    /// It may have lapsed on its way.
    TooLate,
}

#[derive(Debug)]
struct Lease {
    job: JobId,
    lapses: Instant,
}

#[derive(Debug)]
struct Beat {
    sent: Instant,
    named: Vec<LeaseId>,
}

impl Held {
    pub(super) fn set_terms(&mut self, lasts: Duration) {
        self.lasts = lasts - lasts / SPARE;
    }

    /// Takes a lease that is assigned.
    pub(super) fn take(&mut self, now: Instant, lease: LeaseId, job: JobId) -> Taken {
        if self.leases.contains_key(&lease) || self.over.contains(&lease) {
            return Taken::Known;
        }
        let lapses = self.heard_since + self.lasts;
        if lapses <= self.there(now) {
            return Taken::TooLate;
        }
        self.leases.insert(lease, Lease { job, lapses });
        Taken::New
    }

    /// The bus has ended a lease.
    pub(super) fn release(&mut self, lease: LeaseId) -> Option<JobId> {
        self.leases.remove(&lease).map(|lease| lease.job)
    }

    /// Its job is over; the bus is being told.
    pub(super) fn reported(&mut self, lease: LeaseId) {
        self.leases.remove(&lease);
        self.over.insert(lease);
    }

    /// The bus knows that it is over.
    pub(super) fn settled(&mut self, lease: LeaseId) {
        self.over.remove(&lease);
    }

    pub(super) fn take_all(&mut self) -> Vec<(LeaseId, JobId)> {
        self.over.clear();
        core::mem::take(&mut self.leases).into_iter().map(|(id, lease)| (id, lease.job)).collect()
    }

    pub(super) fn contains(&self, lease: LeaseId) -> bool {
        self.leases.contains_key(&lease)
    }

    /// Whether it was held, and its end is not known to the bus yet.
    pub(super) fn is_over(&self, lease: LeaseId) -> bool {
        self.over.contains(&lease)
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = LeaseId> {
        self.leases.keys().copied()
    }

    pub(super) fn beat_sent(&mut self, now: Instant, named: Vec<LeaseId>) {
        self.last_beat = Some(now);
        let sent = self.there(now);
        self.beats.push_back(Beat { sent, named });
    }

    /// The oldest beat was answered: what it named lasts from when it was sent.
    pub(super) fn answered(&mut self) {
        let Some(beat) = self.beats.pop_front() else { return };
        self.heard_since = beat.sent;
        let lapses = beat.sent + self.lasts;
        for lease in beat.named {
            if let Some(lease) = self.leases.get_mut(&lease) {
                lease.lapses = lease.lapses.max(lapses);
            }
        }
    }

    pub(super) const fn last_beat(&self) -> Option<Instant> {
        self.last_beat
    }

    /// Beats without an answer will get none.
    pub(super) fn connection_lost(&mut self) {
        self.beats.clear();
        self.last_beat = None;
    }

    pub(super) fn connected(&mut self, now: Instant) {
        self.connection_lost();
        self.heard_since = self.there(now);
    }

    /// So much time has passed that no `now` will show.
    pub(super) fn time_was_lost(&mut self, lost: Duration) {
        self.lost = self.lost.saturating_add(lost);
    }

    /// When this is for the bus: all times here are.
    fn there(&self, now: Instant) -> Instant {
        now + self.lost
    }

    pub(super) fn next_lapse(&self) -> Option<Instant> {
        let lapses = self.leases.values().map(|lease| lease.lapses).min()?;
        Some(Instant::from((lapses - Instant::ZERO).saturating_sub(self.lost)))
    }

    /// Gives up the leases that have lapsed.
    pub(super) fn lapsed(&mut self, now: Instant) -> Vec<(LeaseId, JobId)> {
        let now = self.there(now);
        let over = self.leases.iter().filter(|(_, lease)| lease.lapses <= now);
        let over: Vec<_> = over.map(|(id, lease)| (*id, lease.job)).collect();
        for (id, _) in &over {
            self.reported(*id);
        }
        over
    }
}
