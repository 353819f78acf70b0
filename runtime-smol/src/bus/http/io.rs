//! The socket, as the HTTP layer wants it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hyper::rt::{Read, ReadBufCursor, Write};
use smol::io::{AsyncRead, AsyncWrite};

use super::super::socket::Socket;

/// A socket that was lent for one request.
#[derive(Debug)]
pub(super) struct Io<'a>(pub(super) &'a mut Socket);

impl Read for Io<'_> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut into: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        // What the layer offers is not initialised; to fill it in place is not
        // possible without unsafe code.
        let mut chunk = [0; 4096];
        let most = chunk.len().min(into.remaining());
        let count = ready!(Pin::new(&mut *self.get_mut().0).poll_read(cx, &mut chunk[..most]))?;
        into.put_slice(&chunk[..count]);
        Poll::Ready(Ok(()))
    }
}

impl Write for Io<'_> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.get_mut().0).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.get_mut().0).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.0.end_writing())
    }
}
