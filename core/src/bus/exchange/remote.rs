//! A scheduler of the bus.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::cmp::Reverse;

use crate::heap::IndexHeap;
use crate::id::{ClientId, LeaseId, SessionId};
use crate::table::Record;
use crate::time::Instant;

/// A scheduler, as the exchange sees it.
#[derive(Debug)]
pub(super) struct Remote {
    pub(super) session: SessionId,
    pub(super) name: Arc<str>,
    pub(super) slots: u32,
    /// Its connection; `None` while that is broken and leases are left.
    pub(super) client: Option<ClientId>,
    /// What it has, by lease.
    pub(super) leases: BTreeMap<LeaseId, u32>,
    /// The lease of the job for which it was asked to evict, until that runs.
    pub(super) evicting: Option<LeaseId>,
    /// What it has and may be evicted, by the handle of the job.
    pub(super) victims: IndexHeap<Reverse<(i64, LeaseId)>>,
    /// Whether it has said that nothing may be evicted.
    pub(super) spares_all: bool,
    /// When it last said anything that only a scheduler says.
    pub(super) heard: Instant,
    /// It has let a lease lapse, and said nothing for as long as one lasts. It
    /// may be halted, or its network gone, with its connection still there; it
    /// is given nothing, which it would only lose again, until it is heard.
    pub(super) silent: bool,
    /// It has given back what it was not asked to: it is leaving, or cannot run
    /// it now. It would give back at once what it is given next, and is given
    /// nothing until its next beat.
    pub(super) gives_back: bool,
    pub(super) mode: RemoteMode,
}

/// What a scheduler may be given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum RemoteMode {
    Accepting,
    Paused,
    Draining,
}

impl RemoteMode {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Accepting => "accepting",
            Self::Paused => "paused",
            Self::Draining => "draining",
        }
    }
}

impl Record for Remote {
    type Id = SessionId;

    fn id(&self) -> SessionId {
        self.session
    }

    fn number(id: SessionId) -> u64 {
        id.number()
    }
}

impl Remote {
    pub(super) const fn new(session: SessionId, name: Arc<str>, slots: u32, now: Instant) -> Self {
        Self {
            session,
            name,
            slots,
            client: None,
            leases: BTreeMap::new(),
            evicting: None,
            victims: IndexHeap::new(),
            spares_all: false,
            heard: now,
            silent: false,
            gives_back: false,
            mode: RemoteMode::Accepting,
        }
    }

    /// How many more jobs it runs without evicting one.
    pub(super) fn room(&self) -> u32 {
        let held = u32::try_from(self.leases.len()).unwrap_or(u32::MAX);
        if self.takes_jobs() { self.slots.saturating_sub(held) } else { 0 }
    }

    /// Whether it has more than it runs at once.
    pub(super) fn is_over_full(&self) -> bool {
        self.leases.len() > self.slots as usize
    }

    /// The job that it would evict for a more urgent one. With more than its
    /// slots it is evicting already, or cannot start yet what it has, because
    /// a run that has lost its lease is still being stopped there.
    pub(super) fn victim(&self) -> Option<(i64, LeaseId)> {
        let busy = self.evicting.is_some() || self.is_over_full();
        let may = self.takes_jobs() && !busy && !self.spares_all;
        let (Reverse(victim), _) = self.victims.peek().filter(|_| may)?;
        Some(*victim)
    }

    const fn takes_jobs(&self) -> bool {
        let takes = !self.silent && !self.gives_back;
        self.client.is_some() && takes && matches!(self.mode, RemoteMode::Accepting)
    }
}
