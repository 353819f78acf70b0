//! What the WebSocket layer reads from, and believes to write to.

use std::cell::RefCell;
use std::io;
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use async_tungstenite::tungstenite::Bytes;
use smol::io::{AsyncRead, AsyncWrite};

use super::outbox::Outbox;
use super::short_cut::{Cut, ShortCut};
use super::tcp::{self, Tcp};
use super::texts::Texts;

/// As much as is read at once. It is far more than a connection could keep for
/// itself, so every thread has one that its connections read into by turns.
const SCRATCH: usize = 64 * 1024;

thread_local! {
    static SCRATCH_OF_THREAD: RefCell<Vec<u8>> = RefCell::new(vec![0; SCRATCH]);
}

/// A TCP socket whose writes, once the handshake is over, go to an [`Outbox`].
///
/// The WebSocket layer answers pings and closes by itself, in the middle of a
/// read. Through this the answers reach the one task that writes, and a read
/// never waits for a write. It relies on the layer writing each answer as one
/// frame in one call, which `write_buffer_size(0)` makes it do.
///
/// With a [`ShortCut`] the layer is given one frame at a time, and only those
/// that the short cut does not take.
#[derive(Debug)]
pub(super) struct Socket {
    /// The socket, and where writes go once that is [said](Self::write_through).
    outbox: Arc<Outbox>,
    through: bool,
    heard: Instant,
    short_cut: Option<ShortCut>,
    /// How much the layer may still read; `None`: the short cut has its turn.
    layer: Option<u64>,
    /// Read, and used by nobody yet.
    unread: Bytes,
    waiting: Waiting,
}

/// How it is waited for something to read.
#[derive(Debug)]
enum Waiting {
    /// Here, on the runtime's reactor. `drained`: the last read took all there
    /// was; another would only say so.
    Here { drained: bool },
    /// By whoever polls, who says when there is something.
    /// `more`: there may be something left when it has been read from, of which
    /// nobody says so again.
    Elsewhere { readable: bool, more: bool },
}

impl Socket {
    /// The socket of this outbox.
    pub(super) fn new(outbox: Arc<Outbox>) -> Self {
        Self {
            outbox,
            through: false,
            heard: Instant::now(),
            short_cut: None,
            layer: Some(u64::MAX),
            unread: Bytes::new(),
            waiting: Waiting::Here { drained: false },
        }
    }

    /// The socket itself.
    ///
    /// # Errors
    ///
    /// The outbox has none.
    pub(super) fn tcp(&self) -> io::Result<&Tcp> {
        self.outbox.tcp()
    }

    /// Says that nothing more is written.
    pub(super) fn end_writing(&self) -> io::Result<()> {
        self.tcp()?.get_ref().shutdown(Shutdown::Write)
    }

    /// Lets what was read be read again, and before all else.
    pub(super) fn put_back(&mut self, bytes: Bytes) {
        self.unread = bytes;
    }

    /// From now on, what the layer writes goes into the outbox, which this returns.
    pub(super) const fn write_through(&mut self) -> &Arc<Outbox> {
        self.through = true;
        &self.outbox
    }

    /// From now on whoever polls waits for the socket, and says when it can be
    /// read: see [`set_readable`](Self::set_readable). No waker is kept for it.
    pub(super) const fn wait_elsewhere(&mut self) {
        self.waiting = Waiting::Elsewhere { readable: false, more: false };
    }

    /// From now on the socket waits for itself, as it did first.
    pub(super) const fn wait_here(&mut self) {
        self.waiting = Waiting::Here { drained: false };
    }

    /// There was something to read at this time, and perhaps the end behind it.
    /// It is read from once.
    pub(super) const fn set_readable(&mut self, at: Instant, ends: bool) {
        if let Waiting::Elsewhere { readable, more } = &mut self.waiting {
            (*readable, *more) = (true, ends);
            self.heard = at;
        }
    }

    /// Whether there may be something left, since it was last
    /// [readable](Self::set_readable). Says so once.
    pub(super) const fn may_have_more(&mut self) -> bool {
        match &mut self.waiting {
            Waiting::Elsewhere { more, .. } => std::mem::replace(more, false),
            Waiting::Here { .. } => false,
        }
    }

    /// From now on the layer is passed by where that is possible. The layer
    /// must not have read anything behind the handshake.
    pub(super) fn take_short_cut(&mut self, max_message: usize) {
        self.short_cut = Some(ShortCut::new(max_message));
        self.layer = None;
    }

    /// Leaves everything that is still to come to the layer.
    pub(super) const fn leave_to_layer(&mut self) {
        self.layer = Some(u64::MAX);
    }

    /// Whether the layer has read all of the frame that it was given. Then the
    /// short cut has its turn.
    pub(super) fn is_frame_over(&mut self) -> bool {
        let over = self.layer == Some(0);
        if over {
            self.layer = None;
        }
        over
    }

    /// When the other end was last heard: any byte counts, so that a long
    /// message on a slow line is no silence.
    pub(super) const fn heard(&self) -> Instant {
        self.heard
    }

    /// Text messages that came in, or `None` if it is for the layer to read.
    pub(super) fn poll_texts(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Texts>>> {
        loop {
            let Some(short_cut) = self.short_cut.as_mut().filter(|_| self.layer.is_none()) else {
                return Poll::Ready(Ok(None));
            };
            match short_cut.cut(&self.unread) {
                Cut::Texts(texts, used) => {
                    let _used = self.unread.split_to(used);
                    return Poll::Ready(Ok(Some(texts)));
                }
                Cut::Layer(length) => self.layer = Some(length),
                Cut::Unknown => {
                    if let Some(texts) = ready!(self.poll_fresh_texts(cx))? {
                        return Poll::Ready(Ok(Some(texts)));
                    }
                }
            }
        }
    }

    /// Reads, and cuts what was read where it lies.
    fn poll_fresh_texts(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Texts>>> {
        self.poll_fill(cx, |socket, bytes| {
            let (texts, rest) = match socket.short_cut.as_mut().map(|it| it.cut(bytes)) {
                Some(Cut::Texts(texts, used)) => (Some(texts), &bytes[used..]),
                Some(Cut::Layer(length)) => {
                    socket.layer = Some(length);
                    (None, bytes)
                }
                Some(Cut::Unknown) | None => (None, bytes),
            };
            socket.unread = Bytes::copy_from_slice(rest);
            texts
        })
    }

    /// Reads as much as there is, and hands it over together with what was
    /// unread before. At the end of the stream the layer is to say what that
    /// means.
    fn poll_fill<T: Default>(
        &mut self,
        cx: &mut Context<'_>,
        take: impl FnOnce(&mut Self, &[u8]) -> T,
    ) -> Poll<io::Result<T>> {
        SCRATCH_OF_THREAD.with_borrow_mut(|scratch| {
            let kept = self.unread.len();
            let (before, free) = scratch.split_at_mut(kept);
            before.copy_from_slice(&self.unread);
            let count = ready!(self.poll_receive(cx, free))?;
            if count == 0 {
                self.leave_to_layer();
                return Poll::Ready(Ok(T::default()));
            }
            Poll::Ready(Ok(take(self, &scratch[..kept + count])))
        })
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.poll_readable(cx))?;
            match tcp::receive(self.outbox.tcp()?, buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if let Waiting::Here { drained } = &mut self.waiting {
                        *drained = true;
                    }
                }
                Ok(count) => {
                    self.received(count, buffer.len());
                    return Poll::Ready(Ok(count));
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// A read that was given less than it had room for has taken all there was,
    /// but for the end.
    fn received(&mut self, count: usize, room: usize) {
        let left = count == 0 || count == room;
        match &mut self.waiting {
            Waiting::Here { drained } => {
                *drained = !left;
                if count > 0 {
                    self.heard = Instant::now();
                }
            }
            Waiting::Elsewhere { more, .. } => *more |= left,
        }
    }

    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.waiting {
            Waiting::Here { drained: true } => {
                ready!(self.outbox.tcp()?.poll_readable(cx))?;
                self.waiting = Waiting::Here { drained: false };
            }
            Waiting::Here { drained: false } => {}
            Waiting::Elsewhere { readable, .. } => {
                if !std::mem::take(readable) {
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Reads to the end of the stream, and forgets what it reads. Closing a
    /// socket with unread bytes resets the connection, and a reset overtakes
    /// the close frame that tells the other end why.
    pub(super) async fn drain(&mut self) {
        let forget = |_: &mut Self, bytes: &[u8]| bytes.len();
        self.unread = Bytes::new();
        while std::future::poll_fn(|cx| self.poll_fill(cx, forget)).await.is_ok_and(|n| n > 0) {
            smol::future::yield_now().await;
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let left = self.layer.unwrap_or_default();
        let most = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        if most == 0 {
            // Polled again when it is given the next frame.
            return Poll::Pending;
        }
        if self.unread.is_empty() {
            if self.short_cut.is_none() {
                return self.poll_receive(cx, &mut buffer[..most]);
            }
            let keep = |socket: &mut Self, bytes: &[u8]| {
                socket.unread = Bytes::copy_from_slice(bytes);
            };
            ready!(self.poll_fill(cx, keep))?;
        }
        let count = most.min(self.unread.len());
        buffer[..count].copy_from_slice(&self.unread.split_to(count));
        if left < u64::MAX {
            self.layer = Some(left - count as u64);
        }
        Poll::Ready(Ok(count))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if !self.through {
            return Pin::new(&mut self.outbox.tcp()?).poll_write(cx, bytes);
        }
        self.outbox.answer(Bytes::copy_from_slice(bytes));
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Closing is up to the writer.
    fn poll_close(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
