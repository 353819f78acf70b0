//! A conversation with a bus of version 1, for as long as a verb lasts.

use std::time::{Duration, Instant};

use async_channel::Receiver;
use futures_lite::FutureExt;
use sched_core::bus::v1::Welcome;
use sched_core::bus::{Identity, Role, Session, SessionEvent};
use sched_runtime_smol::bus::{BusUrl, ClientConfig, ClientEvent, SessionClient};
use smol::Timer;

use super::Failure;

/// How long a bus that is there may take to say which version it speaks: the
/// two seconds of the protocol, and then some.
const GREETING: Duration = Duration::from_secs(4);

/// How long a bus that is not there is waited for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Patience {
    /// So long, whenever it is gone.
    Always(Duration),
    /// So long at first; one that was there once, for ever.
    AtFirst(Duration),
    /// For ever.
    Endless,
}

/// A client of a bus of version 1.
#[derive(Debug)]
pub struct Talk {
    client: SessionClient,
    link: Receiver<ClientEvent>,
    url: BusUrl,
    patience: Patience,
    /// When we give up; `None`: the bus is there, or waited for.
    until: Option<Instant>,
    /// What the last try came to.
    why: String,
    welcome: Option<Welcome>,
    up: bool,
    alarm: Option<Instant>,
}

/// What is heard in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Heard {
    /// By the session.
    Session(SessionEvent),
    /// The bus is gone, for this reason; it is waited for.
    Away(String),
    /// The time has come that [`Talk::wake_at`] was given.
    Alarm,
}

enum Input {
    Event(Option<SessionEvent>),
    Link(ClientEvent),
    Late,
    Alarm,
}

impl Talk {
    /// Begins one. It connects in the background.
    #[must_use]
    pub fn begin(url: BusUrl, patience: Patience, role: &'static str) -> Self {
        let mut config = ClientConfig::new(url.clone(), Role::Producer);
        config.longest_wait = Duration::from_secs(1);
        let name = format!("{role}-{}", std::process::id());
        let identity = Identity { role, name, slots: 0 };
        let client = SessionClient::open(config, identity);
        let link = client.link_events();
        let mut talk = Self {
            client,
            link,
            url,
            patience,
            until: None,
            why: "it did not answer in time".to_owned(),
            welcome: None,
            up: false,
            alarm: None,
        };
        talk.bus_is_away();
        talk
    }

    /// Begins one, and waits until the bus has said that it speaks version 1.
    ///
    /// # Errors
    ///
    /// It is not there, or speaks version 0.
    pub async fn open(
        url: BusUrl,
        patience: Patience,
        role: &'static str,
    ) -> Result<Self, Failure> {
        let mut talk = Self::begin(url, patience, role);
        loop {
            if matches!(talk.next().await?, Heard::Session(SessionEvent::Welcomed { .. })) {
                return Ok(talk);
            }
        }
    }

    /// What is heard next. Nothing is lost when it is dropped before.
    ///
    /// # Errors
    ///
    /// The bus is not there and has been waited for, or speaks version 0.
    pub async fn next(&mut self) -> Result<Heard, Failure> {
        loop {
            match self.input().await {
                Input::Late => return Err(self.no_bus()),
                Input::Alarm => {
                    self.alarm = None;
                    return Ok(Heard::Alarm);
                }
                Input::Link(event) => {
                    let was_up = self.up;
                    self.link_changed(event);
                    if was_up && !self.up {
                        return Ok(Heard::Away(self.why.clone()));
                    }
                }
                Input::Event(None) => return Err(Failure::Closed),
                // One that has spoken version 1 before is late with its greeting.
                Input::Event(Some(SessionEvent::OldBus)) if self.welcome.is_some() => {}
                Input::Event(Some(SessionEvent::OldBus)) => return Err(Failure::OldBus),
                Input::Event(Some(SessionEvent::Nonsense(why))) => {
                    return Err(Failure::Nonsense(why));
                }
                Input::Event(Some(event)) => {
                    if let SessionEvent::Welcomed { welcome, .. } = &event {
                        self.welcome = Some(*welcome);
                        self.up = true;
                        self.until = None;
                    }
                    return Ok(Heard::Session(event));
                }
            }
        }
    }

    /// Asks for something, which is sent as soon as there is a connection.
    ///
    /// # Errors
    ///
    /// The client has ended.
    pub async fn ask<T: Send + 'static>(
        &self,
        what: impl FnOnce(&mut Session) -> T + Send + 'static,
    ) -> Result<T, Failure> {
        Ok(self.client.call(move |session, _| what(session)).await?)
    }

    /// Asks for something that is answered with no more than that it was done,
    /// and waits for that.
    ///
    /// # Errors
    ///
    /// It was refused, or nobody can know.
    pub async fn done(
        &mut self,
        what: impl FnOnce(&mut Session) -> u64 + Send + 'static,
    ) -> Result<(), Failure> {
        let asked = self.ask(what).await?;
        loop {
            let Heard::Session(event) = self.next().await? else { continue };
            match event {
                SessionEvent::Done { request } if request == asked => return Ok(()),
                SessionEvent::Unknown { request } if request == asked => {
                    return Err(Failure::NotKnown);
                }
                SessionEvent::Refused { request, message, .. } if request == Some(asked) => {
                    return Err(Failure::Refused(message));
                }
                _ => {}
            }
        }
    }

    /// The terms of the bus as it was greeted last.
    #[must_use]
    pub const fn welcome(&self) -> Option<Welcome> {
        self.welcome
    }

    /// Whether there is a connection to a bus of version 1.
    #[must_use]
    pub const fn is_up(&self) -> bool {
        self.up
    }

    /// Has [`next`](Self::next) return at this time, once; `None`: it need not.
    pub const fn wake_at(&mut self, alarm: Option<Instant>) {
        self.alarm = alarm;
    }

    /// Ends it in order.
    pub async fn end(self) {
        self.client.close().await;
    }

    async fn input(&self) -> Input {
        let event = async { Input::Event(self.client.next_event().await) };
        let link = async {
            match self.link.recv().await {
                Ok(event) => Input::Link(event),
                Err(_) => futures_lite::future::pending().await,
            }
        };
        let late = at(self.until, Input::Late);
        let alarm = at(self.alarm, Input::Alarm);
        // The link first: what was said on a connection comes after its news.
        link.or(event).or(late).or(alarm).await
    }

    fn link_changed(&mut self, event: ClientEvent) {
        match event {
            ClientEvent::Connecting => self.bus_is_away(),
            ClientEvent::Waiting { why, .. } => {
                self.why = why;
                self.bus_is_away();
            }
            // What was welcomed already needs no time for a greeting.
            ClientEvent::Connected if !self.up => {
                "it did not say which version it speaks".clone_into(&mut self.why);
                if let Some(until) = &mut self.until {
                    *until = (*until).max(Instant::now() + GREETING);
                }
            }
            ClientEvent::Connected => {}
            ClientEvent::Lost { why, .. } => {
                self.why = why;
                self.bus_is_away();
            }
        }
    }

    fn bus_is_away(&mut self) {
        self.up = false;
        let wait = match self.patience {
            Patience::Always(wait) => Some(wait),
            Patience::AtFirst(wait) => self.welcome.is_none().then_some(wait),
            Patience::Endless => None,
        };
        self.until = self.until.or_else(|| wait.map(|wait| Instant::now() + wait));
    }

    fn no_bus(&self) -> Failure {
        let (url, why) = (self.url.to_string(), self.why.clone());
        match self.welcome {
            None => Failure::NoBus { url, why },
            Some(_) => Failure::Gone { url, why },
        }
    }
}

/// Waits until then, for ever if that is never.
async fn at(then: Option<Instant>, what: Input) -> Input {
    match then {
        Some(then) => Timer::at(then).await,
        None => futures_lite::future::pending().await,
    };
    what
}
