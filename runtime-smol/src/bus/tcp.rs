//! A connection's socket: what can be read and written now, without waiting.
//!
//! These are system calls and nothing else. The C library's `send` and `recv`,
//! which the standard library calls, are points where a thread can be cancelled:
//! in a process of several threads each call also marks the thread as one that
//! can be, and takes the mark back, for 2 % of what a delivery costs the bus.
//! The standard library's writes of several pieces raise `SIGPIPE` besides, in
//! programs that have asked for it, when the other end has hung up.

use std::io::{self, IoSlice};
use std::net::TcpStream;

use rustix::io::retry_on_intr;
use rustix::net::{self, RecvFlags, SendAncillaryBuffer, SendFlags};
use smol::Async;

/// A socket that the runtime can wait for.
pub(super) type Tcp = Async<TcpStream>;

/// Reads what is there, as far as the buffer goes. Returns how much that was;
/// nothing at the end of the stream.
///
/// # Errors
///
/// There is nothing yet ([`WouldBlock`](io::ErrorKind::WouldBlock)), or the
/// connection is broken.
pub(super) fn receive(tcp: &Tcp, buffer: &mut [u8]) -> io::Result<usize> {
    let receive = || net::recv(tcp, &mut *buffer, RecvFlags::empty());
    Ok(retry_on_intr(receive)?.1)
}

/// Writes as much of this as there is room for, and returns how much that was.
///
/// # Errors
///
/// There is no room ([`WouldBlock`](io::ErrorKind::WouldBlock)), or the
/// connection is broken.
pub(super) fn send(tcp: &Tcp, bytes: &[u8]) -> io::Result<usize> {
    Ok(retry_on_intr(|| net::send(tcp, bytes, SendFlags::NOSIGNAL))?)
}

/// The same for pieces, one after another.
pub(super) fn send_pieces(tcp: &Tcp, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
    if let [piece] = pieces {
        return send(tcp, piece);
    }
    let send = || {
        let nothing_else = &mut SendAncillaryBuffer::default();
        net::sendmsg(tcp, pieces, nothing_else, SendFlags::NOSIGNAL)
    };
    Ok(retry_on_intr(send)?)
}

/// Two ends of a connection.
#[cfg(test)]
pub(super) async fn pair() -> (Tcp, Tcp) {
    let listener = Async::<std::net::TcpListener>::bind(([127, 0, 0, 1], 0)).unwrap();
    let one = Tcp::connect(listener.get_ref().local_addr().unwrap()).await.unwrap();
    (one, listener.accept().await.unwrap().0)
}
