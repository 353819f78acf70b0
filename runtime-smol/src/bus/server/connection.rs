//! One connection to the bus, until it is a client or has been answered.

use std::convert::Infallible;
use std::io::{self, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use async_channel::{Receiver as Channel, Sender};
use async_tungstenite::tungstenite::Error as WsError;
use async_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use async_tungstenite::tungstenite::protocol::Role as Side;
use async_tungstenite::{WebSocketStream, accept_hdr_async_with_config};
use futures_lite::FutureExt;
use sched_core::ClientId;
use smol::Timer;

use super::super::http::{self, Asked, Http, NotServed};
use super::super::outbox::Outbox;
use super::super::receiver::Receiver;
use super::super::socket::Socket;
use super::super::tcp::Tcp;
use super::super::wire;
use super::BusConfig;
use super::admission::{self, Refusal};
use super::client::Newcomer;
use super::hub::{Input, NotAdmitted};

/// How much of a client's backlog may hide in the kernel.
const SEND_BUFFER: usize = 256 * 1024;

/// What a connection needs to know.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) id: ClientId,
    pub(super) peer: SocketAddr,
    pub(super) http: Arc<Http>,
    pub(super) config: Arc<BusConfig>,
    pub(super) inbox: Sender<Input>,
    pub(super) stop: Channel<Infallible>,
    /// Held for as long as there is a connection.
    pub(super) alive: Sender<Infallible>,
}

impl Connection {
    /// Shakes hands, and gives the client to the hub; or answers a plain
    /// request.
    ///
    /// The hub's inbox closes only when the bus has ended; whatever cannot be
    /// sent then has nobody left to care for it.
    pub(super) async fn run(self, outbox: Arc<Outbox>) {
        let input = match self.handshake(Socket::new(outbox)).await {
            Ok(Some(web_socket)) => Input::Connected(self.newcomer(web_socket)),
            Ok(None) => Input::HttpAnswered,
            Err(why) => Input::NotAdmitted(self.peer, why),
        };
        let _bus_ended = self.inbox.send(input).await;
    }

    /// `None`: it was no handshake but a plain request, and was answered.
    async fn handshake(
        &self,
        mut socket: Socket,
    ) -> Result<Option<WebSocketStream<Socket>>, NotAdmitted> {
        let late = Instant::now() + self.config.handshake_time;
        let asked = async { http::asked(&mut socket).await.map_err(not_read) };
        match self.before(late, asked).await? {
            Asked::WebSocket => self.before(late, self.shake(socket)).await.map(Some),
            Asked::Http => {
                let late = Instant::now() + http::ANSWER_TIME;
                let answer = async { self.http.answer(&mut socket).await.map_err(not_served) };
                self.before(late, answer).await.map(|()| None)
            }
        }
    }

    async fn before<T>(
        &self,
        end: Instant,
        step: impl Future<Output = Result<T, NotAdmitted>>,
    ) -> Result<T, NotAdmitted> {
        let late = async {
            Timer::at(end).await;
            Err(NotAdmitted::Late)
        };
        let stopped = async {
            let _stopped = self.stop.recv().await;
            Err(NotAdmitted::Stopping)
        };
        step.or(late).or(stopped).await
    }

    async fn shake(&self, socket: Socket) -> Result<WebSocketStream<Socket>, NotAdmitted> {
        let mut refusal = None;
        #[expect(clippy::result_large_err, reason = "the type is the WebSocket library's")]
        let judge = |request: &Request, response: Response| {
            admission::judge(request, &self.config.allowed_hosts)
                .map(|()| response.clone())
                .map_err(|why| refuse(&mut refusal, why, response))
        };
        let settings = wire::settings(Side::Server, self.config.max_frame);
        let shaken = accept_hdr_async_with_config(socket, judge, Some(settings)).await;
        shaken.map_err(|error| match (error, refusal) {
            (WsError::Http(_), Some(why)) => NotAdmitted::Refused(why),
            (error, _) => NotAdmitted::Garbage(error),
        })
    }

    fn newcomer(&self, web_socket: WebSocketStream<Socket>) -> Newcomer {
        let mut receiver = Receiver::new(Side::Server, web_socket, self.config.ping_after);
        receiver.take_short_cut(self.config.max_frame);
        let alive = self.alive.clone();
        Newcomer { id: self.id, peer: self.peer, receiver: Box::new(receiver), alive }
    }
}

fn not_read(error: io::Error) -> NotAdmitted {
    NotAdmitted::Garbage(error.into())
}

fn not_served(why: NotServed) -> NotAdmitted {
    match why {
        NotServed::Refused(why) => NotAdmitted::Refused(why),
        NotServed::Status(status) => NotAdmitted::NotServed(status),
        NotServed::NotHttp(error) => NotAdmitted::NotHttp(error),
    }
}

fn refuse(slot: &mut Option<Refusal>, why: Refusal, response: Response) -> ErrorResponse {
    let answer = admission::forbidden(&why, response);
    *slot = Some(why);
    answer
}

/// Makes a socket that was accepted one for messages.
pub(super) fn set_options(tcp: &Tcp) {
    // A socket for which these fail is broken, which shows soon enough.
    let _nodelay = tcp.get_ref().set_nodelay(true);
    let _size = rustix::net::sockopt::set_socket_send_buffer_size(tcp, SEND_BUFFER);
}

/// Tells a client that there is no room, as far as that goes without waiting.
pub(super) fn turn_away(tcp: &Tcp) {
    const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\n\
        Connection: close\r\nContent-Length: 24\r\n\r\nthe bus has no room now\n";
    let _best_effort = tcp.get_ref().write(FULL);
    let _best_effort = tcp.get_ref().shutdown(Shutdown::Write);
}
