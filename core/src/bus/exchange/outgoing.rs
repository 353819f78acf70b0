//! The messages that may have to wait for the disk, bounded for each client.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;

use serde_json::value::RawValue;

use crate::bus::v1::View;
use crate::id::{ClientId, JobId, LeaseId};

/// Events take no more than this part of what may wait for a client: they can be
/// told later, and the rest is for what cannot.
const EVENTS_SHARE: usize = 64;

/// What a message that waits costs beyond its bytes.
const FRAME_COST: usize = 64;

/// The messages that may have to wait for the disk, in order.
///
/// While the disk fails they wait for as long as that lasts. So each client has
/// a bound, beyond which it is given up, and what is for one that has gone does
/// not wait.
#[derive(Debug)]
pub(super) struct Outgoing {
    queue: VecDeque<Out>,
    /// Of the clients for whom anything waits, and of those given up.
    shares: BTreeMap<ClientId, Share>,
    /// How many bytes may wait for a client, beside a snapshot.
    most: usize,
    given_up: VecDeque<ClientId>,
}

/// A message that may have to wait for the disk.
#[derive(Debug)]
pub(super) struct Out {
    pub(super) after: u64,
    pub(super) to: ClientId,
    /// Empty: nobody is there for it any more, but its lease begins with it.
    pub(super) frame: Arc<str>,
    pub(super) about: About,
    /// The lease that it gives, if it is an assignment.
    pub(super) gives: Option<LeaseId>,
}

/// What a message tells: it must not be told if it is about a job that the disk
/// did not take.
#[derive(Debug)]
pub(super) enum About {
    /// A job, to somebody who has to do with it.
    Job(JobId),
    /// An event of a job, to somebody who watches.
    Event(JobId),
    /// All jobs.
    All(Asked),
    /// None that the disk may not take.
    Else,
}

/// What a snapshot answers.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) re: Option<Box<RawValue>>,
    pub(super) view: View,
}

/// What waits for one client.
#[derive(Debug, Default)]
struct Share {
    frames: usize,
    /// Without a snapshot: of these it has one at most.
    bytes: usize,
    snapshot: usize,
    /// It is to be closed, and nothing more is taken for it.
    given_up: bool,
}

impl Outgoing {
    pub(super) const fn new(most: usize) -> Self {
        Self { queue: VecDeque::new(), shares: BTreeMap::new(), most, given_up: VecDeque::new() }
    }

    /// Adds a message. A client for which more would wait than may is given up.
    pub(super) fn push_back(&mut self, out: Out) {
        let to = out.to;
        let share = self.shares.entry(to).or_default();
        if !share.given_up {
            share.count(&out);
            let is_first = share.bytes == out.cost();
            self.queue.push_back(out);
            if share.bytes > self.most && !is_first {
                self.give_up(to);
            }
        } else if out.gives.is_some() {
            self.queue.push_back(out.into_void());
        }
    }

    /// The next message, if so much on disk is enough for it.
    pub(super) fn pop(&mut self, persisted: u64) -> Option<Out> {
        if !self.is_ready(persisted) {
            return None;
        }
        let out = self.queue.pop_front()?;
        uncount(&mut self.shares, &out);
        Some(out)
    }

    /// Whether there is a message for which so much on disk is enough.
    pub(super) fn is_ready(&self, persisted: u64) -> bool {
        self.queue.front().is_some_and(|out| out.after <= persisted)
    }

    /// Whether an event of so many bytes may be added for this client, or is
    /// better told later: what waits for it is to stay short.
    pub(super) fn has_room(&self, client: ClientId, length: usize) -> bool {
        let bytes = self.shares.get(&client).map_or(0, |share| share.bytes);
        bytes == 0 || bytes + length + FRAME_COST <= self.most / EVENTS_SHARE
    }

    /// Whether a snapshot waits for this client.
    pub(super) fn has_snapshot(&self, client: ClientId) -> bool {
        self.shares.get(&client).is_some_and(|share| share.snapshot > 0)
    }

    /// Takes out what is not wanted.
    pub(super) fn retain(&mut self, mut wanted: impl FnMut(&Out) -> bool) {
        let shares = &mut self.shares;
        self.queue.retain(|out| {
            let stays = wanted(out);
            if !stays {
                uncount(shares, out);
            }
            stays
        });
    }

    /// A client has gone, and what waits for it with it.
    pub(super) fn forget(&mut self, client: ClientId) {
        let waits = self.shares.remove(&client).is_some_and(|share| share.frames > 0);
        if waits {
            self.drop_all(client);
        }
    }

    /// Nothing more is said to a client, and it is to be closed.
    pub(super) fn give_up(&mut self, client: ClientId) {
        let share = Share { given_up: true, ..Share::default() };
        self.shares.insert(client, share);
        self.drop_all(client);
        self.given_up.push_back(client);
    }

    /// The next client that is given up.
    pub(super) fn poll_given_up(&mut self) -> Option<ClientId> {
        self.given_up.pop_front()
    }

    /// How many bytes wait, over all clients. Those who wait for the same
    /// message share its bytes, and are each counted.
    pub(super) fn bytes(&self) -> usize {
        self.shares.values().map(|share| share.bytes + share.snapshot).sum()
    }

    /// Leases begin when their assignments leave, also when nobody is there
    /// for these any more: what does not begin does not lapse.
    fn drop_all(&mut self, client: ClientId) {
        self.queue.retain_mut(|out| {
            if out.to == client && out.gives.is_some() {
                out.frame = Arc::default();
            }
            out.to != client || out.gives.is_some()
        });
    }
}

impl Out {
    /// Whether it only begins a lease.
    pub(super) fn is_void(&self) -> bool {
        self.frame.is_empty()
    }

    fn into_void(self) -> Self {
        Self { frame: Arc::default(), ..self }
    }

    fn cost(&self) -> usize {
        self.frame.len() + FRAME_COST
    }
}

impl Share {
    fn count(&mut self, out: &Out) {
        self.frames += 1;
        match out.about {
            About::All(_) => self.snapshot += out.cost(),
            _ => self.bytes += out.cost(),
        }
    }
}

fn uncount(shares: &mut BTreeMap<ClientId, Share>, out: &Out) {
    let Some(share) = shares.get_mut(&out.to).filter(|_| !out.is_void()) else { return };
    share.frames -= 1;
    match out.about {
        About::All(_) => share.snapshot -= out.cost(),
        _ => share.bytes -= out.cost(),
    }
    if share.frames == 0 {
        shares.remove(&out.to);
    }
}
