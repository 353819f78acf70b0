//! The one task that writes to a connection.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::sync::Arc;

use async_tungstenite::tungstenite::Bytes;
use futures_lite::{AsyncWriteExt, FutureExt};
use smol::Timer;
use smol::net::TcpStream;

use super::LINGER;
use super::outbox::{BATCH_FRAMES, Outbox};

/// Writes what comes into `outbox` until that is closed, and then says so to
/// the other end: in order if everything could be written in time, abruptly
/// if not. An error ends the receiver too, because the socket is shut down.
pub(super) async fn write(mut tcp: TcpStream, outbox: Arc<Outbox>) {
    let overdue = async {
        outbox.closed().await;
        Timer::after(LINGER).await;
        Err(io::ErrorKind::TimedOut.into())
    };
    let how = match write_all(&mut tcp, &outbox).or(overdue).await {
        Ok(()) => Shutdown::Write,
        Err(_) => Shutdown::Both,
    };
    outbox.abort();
    let _already_gone = tcp.shutdown(how);
}

async fn write_all(tcp: &mut TcpStream, outbox: &Outbox) -> io::Result<()> {
    let mut batch = VecDeque::with_capacity(BATCH_FRAMES);
    while outbox.next_batch(&mut batch).await {
        while !batch.is_empty() {
            let written = write_some(tcp, &batch).await?;
            advance(&mut batch, written);
        }
    }
    Ok(())
}

async fn write_some(tcp: &mut TcpStream, batch: &VecDeque<Bytes>) -> io::Result<usize> {
    let mut slices = [IoSlice::new(&[]); BATCH_FRAMES];
    slices.iter_mut().zip(batch).for_each(|(slice, frame)| *slice = IoSlice::new(frame));
    match tcp.write_vectored(&slices[..batch.len().min(BATCH_FRAMES)]).await? {
        0 => Err(io::ErrorKind::WriteZero.into()),
        written => Ok(written),
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
