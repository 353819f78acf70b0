//! What a scheduler has to tell, and whom.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};

use async_channel::Sender;
use sched_core::{Event, JobId};

use super::Ended;
use super::subscription::Subscriber;
use crate::process::{CapturedOutput, SpooledOutput};

/// What is to be told, in the order in which it happened.
///
/// It is collected under the scheduler's lock, and told without it. There is as
/// much of it as happens until it is told: after each step, or after the start of
/// the process that the step led to.
#[derive(Default)]
pub(super) struct News {
    items: VecDeque<Item>,
    /// Here, or with who tells.
    listeners: Listeners,
    /// How many listen, with those who will when the items before them are told.
    listening: usize,
    telling: bool,
}

/// Those who are told every event.
#[derive(Default)]
pub(super) struct Listeners(Vec<Subscriber>);

enum Item {
    Outcome(Tell, JobId, Ended),
    Event(Event),
    /// From here on it listens.
    Subscriber(Subscriber),
    /// To be dropped: the files in it may be large, and their end takes time.
    Discarded(Written),
}

/// What is told together, by one thread.
pub(super) struct Batch {
    items: VecDeque<Item>,
    listeners: Listeners,
}

/// What a run wrote.
#[derive(Default)]
pub(super) struct Written {
    pub(super) output: Option<CapturedOutput>,
    pub(super) spooled: Option<SpooledOutput>,
}

/// Where the outcome of a job is told.
pub(super) enum Tell {
    Handle(OutcomeSetter),
    Outcomes(Sender<(JobId, Ended)>),
}

/// The scheduler's side of a [`JobHandle`](super::JobHandle).
pub(super) struct OutcomeSetter {
    pub(super) told: Arc<OnceLock<Ended>>,
    /// Closed when it is set, or will never be.
    pub(super) open: Sender<Infallible>,
}

impl News {
    pub(super) fn outcome(&mut self, tell: Tell, job: JobId, ended: Ended) {
        self.items.push_back(Item::Outcome(tell, job, ended));
    }

    pub(super) fn event(&mut self, event: Event) {
        if self.listening > 0 {
            self.items.push_back(Item::Event(event));
        }
    }

    /// It is told what happens from now on.
    pub(super) fn subscribe(&mut self, subscriber: Subscriber) {
        self.listening += 1;
        self.items.push_back(Item::Subscriber(subscriber));
    }

    pub(super) fn discard(&mut self, written: Written) {
        if written.output.is_some() || written.spooled.is_some() {
            self.items.push_back(Item::Discarded(written));
        }
    }

    /// Whether nothing is left to tell, and nobody tells.
    pub(super) fn is_told(&self) -> bool {
        self.items.is_empty() && !self.telling
    }

    /// What there is to tell, for who then calls [`told`](Self::told). `None`:
    /// nothing, or somebody else tells.
    pub(super) fn take(&mut self) -> Option<Batch> {
        if self.items.is_empty() || self.telling {
            return None;
        }
        self.telling = true;
        let items = std::mem::take(&mut self.items);
        Some(Batch { items, listeners: std::mem::take(&mut self.listeners) })
    }

    pub(super) fn told(&mut self, listeners: Listeners) {
        let waiting = self.items.iter().filter(|item| matches!(item, Item::Subscriber(_)));
        self.listening = listeners.0.len() + waiting.count();
        self.listeners = listeners;
        self.telling = false;
    }

    /// Nobody is told anything any more.
    pub(super) fn end(&mut self) -> Listeners {
        self.listening = 0;
        std::mem::take(&mut self.listeners)
    }
}

impl Batch {
    /// Tells everybody. Returns who still listens.
    pub(super) fn tell(self) -> Listeners {
        let Self { items, mut listeners } = self;
        for item in items {
            match item {
                Item::Outcome(tell, job, ended) => unharmed(|| tell.tell(job, ended), ()),
                Item::Event(event) => {
                    listeners.0.retain(|listener| unharmed(|| listener.tell(&event), true));
                }
                Item::Subscriber(subscriber) => listeners.0.push(subscriber),
                Item::Discarded(written) => drop(written),
            }
        }
        listeners
    }
}

impl Tell {
    /// Nobody listens any more: then nobody wants to know.
    fn tell(self, job: JobId, ended: Ended) {
        match self {
            Self::Handle(OutcomeSetter { told, open }) => {
                // A job has one outcome.
                let _ = told.set(ended);
                drop(open);
            }
            Self::Outcomes(outcomes) => drop(outcomes.try_send((job, ended))),
        }
    }
}

/// Who is woken is others' code, and may panic: then the next is told
/// nevertheless. What was told has arrived before the panic.
fn unharmed<T>(tell: impl FnOnce() -> T, otherwise: T) -> T {
    catch_unwind(AssertUnwindSafe(tell)).unwrap_or_else(|_panic| {
        tracing::error!("whoever was told of an event panicked");
        otherwise
    })
}
