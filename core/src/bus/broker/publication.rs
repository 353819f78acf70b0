//! What goes to every scheduler of version 0.

use alloc::collections::{BTreeSet, VecDeque};
use alloc::string::String;
use alloc::sync::Arc;
use core::ops::Bound::{Excluded, Unbounded};
use core::ops::Range;

use super::Broker;
use crate::id::ClientId;

/// Of the memory for the texts of publications, as much is kept when nothing
/// waits, in bytes.
const KEPT_FOR_TEXTS: usize = 64 * 1024;

/// A text frame that is to be sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Transmit {
    /// To whom.
    pub to: ClientId,
    /// What; shared with the others who receive it.
    pub frame: Arc<str>,
}

/// A text frame that is to be sent to every scheduler of version 0, but to the
/// client it came from.
#[derive(Clone, Debug)]
pub struct Publication<'a> {
    /// What.
    pub frame: &'a str,
    /// Who does not receive it, being a scheduler; `None`: all do.
    pub except: Option<ClientId>,
    /// Which schedulers these are: as long as this number is the same, so are
    /// they.
    pub audience: u64,
    schedulers: &'a BTreeSet<ClientId>,
}

impl Publication<'_> {
    /// The schedulers of version 0 now. When it is polled as it should be, at
    /// once, these are those whom it is for.
    pub fn listeners(&self) -> impl Iterator<Item = ClientId> + '_ {
        self.schedulers.iter().copied()
    }
}

/// The publications that nobody has polled yet. The memory for their texts is
/// used again and again: one message after another is passed on without an
/// allocation.
#[derive(Debug, Default)]
pub(super) struct Publications {
    texts: String,
    waiting: VecDeque<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    /// Where its text is.
    frame: Range<usize>,
    except: Option<ClientId>,
    audience: u64,
}

impl Publications {
    pub(super) const fn new() -> Self {
        Self { texts: String::new(), waiting: VecDeque::new() }
    }

    pub(super) fn push(&mut self, frame: &str, except: Option<ClientId>, audience: u64) {
        if self.waiting.is_empty() {
            self.texts.clear();
            self.texts.shrink_to(KEPT_FOR_TEXTS);
        }
        let start = self.texts.len();
        self.texts.push_str(frame);
        self.waiting.push_back(Waiting { frame: start..self.texts.len(), except, audience });
    }

    fn text(&self, of: &Waiting) -> &str {
        self.texts.get(of.frame.clone()).unwrap_or_default()
    }
}

impl Broker {
    /// The next frame to send to all schedulers of version 0 at once. What is
    /// polled here is given out as one, and not again copy by copy by
    /// [`poll_transmit`](Self::poll_transmit): for a driver that does once what
    /// is the same for all.
    pub fn poll_publication(&mut self) -> Option<Publication<'_>> {
        if self.given.is_some() {
            // Some have it already.
            return None;
        }
        let Waiting { frame, except, audience } = self.publications.waiting.pop_front()?;
        let frame = self.publications.texts.get(frame).unwrap_or_default();
        Some(Publication { frame, except, audience, schedulers: &self.schedulers })
    }

    /// The next copy of a publication.
    pub(super) fn poll_copy(&mut self) -> Option<Transmit> {
        while let Some(waiting) = self.publications.waiting.front() {
            let (frame, last) = match self.given.take() {
                Some((frame, last)) => (frame, Excluded(last)),
                None => (self.publications.text(waiting).into(), Unbounded),
            };
            let mut rest = self.schedulers.range((last, Unbounded)).copied();
            if let Some(to) = rest.find(|to| Some(*to) != waiting.except) {
                self.given = Some((Arc::clone(&frame), to));
                return Some(Transmit { to, frame });
            }
            self.publications.waiting.pop_front();
        }
        None
    }
}
