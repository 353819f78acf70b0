//! The one task that reads from a connection, and what ends it.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use async_tungstenite::WebSocketStream;
use async_tungstenite::tungstenite::error::ProtocolError;
use async_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use async_tungstenite::tungstenite::protocol::{CloseFrame, Role as Side};
use async_tungstenite::tungstenite::{Error as WsError, Message, Utf8Bytes};
use futures_lite::{FutureExt, Stream, StreamExt, future::poll_fn};
use smol::{Task, Timer};

use super::LINGER;
use super::outbox::{Backlog, Outbox};
use super::socket::Socket;
use super::texts::Texts;
use super::{wire, writer};

/// How many messages are read before others get their turn: a socket that
/// always has more would otherwise keep the executor's thread for itself.
const TURN: u32 = 64;

/// The reading side of a connection. Making one starts the writing side.
#[derive(Debug)]
pub(super) struct Receiver {
    side: Side,
    web_socket: WebSocketStream<Socket>,
    outbox: Arc<Outbox>,
    writer: Task<()>,
    silence: Silence,
    turn: u32,
}

/// Something that the other end sent.
#[derive(Debug)]
pub(super) enum Received {
    /// A text message.
    Text(Utf8Bytes),
    /// A binary message of so many bytes.
    Binary(usize),
}

/// What came in together.
#[derive(Debug)]
pub(super) enum Incoming {
    /// Text messages.
    Texts(Texts),
    /// One message, of either kind.
    One(Received),
}

/// The same, as it was read.
enum Read {
    Texts(Texts),
    Message(Message),
}

/// Why nothing more comes.
#[derive(Debug)]
pub(super) enum End {
    /// The other end closed the connection in order.
    Closed(Option<CloseFrame>),
    /// The connection broke.
    Broken(WsError),
    /// The other end broke the rules; it is told so with this code.
    Violation(CloseCode, WsError),
    /// The other end did not answer a ping.
    Silent,
    /// This end is closing.
    Closing,
}

impl Receiver {
    pub(super) fn new(
        side: Side,
        mut web_socket: WebSocketStream<Socket>,
        ping_after: Duration,
    ) -> Self {
        let outbox = web_socket.get_mut().write_through().clone();
        Self {
            side,
            web_socket,
            writer: smol::spawn(writer::write(outbox.clone())),
            outbox,
            silence: Silence::new(ping_after),
            turn: 0,
        }
    }

    pub(super) const fn outbox(&self) -> &Arc<Outbox> {
        &self.outbox
    }

    /// From now on [`poll_incoming`](Self::poll_incoming) reads whole text
    /// messages of up to so many bytes past the WebSocket layer.
    pub(super) fn take_short_cut(&mut self, max_message: usize) {
        self.web_socket.get_mut().take_short_cut(max_message);
    }

    /// What is read from.
    pub(super) fn socket(&mut self) -> &mut Socket {
        self.web_socket.get_mut()
    }

    /// The next messages, as many as came in together; or the end, after which
    /// this must not be polled again. Pings are answered on the way. What else
    /// may end the connection is for [`poll_end`](Self::poll_end) to say.
    pub(super) fn poll_incoming(&mut self, cx: &mut Context<'_>) -> Poll<Result<Incoming, End>> {
        loop {
            match ready!(self.poll_some(cx))? {
                Read::Texts(texts) => return Poll::Ready(Ok(Incoming::Texts(texts))),
                Read::Message(message) => {
                    if let Some(one) = self.received(cx, message)? {
                        return Poll::Ready(Ok(Incoming::One(one)));
                    }
                }
            }
        }
    }

    /// The end, if it is for another reason than what the other end sends: its
    /// silence, or that this end is closing.
    pub(super) fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        if self.outbox.poll_closed(cx).is_ready() {
            return Poll::Ready(End::Closing);
        }
        self.poll_silence(cx)
    }

    /// The next message. Pings are answered on the way.
    pub(super) async fn next(&mut self) -> Result<Received, End> {
        loop {
            self.turn = (self.turn + 1) % TURN;
            if self.turn == 0 {
                smol::future::yield_now().await;
            }
            let received = poll_fn(|cx| {
                let message = ready!(self.poll_message(cx))?;
                Poll::Ready(self.received(cx, message))
            });
            if let Some(received) = received.await? {
                return Ok(received);
            }
        }
    }

    fn received(
        &mut self,
        cx: &mut Context<'_>,
        message: Message,
    ) -> Result<Option<Received>, End> {
        match message {
            Message::Text(text) => Ok(Some(Received::Text(text))),
            Message::Binary(bytes) => Ok(Some(Received::Binary(bytes.len()))),
            Message::Close(frame) => {
                // The WebSocket layer gives its reply out at the next read.
                let _nothing_more = Pin::new(&mut self.web_socket).poll_next(cx);
                Err(End::Closed(frame))
            }
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => Ok(None),
        }
    }

    /// Ends the connection, within [`LINGER`]: tells the other end, waits for
    /// it to close too, and closes.
    pub(super) async fn finish(mut self, end: &End) {
        self.web_socket.get_mut().leave_to_layer();
        match end.answer() {
            Some((code, reason)) => {
                self.outbox.close(wire::close(self.side, code, reason), Backlog::Write);
            }
            None if matches!(end, End::Broken(_)) => self.outbox.abort(),
            None => {}
        }
        let overdue = async {
            Timer::after(LINGER).await;
        };
        self.wait_for_peer(end).or(overdue).await;
        self.writer.await;
    }

    /// Of two ends that have both said that they close, the bus hangs up
    /// first, as the WebSocket protocol wants it.
    async fn wait_for_peer(&mut self, end: &End) {
        if matches!(end, End::Closing) {
            self.forget_until_closed().await;
        }
        let agreed = matches!(end, End::Closing | End::Closed(_));
        if !agreed || self.side == Side::Client {
            self.web_socket.get_mut().drain().await;
        }
    }

    /// Messages that come in after this end has closed count for nothing.
    async fn forget_until_closed(&mut self) {
        while let Some(Ok(message)) = self.web_socket.next().await {
            if message.is_close() {
                return;
            }
            smol::future::yield_now().await;
        }
    }

    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Message, End>> {
        if self.outbox.poll_closed(cx).is_ready() {
            return Poll::Ready(Err(End::Closing));
        }
        match self.poll_layer(cx) {
            Poll::Pending => self.poll_silence(cx).map(Err),
            message => message,
        }
    }

    fn poll_layer(&mut self, cx: &mut Context<'_>) -> Poll<Result<Message, End>> {
        Poll::Ready(match ready!(Pin::new(&mut self.web_socket).poll_next(cx)) {
            Some(message) => message.map_err(End::from),
            None => Err(End::Closed(None)),
        })
    }

    /// The short cut and the layer read by turns, frame by frame.
    fn poll_some(&mut self, cx: &mut Context<'_>) -> Poll<Result<Read, End>> {
        loop {
            match ready!(self.web_socket.get_mut().poll_texts(cx)) {
                Ok(Some(texts)) => return Poll::Ready(Ok(Read::Texts(texts))),
                Ok(None) => {}
                Err(error) => return Poll::Ready(Err(WsError::Io(error).into())),
            }
            match self.poll_layer(cx) {
                Poll::Pending if self.web_socket.get_mut().is_frame_over() => {}
                message => return message.map_ok(Read::Message),
            }
        }
    }

    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        loop {
            match ready!(self.silence.poll(cx, self.web_socket.get_ref())) {
                // Goes on to arm the timer for the answer.
                Step::Ping => self.outbox.answer(wire::ping(self.side)),
                Step::End => return Poll::Ready(End::Silent),
            }
        }
    }
}

impl End {
    /// Whether the other end closed because it was done: it will not be back
    /// for what it had.
    pub(super) fn is_in_order(&self) -> bool {
        let done = |frame: &CloseFrame| matches!(frame.code, CloseCode::Normal | CloseCode::Away);
        matches!(self, Self::Closed(Some(frame)) if done(frame))
    }

    /// What the other end is told.
    const fn answer(&self) -> Option<(CloseCode, &'static str)> {
        match self {
            Self::Violation(CloseCode::Size, _) => Some((CloseCode::Size, "message too large")),
            Self::Violation(CloseCode::Invalid, _) => Some((CloseCode::Invalid, "not UTF-8")),
            Self::Violation(code, _) => Some((*code, "protocol error")),
            Self::Silent => Some((CloseCode::Error, "no answer to a ping")),
            Self::Closed(_) => Some((CloseCode::Normal, "")),
            Self::Broken(_) | Self::Closing => None,
        }
    }
}

impl From<WsError> for End {
    fn from(error: WsError) -> Self {
        match error {
            WsError::Protocol(ProtocolError::ResetWithoutClosingHandshake) | WsError::Io(_) => {
                Self::Broken(error)
            }
            WsError::Capacity(_) => Self::Violation(CloseCode::Size, error),
            WsError::Utf8(_) => Self::Violation(CloseCode::Invalid, error),
            _ => Self::Violation(CloseCode::Protocol, error),
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(None) => f.write_str("closed by the other end"),
            Self::Closed(Some(frame)) => {
                write!(f, "closed by the other end with code {}", u16::from(frame.code))?;
                match frame.reason.as_str() {
                    "" => Ok(()),
                    reason => write!(f, " ({})", reason.escape_debug()),
                }
            }
            Self::Broken(error) => write!(f, "connection broken: {error}"),
            Self::Violation(code, error) => {
                write!(f, "closed with code {}: {error}", u16::from(*code))
            }
            Self::Silent => f.write_str("no answer to a ping"),
            Self::Closing => f.write_str("closed by this end"),
        }
    }
}

/// A ping after so long a silence, and the end if that is not answered in as
/// long again.
#[derive(Debug)]
struct Silence {
    allowed: Duration,
    timer: Timer,
    pinged: Option<Instant>,
}

enum Step {
    Ping,
    End,
}

impl Silence {
    fn new(allowed: Duration) -> Self {
        Self { allowed, timer: Timer::after(allowed), pinged: None }
    }

    /// The timer is not set anew by every message, but only when it fires.
    fn poll(&mut self, cx: &mut Context<'_>, socket: &Socket) -> Poll<Step> {
        while self.timer.poll(cx).is_ready() {
            if self.pinged.is_some_and(|pinged| socket.heard() < pinged) {
                return Poll::Ready(Step::End);
            }
            let silent = socket.heard().elapsed();
            if silent >= self.allowed {
                self.pinged = Some(Instant::now());
                self.timer.set_after(self.allowed);
                return Poll::Ready(Step::Ping);
            }
            self.pinged = None;
            self.timer.set_after(self.allowed - silent);
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests;
