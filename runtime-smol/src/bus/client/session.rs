//! Version 1, and version 0 with a bus that speaks no other.

use std::convert::Infallible;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use async_channel::{Receiver as Channel, Sender, TrySendError};
use async_tungstenite::tungstenite::Bytes;
use async_tungstenite::tungstenite::protocol::Role as Side;
use async_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use futures_lite::FutureExt;
use sched_core::Instant;
use sched_core::bus::{Identity, Session, SessionEvent};
use smol::lock::OnceCell;
use smol::{Task, Timer};
use tracing::{error, warn};

use super::super::LINGER;
use super::super::outbox::{Backlog, NotTaken, Outbox};
use super::super::receiver::{End, Received, Receiver};
use super::super::wire;
use super::link::{Conversation, Said, Supervisor};
use super::{ClientConfig, ClientEvent, ClientStats, EVENTS, SendError};
use crate::clock::{Clock, Suspensions};

/// What has been heard and not been taken, at most; beyond it the bus is not
/// read.
const HEARD: usize = 64;

/// Calls that wait for their turn, at most; beyond it callers wait.
const CALLS: usize = 64;

/// Requests without an answer, at most; beyond it calls wait. A scheduler has
/// two reports for each of its slots beside it.
const UNANSWERED: usize = 1024;

/// Who holds leases looks so often whether the machine was suspended: a timer does
/// not go off when it is over, but only as late as it would have without.
const LOOK: Duration = Duration::from_secs(1);

/// A client of a bus, of any role: a [`Session`] on a connection that comes
/// back by itself.
///
/// It finds out which version the bus speaks, and tells it as an event. One
/// task owns the session, the connection and the timers; this is a handle to
/// it, and cloning it is cheap. What is asked while there is no connection
/// goes out with the next one, as far as the session may send it then.
///
/// Events must be taken: after 64 that nobody takes the bus is not read, and
/// will close this client as a slow consumer. Calls work meanwhile, and
/// leases are renewed; but whoever has more than a thousand requests open
/// must take events while it asks for more.
///
/// When the last handle is dropped the connection is cut;
/// [`close`](Self::close) ends it in order.
#[derive(Clone, Debug)]
pub struct SessionClient {
    calls: Sender<Call>,
    heard: Channel<SessionEvent>,
    links: Channel<ClientEvent>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    stop: Sender<Infallible>,
    ended: Channel<ClientStats>,
    stats: OnceCell<ClientStats>,
    _task: Task<()>,
}

/// Something to do to the session.
struct Call(Act);

type Act = Box<dyn FnOnce(&mut Session, Instant) + Send>;

impl SessionClient {
    /// Makes a client. It connects in the background.
    #[must_use]
    pub fn open(config: ClientConfig, identity: Identity) -> Self {
        let (calls, asked) = async_channel::bounded(CALLS);
        let (tell, heard) = async_channel::bounded(HEARD);
        let (link_sender, links) = async_channel::bounded(EVENTS);
        let (stop, stopped) = async_channel::bounded(1);
        let (done, ended) = async_channel::bounded(1);
        let conversation = Talk::new(identity, asked, tell, stopped.clone());
        let supervisor = Supervisor::new(config, conversation, link_sender, stopped);
        let task = smol::spawn(async move {
            // Nobody may want to know.
            let _ = done.send(supervisor.run().await).await;
        });
        let shared = Shared { stop, ended, stats: OnceCell::new(), _task: task };
        Self { calls, heard, links, shared: Arc::new(shared) }
    }

    /// Does something to the session, between two of its steps, and gives
    /// back what came out; what it wants to send is sent then. Waits while too
    /// much is waiting to be written, or to be answered. Dropped before it
    /// returns, it may or may not have been done.
    ///
    /// # Errors
    ///
    /// The client is closed, or `act` panicked.
    pub async fn call<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Session, Instant) -> T + Send + 'static,
    ) -> Result<T, SendError> {
        let (reply, answer) = async_channel::bounded(1);
        let call = Call(Box::new(move |session, now| {
            // Nobody waits for the answer any more: then it is not needed.
            let _ = reply.try_send(act(session, now));
        }));
        self.calls.send(call).await.map_err(|_| SendError)?;
        answer.recv().await.map_err(|_| SendError)
    }

    /// What was heard next; `None` when the client is closed. Every event goes
    /// to one caller.
    pub async fn next_event(&self) -> Option<SessionEvent> {
        self.heard.recv().await.ok()
    }

    /// What happens to the connection. Every event goes to one reader; while
    /// there is none the newest are kept.
    #[must_use]
    pub fn link_events(&self) -> Channel<ClientEvent> {
        self.links.clone()
    }

    /// Ends the connection in order, after what was asked has been written;
    /// within [`LINGER`], twice. The other handles are of no use then.
    pub async fn close(self) -> ClientStats {
        self.shared.stop.close();
        let stats = self.shared.stats.get_or_try_init(|| self.shared.ended.recv()).await;
        stats.copied().unwrap_or_default()
    }
}

/// What drives a session.
struct Talk {
    clock: Clock,
    suspensions: Suspensions,
    /// Whether it is on this machine, as far as is known.
    bus_is_here: bool,
    session: Session,
    role: &'static str,
    most_unanswered: usize,
    calls: Channel<Call>,
    heard: Sender<SessionEvent>,
    /// The next event, for which there was no room.
    untold: Option<SessionEvent>,
    /// The next message, for which there was no room.
    unsent: Option<Bytes>,
    stop: Channel<Infallible>,
}

/// What it wakes up for.
enum Wake<T> {
    Stop,
    Told,
    Room,
    Timeout,
    Call(Call),
    Other(T),
}

impl Conversation for Talk {
    fn who(&self) -> String {
        self.role.to_owned()
    }

    fn meets(&mut self, bus_is_here: bool) {
        self.bus_is_here = bus_is_here;
    }

    async fn converse(
        &mut self,
        mut receiver: Receiver,
        outbox: &Arc<Outbox>,
        said: &mut Said,
    ) -> End {
        self.unsent = None;
        self.session.handle_connected(self.clock.now());
        let end = self.exchange(&mut receiver, outbox, said).await;
        self.session.handle_disconnected(self.clock.now());
        self.unsent = None;
        self.meanwhile(receiver.finish(&end)).await;
        end
    }

    async fn meanwhile<T: Send>(&mut self, future: impl Future<Output = T> + Send) -> T {
        let mut future = std::pin::pin!(future);
        loop {
            self.mind_suspension();
            self.tell();
            match self.wake(None, future.as_mut()).await {
                Wake::Other(done) => return done,
                wake => self.handle(wake),
            }
            while self.session.poll_transmit().is_some() {
                warn!("there is no connection to the bus; a message was not sent");
            }
        }
    }

    fn what_becomes_of_unsent(&self) -> &'static str {
        "; what matters is sent again"
    }

    fn end(&mut self) {
        self.calls.close();
        // What is left in the queue is dropped, which its callers notice.
        while self.calls.try_recv().is_ok() {}
    }
}

impl Talk {
    fn new(
        identity: Identity,
        calls: Channel<Call>,
        heard: Sender<SessionEvent>,
        stop: Channel<Infallible>,
    ) -> Self {
        Self {
            clock: Clock::new(),
            suspensions: Suspensions::new(),
            bus_is_here: false,
            role: identity.role,
            most_unanswered: UNANSWERED + 2 * identity.slots as usize,
            session: Session::new(identity),
            calls,
            heard,
            untold: None,
            unsent: None,
            stop,
        }
    }

    async fn exchange(&mut self, receiver: &mut Receiver, outbox: &Outbox, said: &mut Said) -> End {
        loop {
            self.mind_suspension();
            self.tell();
            self.send(outbox, said);
            let full = self.untold.is_some();
            let read = async {
                if full {
                    std::future::pending::<()>().await;
                }
                receiver.next().await
            };
            match self.wake(Some(outbox), read).await {
                Wake::Other(Ok(message)) => self.hear(&message, said),
                Wake::Other(Err(end)) => return end,
                Wake::Stop => {
                    self.say_goodbye(outbox, said).await;
                    return End::Closing;
                }
                wake => self.handle(wake),
            }
        }
    }

    /// Waits for whatever comes first. Without an `outbox` there is no
    /// connection.
    async fn wake<T>(&self, outbox: Option<&Outbox>, other: impl Future<Output = T>) -> Wake<T> {
        let stop = async {
            match outbox {
                Some(_) => drop(self.stop.recv().await),
                None => std::future::pending().await,
            }
            Wake::Stop
        };
        let told = async {
            match &self.untold {
                // An event that nobody can take any more is told as well as can be.
                Some(event) => drop(self.heard.send(event.clone()).await),
                None => std::future::pending().await,
            }
            Wake::Told
        };
        let room = async {
            match (outbox, &self.unsent) {
                (Some(outbox), Some(frame)) => outbox.room_for(frame).await,
                _ => std::future::pending().await,
            }
            Wake::Room
        };
        let timeout = async {
            let mut due = self.session.poll_timeout().unwrap_or(Instant::FAR_FUTURE);
            if self.session.holds_any() && !self.bus_is_here {
                due = due.min(self.clock.now() + LOOK);
            }
            self.clock.sleep_until(due).await;
            Wake::Timeout
        };
        let call = async {
            match self.may_ask() {
                true => match self.calls.recv().await {
                    Ok(call) => Wake::Call(call),
                    Err(_) => std::future::pending().await,
                },
                false => std::future::pending().await,
            }
        };
        let other = async { Wake::Other(other.await) };
        stop.or(told).or(timeout).or(room).or(call.race(other)).await
    }

    fn may_ask(&self) -> bool {
        self.unsent.is_none() && self.session.unanswered() < self.most_unanswered
    }

    fn handle<T>(&mut self, wake: Wake<T>) {
        let now = self.clock.now();
        match wake {
            Wake::Timeout => self.session.handle_timeout(now),
            Wake::Call(call) => self.carry_out(call, now),
            Wake::Told => self.untold = None,
            Wake::Room | Wake::Stop | Wake::Other(_) => {}
        }
    }

    /// A bus on this machine was suspended with us, and its clock with ours.
    fn mind_suspension(&mut self) {
        let slept = self.suspensions.since_last();
        if slept > Duration::ZERO && !self.bus_is_here {
            warn!("this machine was suspended for {:.1} s", slept.as_secs_f64());
            self.session.handle_suspended(self.clock.now(), slept);
        }
    }

    /// What a caller passes in may panic; that is the caller's loss.
    fn carry_out(&mut self, Call(act): Call, now: Instant) {
        if catch_unwind(AssertUnwindSafe(|| act(&mut self.session, now))).is_err() {
            error!("a caller's use of the session with the bus panicked");
        }
    }

    fn hear(&mut self, message: &Received, said: &mut Said) {
        match message {
            Received::Text(text) => {
                said.received += 1;
                self.session.handle_message(self.clock.now(), text);
            }
            Received::Binary(_) => said.discarded += 1,
        }
    }

    /// Passes events on while there is room for them.
    fn tell(&mut self) {
        while let Some(event) = self.untold.take().or_else(|| self.session.poll_event()) {
            if let Err(TrySendError::Full(event)) = self.heard.try_send(event) {
                self.untold = Some(event);
                return;
            }
        }
    }

    /// Passes messages on while there is room for them.
    fn send(&mut self, outbox: &Outbox, said: &mut Said) {
        let next = |session: &mut Session| {
            session.poll_transmit().map(|text| wire::text(Side::Client, &text))
        };
        while let Some(frame) = self.unsent.take().or_else(|| next(&mut self.session)) {
            match outbox.push(frame.clone()) {
                Ok(()) => said.accepted += 1,
                Err(NotTaken::Full) => {
                    self.unsent = Some(frame);
                    return;
                }
                // The session sends again what may be sent again.
                Err(NotTaken::Closed) => {}
            }
        }
    }

    /// Says everything that was asked, and that there is nothing more.
    async fn say_goodbye(&mut self, outbox: &Outbox, said: &mut Said) {
        self.calls.close();
        while let Ok(call) = self.calls.try_recv() {
            self.carry_out(call, self.clock.now());
        }
        let all = async {
            self.send(outbox, said);
            while let Some(frame) = &self.unsent {
                outbox.room_for(frame).await;
                self.send(outbox, said);
            }
        };
        let overdue = async {
            Timer::after(LINGER).await;
        };
        all.or(overdue).await;
        outbox.close(wire::close(Side::Client, CloseCode::Normal, ""), Backlog::Write);
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Call")
    }
}
