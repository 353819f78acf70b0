//! The client's side of the conversation, without sockets.

mod held;

use alloc::borrow::ToOwned;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use self::held::{Held, Taken};
use super::text::{LONGEST_OUTPUT, LONGEST_REASON, head, tail};
use super::v1::{ErrorCode, HeardOptions, Notice, ReportState, SubmitOptions, Welcome};
use crate::id::{JobId, LeaseId, SessionId, SlotId};
use crate::spawner::ExitStatus;
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
/// beat was *sent*, not answered, so that it never outlasts what the bus
/// thinks of it. Those that lapse are told as [`SessionEvent::Revoked`]: their
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

#[derive(Debug)]
struct Open {
    text: String,
    /// Whether it may have been sent.
    sent: bool,
    kind: Kind,
}

/// What a request is about, and so whether it may be sent twice.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    /// It may not.
    Once,
    /// It may.
    Again,
    /// It may, to the same bus: another means another job by the same id.
    Cancel,
    /// The start of the run under this lease; it may.
    Start(LeaseId),
    /// The end of the run under this lease; it may.
    End(LeaseId),
}

impl Kind {
    const fn lease(self) -> Option<LeaseId> {
        match self {
            Self::Start(lease) | Self::End(lease) => Some(lease),
            Self::Once | Self::Again | Self::Cancel => None,
        }
    }
}

/// What a client hears.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SessionEvent {
    /// The bus speaks version 1. `resumed`: it knows this session.
    Welcomed {
        /// Its terms.
        welcome: Welcome,
        /// Whether this session goes on; otherwise it begins.
        resumed: bool,
    },
    /// The bus speaks version 0.
    OldBus,
    /// A payload of a version 0 bus, as it came.
    Payload(String),
    /// A job is to be run.
    Assigned {
        /// The job.
        job: JobId,
        /// The lease under which it is to be reported.
        lease: LeaseId,
        /// Which attempt, from 1.
        attempt: u32,
        /// As it was submitted.
        payload: String,
        /// Its terms.
        opts: HeardOptions,
    },
    /// A lease has ended; its job must be ended, if it runs.
    Revoked {
        /// The job.
        job: JobId,
        /// The lease.
        lease: LeaseId,
    },
    /// A submission was accepted.
    Accepted {
        /// The request.
        request: u64,
        /// The job.
        job: JobId,
        /// Whether it had been accepted before, under the same key.
        dup: bool,
    },
    /// A request was carried out.
    Done {
        /// The request.
        request: u64,
    },
    /// A request was refused.
    Refused {
        /// The request; `None`: something that was no request of ours.
        request: Option<u64>,
        /// The kind of error, as a number.
        code: i32,
        /// What was wrong, and what to do.
        message: String,
    },
    /// Whether a request was carried out cannot be known: the connection was
    /// lost before the answer, and it may not be sent twice.
    Unknown {
        /// The request.
        request: u64,
    },
    /// Something happened to a job, as the bus wrote it.
    Job(String),
    /// What there is, as the bus wrote it.
    Snapshot(String),
    /// The bus said what cannot be understood.
    Nonsense(String),
}

/// What became of a job, to be reported.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JobReport {
    /// The job.
    pub job: JobId,
    /// The lease under which it was assigned.
    pub lease: LeaseId,
    /// What became of it.
    pub state: ReportState,
    /// How its process ended, where it did.
    pub exit: Option<ExitStatus>,
    /// The job for which it was evicted.
    pub by: Option<JobId>,
    /// How long its process ran.
    pub ran: Duration,
    /// In words.
    pub reason: Option<String>,
    /// The end of what it wrote.
    pub output: Option<String>,
    /// The slot in which it runs.
    pub slot: Option<SlotId>,
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

    fn ask(&mut self, kind: Kind, text: impl FnOnce(u64) -> String) -> u64 {
        self.next_request += 1;
        let id = self.next_request;
        let text = text(id);
        if let Link::Up(welcome) = self.link {
            if text.len() > welcome.max_frame {
                self.too_large(id, text.len(), welcome.max_frame);
                return id;
            }
            self.transmits.push_back(text.clone());
        }
        self.open.insert(id, Open { text, sent: self.is_up(), kind });
        id
    }

    /// Refuses a request that the bus would close the connection for.
    fn too_large(&mut self, request: u64, size: usize, most: usize) {
        let message = format!("the message has {size} bytes; this bus takes {most}");
        let code = ErrorCode::TooLarge.number();
        self.events.push_back(SessionEvent::Refused { request: Some(request), code, message });
    }

    fn welcomed(&mut self, now: Instant, welcome: Welcome) {
        let resumed = self.session == Some(welcome.session);
        let first = self.session.is_none();
        self.session = Some(welcome.session);
        let fresh = matches!(self.link, Link::Up(_));
        self.link = Link::Up(welcome);
        if !resumed && !first {
            self.begin_anew();
        }
        self.events.push_back(SessionEvent::Welcomed { welcome, resumed });
        if !fresh {
            self.send_again(welcome);
        }
        if self.identity.slots > 0 {
            self.held.set_terms(welcome.lease);
            self.beat(now);
        }
    }

    /// The bus does not know this session: leases and what was reported under
    /// them are void, and jobs have other ids.
    fn begin_anew(&mut self) {
        for (lease, job) in self.held.take_all() {
            self.revoked(job, lease);
        }
        self.open.retain(|_, open| open.kind.lease().is_none());
        self.give_up(|open| open.kind == Kind::Cancel);
    }

    /// Sends what was asked for before there was this connection.
    fn send_again(&mut self, welcome: Welcome) {
        self.give_up(|open| open.sent && open.kind == Kind::Once);
        let most = welcome.max_frame;
        let sizes = self.open.iter().map(|(request, open)| (*request, open.text.len()));
        let large: Vec<(u64, usize)> = sizes.filter(|(_, size)| *size > most).collect();
        for (request, size) in large {
            self.open.remove(&request);
            self.too_large(request, size, most);
        }
        for open in self.open.values_mut() {
            open.sent = true;
            self.transmits.push_back(open.text.clone());
        }
    }

    /// Leaves what became of these requests open.
    fn give_up(&mut self, which: impl Fn(&Open) -> bool) {
        let lost = self.open.iter().filter(|(_, open)| which(open));
        let lost: Vec<u64> = lost.map(|(request, _)| *request).collect();
        for request in lost {
            self.open.remove(&request);
            self.events.push_back(SessionEvent::Unknown { request });
        }
    }

    fn heard(&mut self, now: Instant, notice: Notice<'_>, text: &str) {
        let event = match notice {
            Notice::Welcome(_) | Notice::Unknown => return,
            Notice::Accepted { re, job, dup } => {
                let Some(request) = self.answered(re) else { return };
                SessionEvent::Accepted { request, job, dup }
            }
            Notice::Assign(it) => {
                match self.held.take(now, it.lease, it.job) {
                    Taken::New => {}
                    Taken::Known => return,
                    Taken::TooLate => return self.give_back(it.job, it.lease),
                }
                SessionEvent::Assigned {
                    job: it.job,
                    lease: it.lease,
                    attempt: it.attempt,
                    payload: it.payload.to_owned(),
                    opts: it.opts,
                }
            }
            Notice::Revoke { job, lease } => return self.end_lease(job, lease),
            Notice::Beat(revoked) => return self.beat_answered(&revoked),
            Notice::Job(_) => SessionEvent::Job(text.to_owned()),
            Notice::Snapshot { re, .. } => {
                self.answered(re);
                SessionEvent::Snapshot(text.to_owned())
            }
            Notice::Ok { re } => {
                let Some(open) = re.and_then(|re| self.open.remove(&re)) else { return };
                if let Kind::End(lease) = open.kind {
                    self.held.settled(lease);
                }
                if open.kind.lease().is_some() {
                    return;
                }
                SessionEvent::Done { request: re.unwrap_or_default() }
            }
            Notice::Error { re, code, message, .. } => return self.refused(re, code, &message),
        };
        self.events.push_back(event);
    }

    fn answered(&mut self, re: Option<u64>) -> Option<u64> {
        re.filter(|re| self.open.remove(re).is_some())
    }

    fn refused(&mut self, re: Option<u64>, code: i32, message: &str) {
        let open = re.and_then(|re| self.open.remove(&re));
        match open.and_then(|open| open.kind.lease()) {
            // A report under a lease that has ended: if its job still runs, it
            // must be ended.
            Some(lease) => {
                self.held.settled(lease);
                if let Some(job) = self.held.release(lease) {
                    self.revoked(job, lease);
                }
            }
            None => {
                let message = message.to_owned();
                self.events.push_back(SessionEvent::Refused { request: re, code, message });
            }
        }
    }

    /// The bus wants a job to be ended. The lease is kept until the job is
    /// reported, so that the report can be made.
    fn end_lease(&mut self, job: JobId, lease: LeaseId) {
        if self.held.contains(lease) {
            self.revoked(job, lease);
        }
    }

    /// Does not take a job: the bus may have given it to another by now.
    fn give_back(&mut self, job: JobId, lease: LeaseId) {
        self.report(&JobReport {
            job,
            lease,
            state: ReportState::Cancelled,
            exit: None,
            by: None,
            ran: Duration::ZERO,
            reason: Some("its lease may have lapsed before it came".to_owned()),
            output: None,
            slot: None,
        });
    }

    fn beat_answered(&mut self, revoked: &[LeaseId]) {
        self.held.answered();
        for lease in revoked {
            if let Some(job) = self.held.release(*lease) {
                self.revoked(job, *lease);
            }
        }
    }

    fn revoked(&mut self, job: JobId, lease: LeaseId) {
        self.events.push_back(SessionEvent::Revoked { job, lease });
    }

    fn beat(&mut self, now: Instant) {
        let leases: Vec<String> = self.held.ids().map(|id| id.number().to_string()).collect();
        let floor = self.floor.map_or_else(|| "null".to_owned(), |floor| floor.to_string());
        let (leases, free) = (leases.join(","), self.free);
        self.transmits.push_back(format!(
            r#"{{"cmd":"beat","leases":[{leases}],"free":{free},"floor":{floor}}}"#
        ));
        self.held.beat_sent(now);
    }

    fn beat_due(&self, welcome: Welcome) -> Option<Instant> {
        let last = self.held.last_beat()?;
        (self.identity.slots > 0).then_some(last + welcome.beat)
    }
}

impl JobReport {
    fn to_text(&self, id: u64) -> String {
        let Self { job, lease, .. } = self;
        let mut text = format!(
            r#"{{"cmd":"report","id":{id},"job":"{job}","lease":{},"state":"{}","ran_ms":{}"#,
            lease.number(),
            self.state.name(),
            self.ran.as_millis()
        );
        match self.exit {
            Some(ExitStatus::Code(code)) => text.push_str(&format!(r#","code":{code}"#)),
            Some(ExitStatus::Signal(signal)) => text.push_str(&format!(r#","signal":{signal}"#)),
            Some(ExitStatus::Unknown) | None => {}
        }
        if let Some(by) = self.by {
            text.push_str(&format!(r#","by":"{by}""#));
        }
        if let Some(slot) = self.slot {
            text.push_str(&format!(r#","slot":{}"#, slot.number()));
        }
        // The bus keeps no more, and a message must not be larger than it takes.
        let reason = self.reason.as_deref().map(|reason| head(reason, LONGEST_REASON));
        let output = self.output.as_deref().map(|output| tail(output, LONGEST_OUTPUT));
        for (field, value) in [("reason", reason), ("output", output)] {
            if let Some(value) = value {
                text.push_str(&format!(r#","{field}":{}"#, quoted(value)));
            }
        }
        text.push('}');
        text
    }
}

/// A text as JSON writes it.
fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_else(|_| "\"\"".to_owned())
}

#[cfg(test)]
mod tests;
