//! The one task that writes to a connection.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use async_tungstenite::tungstenite::Bytes;
use futures_lite::FutureExt;
use futures_lite::future::poll_fn;
use smol::Timer;

use super::LINGER;
use super::outbox::{BATCH_FRAMES, Outbox};
use super::tcp::{self, Tcp};

/// Writes what comes into `outbox` until that is closed, and then says so to
/// the other end: in order if everything could be written in time, abruptly
/// if not. An error ends the receiver too, because the socket is shut down.
pub(super) async fn write(outbox: Arc<Outbox>) {
    let Ok(tcp) = outbox.tcp() else { return outbox.abort() };
    let overdue = async {
        outbox.closed().await;
        Timer::after(LINGER).await;
        Err(io::ErrorKind::TimedOut.into())
    };
    let how = match write_all(tcp, &outbox).or(overdue).await {
        Ok(()) => Shutdown::Write,
        Err(_) => Shutdown::Both,
    };
    outbox.abort();
    let _already_gone = tcp.get_ref().shutdown(how);
}

/// Between batches it holds no memory: most writers wait most of the time.
async fn write_all(tcp: &Tcp, outbox: &Outbox) -> io::Result<()> {
    loop {
        let mut batch = VecDeque::new();
        if !outbox.next_batch(&mut batch).await {
            return Ok(());
        }
        while !batch.is_empty() {
            let written = poll_fn(|cx| poll_write(tcp, cx, &batch)).await?;
            advance(&mut batch, written);
        }
    }
}

fn poll_write(tcp: &Tcp, cx: &mut Context<'_>, batch: &VecDeque<Bytes>) -> Poll<io::Result<usize>> {
    let mut slices = [IoSlice::new(&[]); BATCH_FRAMES];
    slices.iter_mut().zip(batch).for_each(|(slice, frame)| *slice = IoSlice::new(frame));
    loop {
        match tcp::send_pieces(tcp, &slices[..batch.len().min(BATCH_FRAMES)]) {
            Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                ready!(tcp.poll_writable(cx))?;
            }
            result => return Poll::Ready(result),
        }
    }
}

fn advance(batch: &mut VecDeque<Bytes>, mut written: usize) {
    while let Some(frame) = batch.front_mut() {
        if written < frame.len() {
            let _sent = frame.split_to(written);
            return;
        }
        written -= frame.len();
        batch.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partial_write_goes_on_where_it_ended() {
        let mut batch = VecDeque::from([Bytes::from_static(b"abc"), Bytes::from_static(b"defg")]);
        advance(&mut batch, 5);
        assert_eq!(batch, [Bytes::from_static(b"fg")]);
        advance(&mut batch, 2);
        assert!(batch.is_empty());
    }
}
