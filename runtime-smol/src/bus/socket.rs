//! What the WebSocket layer reads from, and believes to write to.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use async_tungstenite::tungstenite::Bytes;
use smol::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use smol::net::TcpStream;

use super::outbox::Outbox;

/// A TCP socket whose writes, once the handshake is over, go to an [`Outbox`].
///
/// The WebSocket layer answers pings and closes by itself, in the middle of a
/// read. Through this the answers reach the one task that writes, and a read
/// never waits for a write. It relies on the layer writing each answer as one
/// frame in one call, which `write_buffer_size(0)` makes it do.
#[derive(Debug)]
pub(super) struct Socket {
    tcp: TcpStream,
    outbox: Option<Arc<Outbox>>,
    heard: Instant,
}

impl Socket {
    pub(super) fn new(tcp: TcpStream) -> Self {
        Self { tcp, outbox: None, heard: Instant::now() }
    }

    /// From now on, what is written goes there. The handle that is returned
    /// is the one to write with.
    pub(super) fn write_through(&mut self, outbox: Arc<Outbox>) -> TcpStream {
        self.outbox = Some(outbox);
        self.tcp.clone()
    }

    /// When the other end was last heard: any byte counts, so that a long
    /// message on a slow line is no silence.
    pub(super) const fn heard(&self) -> Instant {
        self.heard
    }

    /// Reads to the end of the stream, and forgets what it reads. Closing a
    /// socket with unread bytes resets the connection, and a reset overtakes
    /// the close frame that tells the other end why.
    pub(super) async fn drain(&mut self) {
        let mut scratch = [0; 4096];
        while self.tcp.read(&mut scratch).await.is_ok_and(|count| count > 0) {
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
        let result = Pin::new(&mut self.tcp).poll_read(cx, buffer);
        if matches!(result, Poll::Ready(Ok(1..))) {
            self.heard = Instant::now();
        }
        result
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &self.outbox {
            Some(outbox) => {
                outbox.answer(Bytes::copy_from_slice(bytes));
                Poll::Ready(Ok(bytes.len()))
            }
            None => Pin::new(&mut self.tcp).poll_write(cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.outbox {
            Some(_) => Poll::Ready(Ok(())),
            None => Pin::new(&mut self.tcp).poll_flush(cx),
        }
    }

    /// Closing is up to the writer.
    fn poll_close(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
