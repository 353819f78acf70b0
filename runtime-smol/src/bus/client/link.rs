//! The task that keeps a client connected.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use async_channel::{Receiver as Channel, Sender};
use async_tungstenite::tungstenite::Error as WsError;
use async_tungstenite::tungstenite::protocol::Role as Side;
use async_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use async_tungstenite::{WebSocketStream, client_async_with_config};
use futures_lite::FutureExt;
use sched_core::bus::Role;
use smol::Timer;
use smol::net::TcpStream;
use tracing::{info, warn};

use super::super::HANDSHAKE_TIME;
use super::super::backoff::Backoff;
use super::super::outbox::{Backlog, Outbox};
use super::super::receiver::{End, Received, Receiver};
use super::super::socket::Socket;
use super::super::wire;
use super::{ClientConfig, ClientEvent, ClientStats, Payload, Request, unless_stopped};

/// Connects, converses, and begins again, until it is stopped.
pub(super) struct Supervisor {
    config: ClientConfig,
    requests: Channel<Request>,
    payloads: Sender<Payload>,
    events: Sender<ClientEvent>,
    stop: Channel<Infallible>,
    backoff: Backoff,
    stats: ClientStats,
    /// A request that no connection took, for the next one.
    held: Option<Request>,
}

impl Supervisor {
    pub(super) fn new(
        config: ClientConfig,
        requests: Channel<Request>,
        payloads: Sender<Payload>,
        events: Sender<ClientEvent>,
        stop: Channel<Infallible>,
    ) -> Self {
        let backoff = Backoff::new(config.longest_wait);
        let stats = ClientStats::default();
        Self { config, requests, payloads, events, stop, backoff, stats, held: None }
    }

    pub(super) async fn run(mut self) -> ClientStats {
        while !self.stop.is_closed() {
            self.tell(ClientEvent::Connecting);
            match unless_stopped(&self.stop, connect(&self.config)).await {
                Some(Ok(web_socket)) => self.converse(web_socket).await,
                Some(Err(why)) => self.wait(&why).await,
                None => break,
            }
        }
        self.requests.close();
        // What is left in the queue is dropped, which its senders notice.
        while self.requests.try_recv().is_ok() {}
        self.stats
    }

    async fn wait(&mut self, why: &WsError) {
        let retry_in = self.backoff.next();
        let why = reason(why);
        let url = &self.config.url;
        warn!("no bus at {url}: {why}; trying again in {:.1} s", retry_in.as_secs_f64());
        self.tell(ClientEvent::Waiting { why, retry_in });
        unless_stopped(&self.stop, Timer::after(retry_in)).await;
    }

    async fn converse(&mut self, web_socket: WebSocketStream<Socket>) {
        let since = Instant::now();
        let outbox = Arc::new(Outbox::new(self.config.outbox_bytes));
        // An empty outbox takes everything.
        let _taken = outbox.push(wire::text(Side::Client, &self.config.role.to_register()));
        self.stats.connections += 1;
        info!("connected to the bus at {} as {}", self.config.url, self.config.role);
        self.tell(ClientEvent::Connected);
        let mut receiver =
            Receiver::new(Side::Client, web_socket, outbox.clone(), self.config.ping_after);
        let pump = Pump { requests: self.requests.clone(), outbox: outbox.clone(), accepted: 0 };
        let pump = smol::spawn(pump.run(self.held.take()));
        let goodbye = smol::spawn(say_goodbye(self.stop.clone(), outbox.clone()));
        let end = self.listen(&mut receiver, &outbox).await;
        receiver.finish(&end).await;
        let accepted;
        (accepted, self.held) = pump.await;
        drop(goodbye);
        self.stats.accepted += accepted;
        self.backoff.held(since.elapsed());
        // The message that took the role is none that was accepted.
        self.lost(&end, accepted.min(outbox.unsent() as u64)).await;
    }

    async fn listen(&mut self, receiver: &mut Receiver, outbox: &Outbox) -> End {
        loop {
            match (receiver.next().await, self.config.role) {
                (Ok(Received::Text(text)), Role::Scheduler) => {
                    self.stats.received += 1;
                    let taken = self.payloads.send(Payload(text));
                    let closing = async {
                        outbox.closed().await;
                        Ok(())
                    };
                    if taken.or(closing).await.is_err() {
                        return End::Closing;
                    }
                }
                (Ok(_), _) => self.stats.discarded += 1,
                (Err(end), _) => return end,
            }
        }
    }

    async fn lost(&mut self, end: &End, unsent: u64) {
        self.stats.unsent += unsent;
        if unsent > 0 {
            warn!("{unsent} messages were not sent when the connection to the bus ended");
        }
        if self.stop.is_closed() {
            return;
        }
        warn!("lost the bus at {}: {end}", self.config.url);
        self.tell(ClientEvent::Lost { why: end.to_string(), unsent });
        unless_stopped(&self.stop, Timer::after(self.backoff.next())).await;
    }

    /// Nobody has to read events: the newest push the oldest out.
    fn tell(&self, event: ClientEvent) {
        let _oldest = self.events.force_send(event);
    }
}

async fn connect(config: &ClientConfig) -> Result<WebSocketStream<Socket>, WsError> {
    let late = async {
        Timer::after(HANDSHAKE_TIME).await;
        Err(WsError::Io(io::ErrorKind::TimedOut.into()))
    };
    let url = &config.url;
    let shake = async {
        let tcp = TcpStream::connect((url.host(), url.port())).await?;
        tcp.set_nodelay(true)?;
        let settings = wire::settings(config.max_frame);
        let shaken = client_async_with_config(url.as_str(), Socket::new(tcp), Some(settings));
        shaken.await.map(|(web_socket, _response)| web_socket)
    };
    shake.or(late).await
}

/// Moves requests to the outbox of one connection while that has room.
struct Pump {
    requests: Channel<Request>,
    outbox: Arc<Outbox>,
    accepted: u64,
}

impl Pump {
    /// Runs until the outbox closes; returns how many messages it took, and
    /// the one that was just to be taken.
    async fn run(mut self, mut held: Option<Request>) -> (u64, Option<Request>) {
        loop {
            self.outbox.room().await;
            let next = match held.take() {
                Some(request) => Some(request),
                None => self.next().await,
            };
            let Some(request) = next else { return (self.accepted, None) };
            if request.taken.is_closed() {
                continue;
            }
            if self.outbox.push(wire::text(Side::Client, &request.text)).is_err() {
                return (self.accepted, Some(request));
            }
            self.accepted += 1;
            let _sender_gone = request.taken.try_send(());
        }
    }

    async fn next(&self) -> Option<Request> {
        let closed = async {
            self.outbox.closed().await;
            None
        };
        closed.or(async { self.requests.recv().await.ok() }).await
    }
}

async fn say_goodbye(stop: Channel<Infallible>, outbox: Arc<Outbox>) {
    let _stopped = stop.recv().await;
    outbox.close(wire::close(Side::Client, CloseCode::Normal, ""), Backlog::Write);
}

/// Why there is no connection, in one line.
fn reason(error: &WsError) -> String {
    match error {
        WsError::Http(response) => format!("it answered with HTTP status {}", response.status()),
        WsError::Io(error) => error.to_string(),
        other => other.to_string(),
    }
}
