//! What happens on a bus, over all connections to it.

use std::time::Instant;

use sched_core::bus::v1::{ErrorCode, Welcome};
use sched_core::bus::{Session, SessionEvent};

use super::talk::Heard;
use super::{Failure, Snapshot, Talk};

/// From where events are told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Since {
    /// From now on.
    Now,
    /// After this event.
    Event(u64),
    /// A snapshot first, and what follows it.
    Snapshot,
}

/// A subscription that goes on where it was when a connection is lost.
///
/// Where the bus has not kept what was missed, a snapshot takes its place.
#[derive(Debug)]
pub struct Watch {
    talk: Talk,
    /// All jobs, or those of this session.
    all: bool,
    /// The last event that was told; `None`: a snapshot is due first.
    seq: Option<u64>,
    /// The last request for it.
    asked: u64,
    /// Whether that has been answered. Until then events of the subscription
    /// before may come in.
    answered: bool,
    /// Whether a snapshot beside was asked for. The bus sends one at a time.
    looking: bool,
}

/// What a watch sees.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Seen {
    /// Something happened to a job, as the bus wrote it.
    Event(String),
    /// What there is, as the bus wrote it: as asked for, or because what was
    /// missed is gone.
    Snapshot(String),
    /// The bus is gone, for this reason; it is waited for.
    Away(String),
    /// It is there again.
    Back,
    /// The bus was started anew, and knows none of the jobs of before.
    NewBus,
    /// The time has come that [`Watch::wake_at`] was given.
    Alarm,
    /// Anything else that the session heard.
    Other(SessionEvent),
}

impl Watch {
    /// Subscribes, on a conversation that has been opened.
    ///
    /// # Errors
    ///
    /// The client has ended.
    pub async fn start(talk: Talk, since: Since, all: bool) -> Result<Self, Failure> {
        let seq = match since {
            Since::Now => Some(talk.welcome().map_or(0, |welcome| welcome.seq)),
            Since::Event(seq) => Some(seq),
            Since::Snapshot => None,
        };
        let mut watch = Self { talk, all, seq, asked: 0, answered: false, looking: false };
        watch.subscribe().await?;
        Ok(watch)
    }

    /// What is seen next. It must not be dropped before it returns;
    /// [`wake_at`](Self::wake_at) makes it return.
    ///
    /// # Errors
    ///
    /// See [`Talk::next`].
    pub async fn next(&mut self) -> Result<Seen, Failure> {
        loop {
            let event = match self.talk.next().await? {
                Heard::Session(event) => event,
                Heard::Away(why) => return Ok(Seen::Away(why)),
                Heard::Alarm => return Ok(Seen::Alarm),
            };
            match event {
                SessionEvent::Job(text) if self.is_new(&text) => return Ok(Seen::Event(text)),
                SessionEvent::Job(_) => {}
                SessionEvent::Snapshot(text) => {
                    self.seq = Some(Snapshot::parse(&text)?.seq);
                    (self.answered, self.looking) = (true, false);
                    return Ok(Seen::Snapshot(text));
                }
                SessionEvent::Welcomed { welcome, resumed } => {
                    return self.welcomed(resumed, welcome.durable).await;
                }
                SessionEvent::Refused { request, code, .. }
                    if request == Some(self.asked) && code == ErrorCode::Resync.number() =>
                {
                    self.seq = None;
                    self.subscribe().await?;
                }
                SessionEvent::Refused { request, message, .. } if request == Some(self.asked) => {
                    return Err(Failure::Refused(message));
                }
                SessionEvent::Done { request } if request == self.asked => self.answered = true,
                // Void with its connection, and asked for again on the next.
                SessionEvent::Unknown { request } if request == self.asked => {}
                other => return Ok(Seen::Other(other)),
            }
        }
    }

    /// Asks for something beside; see [`Talk::ask`].
    ///
    /// # Errors
    ///
    /// The client has ended.
    pub async fn ask<T: Send + 'static>(
        &self,
        what: impl FnOnce(&mut Session) -> T + Send + 'static,
    ) -> Result<T, Failure> {
        self.talk.ask(what).await
    }

    /// See [`Talk::wake_at`].
    pub const fn wake_at(&mut self, alarm: Option<Instant>) {
        self.talk.wake_at(alarm);
    }

    /// Whether there is a connection to a bus of version 1.
    #[must_use]
    pub const fn is_up(&self) -> bool {
        self.talk.is_up()
    }

    /// Tells all that is kept after this event once more, and what follows.
    ///
    /// # Errors
    ///
    /// The client has ended.
    pub async fn go_back(&mut self, seq: u64) -> Result<(), Failure> {
        self.seq = Some(seq);
        self.subscribe().await
    }

    /// Takes a snapshot, and tells of all jobs from then on.
    ///
    /// # Errors
    ///
    /// The client has ended.
    pub async fn look_around(&mut self) -> Result<(), Failure> {
        (self.seq, self.all) = (None, true);
        self.subscribe().await
    }

    /// Asks for a snapshot beside: the events go on as they were. `false`: not
    /// now, a subscription or another one is under way.
    ///
    /// # Errors
    ///
    /// The client has ended.
    pub async fn look_again(&mut self) -> Result<bool, Failure> {
        if !self.answered || self.looking {
            return Ok(false);
        }
        let all = self.all;
        self.asked = self.talk.ask(move |session| session.subscribe(None, all)).await?;
        self.looking = true;
        Ok(true)
    }

    /// The terms of the bus as it was greeted last.
    #[must_use]
    pub const fn welcome(&self) -> Option<Welcome> {
        self.talk.welcome()
    }

    /// Ends it in order.
    pub async fn end(self) {
        self.talk.end().await;
    }

    async fn welcomed(&mut self, resumed: bool, durable: bool) -> Result<Seen, Failure> {
        if !resumed {
            // Our jobs are another session's now.
            self.all = true;
        }
        if !resumed && !durable {
            self.seq = None;
        }
        self.subscribe().await?;
        Ok(if resumed || durable { Seen::Back } else { Seen::NewBus })
    }

    async fn subscribe(&mut self) -> Result<(), Failure> {
        let (seq, all) = (self.seq, self.all);
        (self.answered, self.looking) = (false, false);
        self.asked = self.talk.ask(move |session| session.subscribe(seq, all)).await?;
        Ok(())
    }

    /// Whether this event has not been told; notes it.
    fn is_new(&mut self, text: &str) -> bool {
        #[derive(serde::Deserialize)]
        struct Head {
            seq: u64,
        }
        let Ok(Head { seq }) = serde_json::from_str(text) else { return false };
        let new = self.answered && self.seq.is_some_and(|last| seq > last);
        if new {
            self.seq = Some(seq);
        }
        new
    }
}
