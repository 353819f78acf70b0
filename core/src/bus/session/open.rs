//! What was asked and has not been answered.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::{Link, Session, SessionEvent};
use crate::bus::v1::{ErrorCode, Welcome};
use crate::id::LeaseId;

/// A request that has not been answered.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) text: String,
    /// Whether it may have been sent.
    pub(super) sent: bool,
    pub(super) kind: Kind,
}

/// What a request is about, and so whether it may be sent twice.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
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
    pub(super) const fn lease(self) -> Option<LeaseId> {
        match self {
            Self::Start(lease) | Self::End(lease) => Some(lease),
            Self::Once | Self::Again | Self::Cancel => None,
        }
    }
}

impl Session {
    pub(super) fn ask(&mut self, kind: Kind, text: impl FnOnce(u64) -> String) -> u64 {
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

    /// Sends what was asked for before there was this connection.
    pub(super) fn send_again(&mut self, welcome: Welcome) {
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
    pub(super) fn give_up(&mut self, which: impl Fn(&Open) -> bool) {
        let lost = self.open.iter().filter(|(_, open)| which(open));
        let lost: Vec<u64> = lost.map(|(request, _)| *request).collect();
        for request in lost {
            self.open.remove(&request);
            self.events.push_back(SessionEvent::Unknown { request });
        }
    }

    pub(super) fn answered(&mut self, re: Option<u64>) -> Option<u64> {
        re.filter(|re| self.open.remove(re).is_some())
    }
}
