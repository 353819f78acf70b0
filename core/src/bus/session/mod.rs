//! The client's side of the conversation, without sockets.

mod beat;
mod event;
mod hear;
mod held;
mod open;
mod report;
#[cfg(test)]
mod tests;

use alloc::borrow::ToOwned;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

pub use self::event::SessionEvent;
pub use self::report::JobReport;

use self::held::Held;
use self::open::{Kind, Open};
use super::v1::{Notice, ReportState, SubmitOptions, Welcome};
use crate::id::{JobId, LeaseId, SessionId};
use crate::time::{Duration, Instant};

/// After this time without a `welcome` the bus is taken for one of version 0.
const WELCOME_WITHIN: Duration = Duration::from_secs(2);

/// A client of a bus, over all its connections.
///
/// A driver owns one and a connection, and goes round the usual loop: it tells
/// what happens ([`handle_connected`](Self::handle_connected),
/// [`handle_message`](Self::handle_message),
/// [`handle_disconnected`](Self::handle_disconnected),
/// [`handle_timeout`](Self::handle_timeout)), drains
/// [`poll_transmit`](Self::poll_transmit) and
/// [`poll_event`](Self::poll_event), and waits no longer than
/// [`poll_timeout`](Self::poll_timeout).
///
/// It finds out which version the bus speaks, and takes up its session again
/// after a loss of connection. What it was asked to send and what has not been
/// answered is sent again then: a submission needs a `key` for that, and
/// without one is told as [`SessionEvent::Unknown`].
///
/// As a scheduler it holds leases, and renews them. A lease lasts from when a
/// beat was *sent*, not answered, and a fifteenth less than the bus says, so that
/// its run never outlasts what the bus thinks of it. Those that lapse are told as [`SessionEvent::Revoked`]: their
/// jobs must be ended.
#[derive(Debug)]
pub struct Session {
    identity: Identity,
    link: Link,
    session: Option<SessionId>,
    next_request: u64,
    /// What was asked and has not been answered.
    open: BTreeMap<u64, Open>,
    held: Held,
    floor: Option<i32>,
    free: u32,
    transmits: VecDeque<String>,
    events: VecDeque<SessionEvent>,
}

/// Who a client is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Identity {
    /// `producer`, `scheduler` or `observer`.
    pub role: &'static str,
    /// What people call it.
    pub name: String,
    /// How many jobs it runs at once; 0 for one that is no scheduler.
    pub slots: u32,
}

#[derive(Clone, Copy, Debug)]
enum Link {
    Down,
    /// Registered, and not welcomed yet.
    Greeting {
        since: Instant,
    },
    /// The bus speaks version 1.
    Up(Welcome),
    /// The bus speaks version 0.
    Old,
}

impl Session {
    /// A client that is not connected yet.
    #[must_use]
    pub fn new(identity: Identity) -> Self {
        Self {
            free: identity.slots,
            identity,
            link: Link::Down,
            session: None,
            next_request: 0,
            open: BTreeMap::new(),
            held: Held::default(),
            floor: None,
            transmits: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// Submits a job. The answer names the request.
    pub fn submit(&mut self, payload: &str, opts: &SubmitOptions) -> u64 {
        let opts_text = serde_json::to_string(opts).unwrap_or_else(|_| "{}".to_owned());
        let kind = if opts.key.is_some() { Kind::Again } else { Kind::Once };
        self.ask(kind, |id| {
            format!(r#"{{"cmd":"submit","id":{id},"payload":{payload},"opts":{opts_text}}}"#)
        })
    }

    /// Cancels a job. The answer names the request.
    pub fn cancel(&mut self, job: JobId) -> u64 {
        self.ask(Kind::Cancel, |id| format!(r#"{{"cmd":"cancel","id":{id},"job":"{job}"}}"#))
    }

    /// Asks for events: those after `since`, or a snapshot and all that follow.
    /// To be asked again after every [`SessionEvent::Welcomed`]: a subscription
    /// ends with its connection.
    pub fn subscribe(&mut self, since: Option<u64>, all: bool) -> u64 {
        let since = since.map(|seq| format!(r#","since":{seq}"#)).unwrap_or_default();
        let jobs = if all { "all" } else { "mine" };
        self.ask(Kind::Once, |id| {
            format!(r#"{{"cmd":"subscribe","id":{id}{since},"jobs":"{jobs}"}}"#)
        })
    }

    /// Sends `pause`, `resume` or `drain`, to the bus or to a scheduler.
    pub fn admin(&mut self, verb: &'static str, target: Option<&str>) -> u64 {
        let target =
            target.map(|name| format!(r#","target":{}"#, quoted(name))).unwrap_or_default();
        self.ask(Kind::Again, |id| format!(r#"{{"cmd":"{verb}","id":{id}{target}}}"#))
    }

    /// Reports what became of a job. It is sent until it is answered.
    ///
    /// Every job that was assigned must be reported once as over, also after it
    /// was revoked, and not before its process is gone.
    pub fn report(&mut self, report: &JobReport) {
        let kind = if report.state == ReportState::Started {
            Kind::Start(report.lease)
        } else {
            self.held.reported(report.lease);
            Kind::End(report.lease)
        };
        self.ask(kind, |id| report.to_text(id));
    }

    /// Says that a run was asked to end, for people to see: once, and only if
    /// there is a connection.
    pub fn stopping(&mut self, job: JobId, lease: LeaseId, by: Option<JobId>, grace: Duration) {
        if !self.is_up() {
            return;
        }
        let by = by.map(|by| format!(r#","by":"{by}""#)).unwrap_or_default();
        let (lease, grace) = (lease.number(), grace.as_millis());
        self.transmits.push_back(format!(
            r#"{{"cmd":"stopping","job":"{job}","lease":{lease}{by},"grace_ms":{grace}}}"#
        ));
    }

    /// Sends a command as it is written, to a bus of version 0.
    pub fn send_text(&mut self, text: String) {
        self.transmits.push_back(text);
    }

    /// What a scheduler has to offer changes: free slots, and the least urgent
    /// priority that may be evicted. Told with the next beat, and at once if
    /// that is `urgent`.
    pub fn offer(&mut self, now: Instant, free: u32, floor: Option<i32>) {
        let changed = self.floor.is_some() != floor.is_some();
        (self.free, self.floor) = (free, floor);
        if changed && matches!(self.link, Link::Up(_)) {
            self.beat(now);
        }
    }

    /// There is a connection. Whatever was on the last one is over.
    pub fn handle_connected(&mut self, now: Instant) {
        self.transmits.clear();
        self.held.connected(now);
        self.link = Link::Greeting { since: now };
        let Identity { role, name, slots } = &self.identity;
        let slots = if *slots > 0 { format!(r#","slots":{slots}"#) } else { String::new() };
        let session = self.session.map(|id| format!(r#","session":"{id}""#)).unwrap_or_default();
        let name = quoted(name);
        self.transmits.push_back(format!(
            r#"{{"cmd":"register","type":"{role}","v":1,"name":{name}{slots}{session}}}"#
        ));
    }

    /// The connection is lost. Leases last until they lapse.
    pub fn handle_disconnected(&mut self, _now: Instant) {
        self.link = Link::Down;
        self.transmits.clear();
        self.held.connection_lost();
    }

    /// The bus has said something.
    pub fn handle_message(&mut self, now: Instant, text: &str) {
        match (Notice::parse(text), self.link) {
            (Ok(Notice::Welcome(welcome)), _) => self.welcomed(now, welcome),
            (Err(_), Link::Old | Link::Greeting { .. }) => {
                self.events.push_back(SessionEvent::Payload(text.to_owned()));
            }
            (Err(why), _) => self.events.push_back(SessionEvent::Nonsense(why.to_string())),
            (Ok(notice), _) => self.heard(now, notice, text),
        }
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        match self.link {
            Link::Greeting { since } if now >= since + WELCOME_WITHIN => {
                self.link = Link::Old;
                self.events.push_back(SessionEvent::OldBus);
            }
            Link::Up(welcome) if self.beat_due(welcome).is_some_and(|due| due <= now) => {
                self.beat(now)
            }
            _ => {}
        }
        self.end_lapsed(now);
    }

    /// This machine was suspended for so long, which the clock of `now` does not
    /// count, but that of the bus does: leases have gone on.
    pub fn handle_suspended(&mut self, now: Instant, slept: Duration) {
        self.held.time_was_lost(slept);
        self.end_lapsed(now);
    }

    fn end_lapsed(&mut self, now: Instant) {
        for (lease, job) in self.held.lapsed(now) {
            self.revoked(job, lease);
        }
    }

    /// The next message to send; `None`: nothing more.
    pub fn poll_transmit(&mut self) -> Option<String> {
        self.transmits.pop_front()
    }

    /// What was heard next; `None`: nothing more.
    pub fn poll_event(&mut self) -> Option<SessionEvent> {
        self.events.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due; `None`: never.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let link = match self.link {
            Link::Greeting { since } => Some(since + WELCOME_WITHIN),
            Link::Up(welcome) => self.beat_due(welcome),
            Link::Down | Link::Old => None,
        };
        link.into_iter().chain(self.held.next_lapse()).min()
    }

    /// Whether the bus speaks version 1, as far as is known.
    #[must_use]
    pub const fn is_up(&self) -> bool {
        matches!(self.link, Link::Up(_))
    }

    /// Whether the bus speaks version 0.
    #[must_use]
    pub const fn is_old(&self) -> bool {
        matches!(self.link, Link::Old)
    }

    /// Whether it has this lease. A lease that was revoked and that it has is
    /// valid until its job is reported; the job of one that it has no longer
    /// may be another's.
    #[must_use]
    pub fn holds(&self, lease: LeaseId) -> bool {
        self.held.contains(lease)
    }

    /// Whether it has any lease.
    #[must_use]
    pub fn holds_any(&self) -> bool {
        self.held.next_lapse().is_some()
    }

    /// How many jobs it runs at once; 0 for one that is no scheduler.
    #[must_use]
    pub const fn slots(&self) -> u32 {
        self.identity.slots
    }

    /// How many requests have not been answered.
    #[must_use]
    pub fn unanswered(&self) -> usize {
        self.open.len()
    }

    /// Renews all leases: with several beats, if one would be larger than the
    /// bus takes, which would close the connection and let all of them lapse.
    fn beat(&mut self, now: Instant) {
        let most = match self.link {
            Link::Up(welcome) => beat::most_leases(welcome.max_frame),
            Link::Down | Link::Greeting { .. } | Link::Old => usize::MAX,
        };
        let leases: Vec<LeaseId> = self.held.ids().collect();
        let (first, others) = leases.split_at(most.min(leases.len()));
        for named in core::iter::once(first).chain(others.chunks(most)) {
            self.transmits.push_back(beat::to_text(named, self.free, self.floor));
            self.held.beat_sent(now, named.to_vec());
        }
    }

    fn beat_due(&self, welcome: Welcome) -> Option<Instant> {
        let last = self.held.last_beat()?;
        (self.identity.slots > 0).then_some(last + welcome.beat)
    }
}

/// A text as JSON writes it.
fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_else(|_| "\"\"".to_owned())
}
