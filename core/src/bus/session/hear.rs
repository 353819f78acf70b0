//! What the bus says, and what follows from it.

use alloc::borrow::ToOwned;

use super::held::Taken;
use super::open::Kind;
use super::{JobReport, Link, Session, SessionEvent};
use crate::bus::v1::{Notice, ReportState, Welcome};
use crate::id::{JobId, LeaseId};
use crate::time::{Duration, Instant};

impl Session {
    pub(super) fn welcomed(&mut self, now: Instant, welcome: Welcome) {
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

    pub(super) fn heard(&mut self, now: Instant, notice: Notice<'_>, text: &str) {
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
                    // The bus may have given it to another by now.
                    Taken::TooLate => {
                        let why = "its lease may have lapsed before it came";
                        return self.give_back(it.job, it.lease, why);
                    }
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
    /// reported, so that the report can be made; what has not come here is
    /// reported at once, and the bus need not wait for its lease to lapse.
    fn end_lease(&mut self, job: JobId, lease: LeaseId) {
        if self.held.contains(lease) {
            self.revoked(job, lease);
        } else if !self.held.is_over(lease) {
            self.give_back(job, lease, "it was revoked before it came");
        }
    }

    /// Does not take a job.
    fn give_back(&mut self, job: JobId, lease: LeaseId, why: &str) {
        self.report(&JobReport {
            job,
            lease,
            state: ReportState::Cancelled,
            exit: None,
            by: None,
            ran: Duration::ZERO,
            reason: Some(why.to_owned()),
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

    pub(super) fn revoked(&mut self, job: JobId, lease: LeaseId) {
        self.events.push_back(SessionEvent::Revoked { job, lease });
    }
}
