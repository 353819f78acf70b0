//! Many connections in one thread.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};

/// Events taken in one turn, at most.
const EVENTS: usize = 1024;

/// What is read at once, at least.
const READ: usize = 64 * 1024;

/// The id of the listener among those of connections.
const LISTENER: u64 = u64::MAX;

/// A set of connections, and perhaps a listener, that are waited for together.
/// A connection's id is its number in the order of their making.
pub(crate) struct Mux {
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
    connections: Vec<Option<Connection>>,
    listener: Option<TcpListener>,
}

struct Connection {
    stream: TcpStream,
    /// What was read and is not a whole message yet.
    left: Vec<u8>,
    output: Vec<u8>,
    written: usize,
    /// Whether it is waited for that it can be written to.
    blocked: bool,
}

/// What one event says.
pub(crate) enum Ready {
    /// Somebody connects.
    Listener,
    /// Something can be read, or the connection has ended.
    Readable(usize),
    /// Only what waited could be written.
    Written,
}

/// What was read.
pub(crate) enum Received {
    /// So many bytes lie in the buffer, with what was left of the last time.
    Bytes(usize),
    /// Nothing now.
    Nothing,
    /// The connection has ended, and is forgotten.
    Ended,
}

impl Mux {
    pub(crate) fn new() -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let events = Vec::with_capacity(EVENTS);
        Ok(Self { epoll, events, connections: Vec::new(), listener: None })
    }

    /// Listens on a free port of the loopback interface.
    pub(crate) fn listen(&mut self) -> io::Result<u16> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let data = epoll::EventData::new_u64(LISTENER);
        epoll::add(&self.epoll, &listener, data, epoll::EventFlags::IN)?;
        let port = listener.local_addr()?.port();
        self.listener = Some(listener);
        Ok(port)
    }

    pub(crate) fn connect(&mut self, port: u16) -> io::Result<usize> {
        // On loopback the system connects at once, or refuses.
        self.add(TcpStream::connect((Ipv4Addr::LOCALHOST, port))?)
    }

    /// Accepts one connection, if somebody connects.
    pub(crate) fn accept(&mut self) -> io::Result<Option<usize>> {
        match self.listener.as_ref().map(TcpListener::accept) {
            Some(Ok((stream, _))) => self.add(stream).map(Some),
            Some(Err(error)) if error.kind() != ErrorKind::WouldBlock => Err(error),
            _ => Ok(None),
        }
    }

    fn add(&mut self, stream: TcpStream) -> io::Result<usize> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        let id = self.connections.len();
        let data = epoll::EventData::new_u64(id as u64);
        epoll::add(&self.epoll, &stream, data, epoll::EventFlags::IN)?;
        let (left, output) = (Vec::new(), Vec::new());
        let connection = Connection { stream, left, output, written: 0, blocked: false };
        self.connections.push(Some(connection));
        Ok(id)
    }

    pub(crate) fn close(&mut self, id: usize) {
        self.connections[id] = None;
    }

    /// Waits until something happens; returns how many events there are.
    pub(crate) fn wait(&mut self, most: Option<Duration>) -> io::Result<usize> {
        let most = most.map(|most| Timespec {
            tv_sec: most.as_secs() as i64,
            tv_nsec: i64::from(most.subsec_nanos()),
        });
        self.events.clear();
        match epoll::wait(&self.epoll, spare_capacity(&mut self.events), most.as_ref()) {
            Err(error) if error != rustix::io::Errno::INTR => Err(error.into()),
            _ => Ok(self.events.len()),
        }
    }

    /// Looks at one of them. What could not be written before is written.
    pub(crate) fn event(&mut self, index: usize) -> io::Result<Ready> {
        let epoll::Event { flags, data, .. } = self.events[index];
        if data.u64() == LISTENER {
            return Ok(Ready::Listener);
        }
        let id = data.u64() as usize;
        if flags.contains(epoll::EventFlags::OUT) {
            self.flush(id)?;
        }
        let only_written = flags == epoll::EventFlags::OUT;
        Ok(if only_written { Ready::Written } else { Ready::Readable(id) })
    }

    /// Reads once, behind what was left the last time.
    pub(crate) fn receive(&mut self, id: usize, buffer: &mut Vec<u8>) -> io::Result<Received> {
        let Some(connection) = &mut self.connections[id] else {
            return Ok(Received::Nothing);
        };
        let left = connection.left.len();
        if buffer.len() < left + READ {
            buffer.resize(left + 4 * READ, 0);
        }
        buffer[..left].copy_from_slice(&connection.left);
        match connection.stream.read(&mut buffer[left..]) {
            Ok(0) => self.close(id),
            Ok(count) => return Ok(Received::Bytes(left + count)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Received::Nothing),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => self.close(id),
            Err(error) => return Err(error),
        }
        Ok(Received::Ended)
    }

    /// Keeps what was received and not used.
    pub(crate) fn keep(&mut self, id: usize, rest: &[u8]) {
        if let Some(connection) = &mut self.connections[id] {
            connection.left.clear();
            connection.left.extend_from_slice(rest);
        }
    }

    /// Adds to what is written with the next `flush`.
    pub(crate) fn queue(&mut self, id: usize, add: impl FnOnce(&mut Vec<u8>)) {
        if let Some(connection) = &mut self.connections[id] {
            add(&mut connection.output);
        }
    }

    /// Writes what is queued, as far as it goes; the rest as soon as it can be.
    pub(crate) fn flush(&mut self, id: usize) -> io::Result<()> {
        let Some(connection) = &mut self.connections[id] else {
            return Ok(());
        };
        let output = &mut connection.output;
        while connection.written < output.len() {
            match connection.stream.write(&output[connection.written..]) {
                Ok(count) => connection.written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return self.block(id, true),
                Err(error) => return Err(error),
            }
        }
        output.clear();
        connection.written = 0;
        if connection.blocked { self.block(id, false) } else { Ok(()) }
    }

    /// Writes at once, without a copy if nothing is queued.
    pub(crate) fn send(&mut self, id: usize, bytes: &[u8]) -> io::Result<()> {
        let Some(connection) = &mut self.connections[id] else {
            return Ok(());
        };
        if !connection.output.is_empty() {
            connection.output.extend_from_slice(bytes);
            return Ok(());
        }
        let written = match connection.stream.write(bytes) {
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error),
        };
        if written < bytes.len() {
            connection.output.extend_from_slice(&bytes[written..]);
            return self.block(id, true);
        }
        Ok(())
    }

    /// Whether something waits until it can be written.
    pub(crate) fn is_blocked(&self, id: usize) -> bool {
        self.connections[id].as_ref().is_some_and(|connection| connection.blocked)
    }

    fn block(&mut self, id: usize, blocked: bool) -> io::Result<()> {
        let Some(connection) = &mut self.connections[id] else {
            return Ok(());
        };
        if connection.blocked == blocked {
            return Ok(());
        }
        connection.blocked = blocked;
        let out = if blocked { epoll::EventFlags::OUT } else { epoll::EventFlags::empty() };
        let data = epoll::EventData::new_u64(id as u64);
        let flags = epoll::EventFlags::IN | out;
        Ok(epoll::modify(&self.epoll, &connection.stream, data, flags)?)
    }
}
