//! The limit of a bus: the least that a server must do to pass messages of
//! version 0 on. One thread, one epoll set, no parser, no bounds, no care.

use std::io::{self, Write};

use argh::FromArgs;
use async_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::net::{Mux, Ready, Received, websocket};
use crate::trouble::{Doing, Result};

/// The raw server that is called the limit: prints its port, and serves until
/// it is ended.
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "limit")]
pub(crate) struct Limit {
    /// write all messages of one turn together, instead of one by one
    #[argh(switch)]
    batch: bool,
}

impl Limit {
    pub(crate) fn run(&self) -> Result<()> {
        let (mut server, port) = LimitServer::new(self.batch).doing("listen")?;
        writeln!(io::stdout(), "{port}").doing("print a port")?;
        loop {
            server.turn().doing("serve")?;
        }
    }
}

pub(crate) struct LimitServer {
    batch: bool,
    mux: Mux,
    buffer: Vec<u8>,
    clients: Vec<Client>,
    subscribers: Vec<usize>,
    /// The frames of this turn.
    frames: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Client {
    Shaking,
    Open,
    Subscribed,
}

impl LimitServer {
    pub(crate) fn new(batch: bool) -> io::Result<(Self, u16)> {
        let mut mux = Mux::new()?;
        let port = mux.listen()?;
        let (buffer, frames) = (Vec::new(), Vec::new());
        let (clients, subscribers) = (Vec::new(), Vec::new());
        Ok((Self { batch, mux, buffer, clients, subscribers, frames }, port))
    }

    /// Takes what has come in, and passes it on.
    pub(crate) fn turn(&mut self) -> io::Result<()> {
        for event in 0..self.mux.wait(None)? {
            match self.mux.event(event) {
                Ok(Ready::Listener) => {
                    while self.mux.accept()?.is_some() {
                        self.clients.push(Client::Shaking);
                    }
                }
                Ok(Ready::Readable(id)) => self.read(id)?,
                // Who has gone is noticed when it is read from.
                Ok(Ready::Written) | Err(_) => {}
            }
        }
        self.publish();
        Ok(())
    }

    fn read(&mut self, id: usize) -> io::Result<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        match self.mux.receive(id, &mut buffer) {
            Ok(Received::Bytes(count)) => {
                let used = self.take(id, &mut buffer[..count])?;
                self.mux.keep(id, &buffer[used..count]);
            }
            Ok(Received::Nothing) => {}
            Ok(Received::Ended) | Err(_) => self.forget(id),
        }
        self.buffer = buffer;
        Ok(())
    }

    /// Takes whole messages; returns how many bytes they had.
    fn take(&mut self, id: usize, bytes: &mut [u8]) -> io::Result<usize> {
        let mut used = 0;
        if self.clients[id] == Client::Shaking {
            let Some(end) = websocket::head_end(bytes) else {
                return Ok(0);
            };
            self.mux.send(id, answer(&bytes[..end]).as_bytes())?;
            self.clients[id] = Client::Open;
            used = end;
        }
        while let Some(header) = websocket::header(&bytes[used..]) {
            if used + header.end > bytes.len() {
                break;
            }
            let message = &mut bytes[used + header.start..used + header.end];
            websocket::unmask(header.mask.unwrap_or_default(), message);
            used += header.end;
            if header.operation == websocket::CLOSE {
                self.forget(id);
                break;
            }
            if let Some(request) = message.strip_prefix(br#"{"cmd":"job_request","payload":"#) {
                let payload = &request[..request.len().saturating_sub(1)];
                websocket::server_frame(websocket::TEXT, payload, &mut self.frames);
                if !self.batch {
                    self.publish();
                }
            } else if message.ends_with(br#""scheduler"}"#) && self.clients[id] == Client::Open {
                self.clients[id] = Client::Subscribed;
                self.subscribers.push(id);
            }
        }
        Ok(used)
    }

    fn publish(&mut self) {
        if self.frames.is_empty() {
            return;
        }
        for id in &self.subscribers {
            // Who has gone is noticed when it is read from.
            let _gone = self.mux.send(*id, &self.frames);
        }
        self.frames.clear();
    }

    fn forget(&mut self, id: usize) {
        self.mux.close(id);
        if self.clients[id] == Client::Subscribed {
            self.clients[id] = Client::Open;
            self.subscribers.retain(|other| *other != id);
        }
    }
}

fn answer(head: &[u8]) -> String {
    let head = String::from_utf8_lossy(head);
    let is_key = |line: &&str| line.to_ascii_lowercase().starts_with("sec-websocket-key:");
    let key = head.lines().find(is_key).and_then(|line| line.split_once(':'));
    let accept = derive_accept_key(key.map_or("", |(_, key)| key.trim()).as_bytes());
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    )
}
