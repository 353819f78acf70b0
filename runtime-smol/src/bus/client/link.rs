//! The task that keeps a client connected.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_channel::{Receiver as Channel, Sender};
use async_tungstenite::tungstenite::Error as WsError;
use async_tungstenite::tungstenite::protocol::Role as Side;
use async_tungstenite::{WebSocketStream, client_async_with_config};
use futures_lite::FutureExt;
use smol::Timer;
use tracing::{info, warn};

use super::super::HANDSHAKE_TIME;
use super::super::backoff::Backoff;
use super::super::outbox::Outbox;
use super::super::receiver::{End, Receiver};
use super::super::socket::Socket;
use super::super::tcp::Tcp;
use super::super::wire;
use super::{ClientConfig, ClientEvent, ClientStats};

/// What is said on a connection, and what goes on between two of them.
pub(super) trait Conversation: Send {
    /// Who this client is, for the log.
    fn who(&self) -> String;

    /// Converses until the connection has ended. When the client is stopped
    /// it closes the outbox, which ends the connection in order.
    fn converse(
        &mut self,
        receiver: Receiver,
        outbox: &Arc<Outbox>,
        said: &mut Said,
    ) -> impl Future<Output = End> + Send;

    /// There is a connection: to a bus on this very machine, or on another.
    fn meets(&mut self, _bus_is_here: bool) {}

    /// Waits for `future`. There is no connection meanwhile.
    fn meanwhile<T: Send>(
        &mut self,
        future: impl Future<Output = T> + Send,
    ) -> impl Future<Output = T> + Send;

    /// What becomes of messages that were not sent, for the log.
    fn what_becomes_of_unsent(&self) -> &'static str;

    /// Nothing is asked of this client any more.
    fn end(&mut self);
}

/// How many messages were exchanged on one connection.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// Those that the outbox took.
    pub(super) accepted: u64,
    pub(super) received: u64,
    pub(super) discarded: u64,
}

/// Connects, converses, and begins again, until it is stopped.
pub(super) struct Supervisor<C> {
    config: ClientConfig,
    conversation: C,
    events: Sender<ClientEvent>,
    stop: Channel<Infallible>,
    backoff: Backoff,
    stats: ClientStats,
}

impl<C: Conversation> Supervisor<C> {
    pub(super) fn new(
        config: ClientConfig,
        conversation: C,
        events: Sender<ClientEvent>,
        stop: Channel<Infallible>,
    ) -> Self {
        let backoff = Backoff::new(config.longest_wait);
        Self { config, conversation, events, stop, backoff, stats: ClientStats::default() }
    }

    pub(super) async fn run(mut self) -> ClientStats {
        while !self.stop.is_closed() {
            self.tell(ClientEvent::Connecting);
            let connecting = unless_stopped(self.stop.clone(), connect(self.config.clone()));
            match self.conversation.meanwhile(connecting).await {
                Some(Ok(web_socket)) => self.converse(web_socket).await,
                Some(Err(why)) => self.wait(&why).await,
                None => break,
            }
        }
        self.conversation.end();
        self.stats
    }

    async fn wait(&mut self, why: &WsError) {
        let retry_in = self.backoff.next();
        let why = reason(why);
        let url = &self.config.url;
        warn!("no bus at {url}: {why}; trying again in {:.1} s", retry_in.as_secs_f64());
        self.tell(ClientEvent::Waiting { why, retry_in });
        self.pause(retry_in).await;
    }

    async fn pause(&mut self, time: Duration) {
        let pause = unless_stopped(self.stop.clone(), Timer::after(time));
        self.conversation.meanwhile(pause).await;
    }

    async fn converse(&mut self, web_socket: WebSocketStream<Socket>) {
        let since = Instant::now();
        self.conversation.meets(is_here(web_socket.get_ref()));
        self.stats.connections += 1;
        info!("connected to the bus at {} as {}", self.config.url, self.conversation.who());
        self.tell(ClientEvent::Connected);
        let receiver = Receiver::new(Side::Client, web_socket, self.config.ping_after);
        let outbox = receiver.outbox().clone();
        let mut said = Said::default();
        let end = self.conversation.converse(receiver, &outbox, &mut said).await;
        self.stats.accepted += said.accepted;
        self.stats.received += said.received;
        self.stats.discarded += said.discarded;
        self.backoff.held(since.elapsed());
        // The message that took the role is none that was accepted.
        self.lost(&end, said.accepted.min(outbox.unsent() as u64)).await;
    }

    async fn lost(&mut self, end: &End, unsent: u64) {
        self.stats.unsent += unsent;
        if unsent > 0 {
            let again = self.conversation.what_becomes_of_unsent();
            warn!("{unsent} messages were not sent when the connection to the bus ended{again}");
        }
        if self.stop.is_closed() {
            return;
        }
        warn!("lost the bus at {}: {end}", self.config.url);
        self.tell(ClientEvent::Lost { why: end.to_string(), unsent });
        let pause = self.backoff.next();
        self.pause(pause).await;
    }

    /// Nobody has to read events: the newest push the oldest out.
    fn tell(&self, event: ClientEvent) {
        let _oldest = self.events.force_send(event);
    }
}

async fn connect(config: ClientConfig) -> Result<WebSocketStream<Socket>, WsError> {
    let late = async {
        Timer::after(HANDSHAKE_TIME).await;
        Err(WsError::Io(io::ErrorKind::TimedOut.into()))
    };
    let url = &config.url;
    let shake = async {
        let tcp = reach(url.host(), url.port()).await?;
        tcp.get_ref().set_nodelay(true)?;
        let settings = wire::settings(Side::Client, config.max_frame);
        let socket = Socket::new(Arc::new(Outbox::onto(tcp, config.outbox_bytes)));
        let shaken = client_async_with_config(url.as_str(), socket, Some(settings));
        shaken.await.map(|(web_socket, _response)| web_socket)
    };
    shake.or(late).await
}

/// Connects to the first address of this name that answers.
async fn reach(host: &str, port: u16) -> io::Result<Tcp> {
    let mut why = io::Error::new(io::ErrorKind::NotFound, "its name has no address");
    for address in smol::net::resolve((host, port)).await? {
        match Tcp::connect(address).await {
            Ok(tcp) => return Ok(tcp),
            Err(error) => why = error,
        }
    }
    Err(why)
}

/// Whether both ends are on this machine. What forwards a connection may make it
/// look so.
fn is_here(socket: &Socket) -> bool {
    let Ok(tcp) = socket.tcp().map(Tcp::get_ref) else { return false };
    match (tcp.local_addr(), tcp.peer_addr()) {
        (Ok(ours), Ok(theirs)) => ours.ip() == theirs.ip(),
        _ => false,
    }
}

/// Why there is no connection, in one line.
fn reason(error: &WsError) -> String {
    match error {
        WsError::Http(response) => format!("it answered with HTTP status {}", response.status()),
        WsError::Io(error) => error.to_string(),
        other => other.to_string(),
    }
}

/// Waits for `future`, but not longer than until `stop` is closed.
async fn unless_stopped<T>(
    stop: Channel<Infallible>,
    future: impl Future<Output = T>,
) -> Option<T> {
    let stopped = async {
        let _stopped = stop.recv().await;
        None
    };
    stopped.or(async { Some(future.await) }).await
}
