//! How servers are spoken to that pass messages on to all subscribers.

use crate::net::websocket::{self, client_frame, find};

/// A protocol of publishers and subscribers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Dialect {
    /// Version 0 of the bus.
    Bus,
    Nats,
    Redis,
}

/// What a client is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Part {
    Subscriber,
    Publisher,
}

/// What a server said.
pub(crate) enum Said<'a> {
    Payload(&'a [u8]),
    /// It wants to hear this.
    Answer(Vec<u8>),
}

impl Dialect {
    /// What a client says when it is connected.
    pub(crate) fn hello(self, part: Part, port: u16) -> Vec<u8> {
        let text = match (self, part) {
            (Self::Bus, _) => websocket::handshake(port),
            (Self::Nats, Part::Publisher) => NATS_CONNECT.to_owned(),
            (Self::Nats, Part::Subscriber) => format!("{NATS_CONNECT}SUB jobs 1\r\n"),
            (Self::Redis, Part::Publisher) => String::new(),
            (Self::Redis, Part::Subscriber) => "*2\r\n$9\r\nSUBSCRIBE\r\n$4\r\njobs\r\n".to_owned(),
        };
        text.into_bytes()
    }

    /// Where the answer to that ends; `None`: it is not all there.
    pub(crate) fn welcome_end(self, bytes: &[u8]) -> Option<usize> {
        match self {
            Self::Bus => websocket::head_end(bytes),
            Self::Nats | Self::Redis => Some(0),
        }
    }

    /// What a client says then.
    pub(crate) fn register(self, part: Part, out: &mut Vec<u8>) {
        let role = match part {
            Part::Subscriber => "scheduler",
            Part::Publisher => "producer",
        };
        if self == Self::Bus {
            let text = format!(r#"{{"cmd":"register","type":"{role}"}}"#);
            client_frame(websocket::TEXT, text.as_bytes(), out);
        }
    }

    pub(crate) fn publish(self, payload: &str, out: &mut Vec<u8>) {
        let length = payload.len();
        let text = match self {
            Self::Bus => {
                let text = format!(r#"{{"cmd":"job_request","payload":{payload}}}"#);
                return client_frame(websocket::TEXT, text.as_bytes(), out);
            }
            Self::Nats => format!("PUB jobs {length}\r\n{payload}\r\n"),
            Self::Redis => {
                format!("*3\r\n$7\r\nPUBLISH\r\n$4\r\njobs\r\n${length}\r\n{payload}\r\n")
            }
        };
        out.extend_from_slice(text.as_bytes());
    }

    /// Takes whole messages; returns how many bytes they had.
    pub(crate) fn take(self, bytes: &[u8], mut said: impl FnMut(Said<'_>)) -> usize {
        let mut used = 0;
        let next = match self {
            Self::Bus => take_frame,
            Self::Nats => take_nats,
            Self::Redis => take_redis,
        };
        while let Some(count) = next(&bytes[used..], &mut said) {
            used += count;
        }
        used
    }
}

const NATS_CONNECT: &str = "CONNECT {\"verbose\":false,\"pedantic\":false}\r\n";

fn take_frame(bytes: &[u8], said: &mut dyn FnMut(Said<'_>)) -> Option<usize> {
    let header = websocket::header(bytes)?;
    let payload = bytes.get(header.start..header.end)?;
    match header.operation {
        websocket::TEXT => said(Said::Payload(payload)),
        websocket::PING | websocket::CLOSE => {
            let ping = header.operation == websocket::PING;
            let operation = if ping { websocket::PONG } else { websocket::CLOSE };
            let mut answer = Vec::new();
            client_frame(operation, payload, &mut answer);
            said(Said::Answer(answer));
        }
        _ => {}
    }
    Some(header.end)
}

/// `MSG subject sid length`, a line with the payload; and lines of other kinds.
fn take_nats(bytes: &[u8], said: &mut dyn FnMut(Said<'_>)) -> Option<usize> {
    let end = find(bytes, b"\r\n")?;
    let line = &bytes[..end];
    if line.starts_with(b"MSG ") {
        let length = line.rsplit(|byte| *byte == b' ').next().and_then(number)?;
        let payload = bytes.get(end + 2..end + 2 + length)?;
        bytes.get(end + 2 + length..end + 4 + length)?;
        said(Said::Payload(payload));
        return Some(end + 4 + length);
    }
    if line == b"PING" {
        said(Said::Answer(b"PONG\r\n".to_vec()));
    }
    Some(end + 2)
}

/// An array of three strings, of which the last is the payload, or of two and a
/// number, when a subscription begins; and the numbers that answer publishers.
fn take_redis(bytes: &[u8], said: &mut dyn FnMut(Said<'_>)) -> Option<usize> {
    let (first, mut used) = line(bytes)?;
    if first != b"*3" {
        return Some(used);
    }
    let mut last = None;
    for _ in 0..3 {
        let (head, count) = line(&bytes[used..])?;
        used += count;
        last = match head.strip_prefix(b"$") {
            Some(length) => {
                let length = number(length)?;
                let text = bytes.get(used..used + length)?;
                bytes.get(used + length..used + length + 2)?;
                used += length + 2;
                Some(text)
            }
            None => None,
        };
    }
    last.into_iter().for_each(|payload| said(Said::Payload(payload)));
    Some(used)
}

fn line(bytes: &[u8]) -> Option<(&[u8], usize)> {
    find(bytes, b"\r\n").map(|end| (&bytes[..end], end + 2))
}

fn number(digits: &[u8]) -> Option<usize> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payloads(dialect: Dialect, bytes: &[u8]) -> (Vec<String>, usize) {
        let mut heard = Vec::new();
        let used = dialect.take(bytes, |said| {
            if let Said::Payload(payload) = said {
                heard.push(String::from_utf8_lossy(payload).into_owned());
            }
        });
        (heard, used)
    }

    #[test]
    fn a_message_is_taken_when_it_is_whole() {
        let mut frame = Vec::new();
        websocket::server_frame(websocket::TEXT, b"seven..", &mut frame);
        let redis = b"*3\r\n$7\r\nmessage\r\n$4\r\njobs\r\n$7\r\nseven..\r\n".to_vec();
        let nats = b"MSG jobs 1 7\r\nseven..\r\n".to_vec();
        for (dialect, message) in
            [(Dialect::Bus, frame), (Dialect::Redis, redis), (Dialect::Nats, nats)]
        {
            let two = [&message[..], &message[..]].concat();
            for count in 0..two.len() {
                let whole = count / message.len();
                let expected = (vec!["seven..".to_owned(); whole], whole * message.len());
                if dialect == Dialect::Bus || whole == 1 {
                    assert_eq!(payloads(dialect, &two[..count]), expected, "{dialect:?} {count}");
                }
            }
            assert_eq!(payloads(dialect, &two).0.len(), 2);
        }
    }

    #[test]
    fn what_is_no_message_is_passed_over() {
        let subscribed = b"*3\r\n$9\r\nsubscribe\r\n$4\r\njobs\r\n:1\r\n:1\r\n";
        assert_eq!(payloads(Dialect::Redis, subscribed), (vec![], subscribed.len()));
        let info = b"INFO {}\r\nPING\r\n";
        assert_eq!(payloads(Dialect::Nats, info), (vec![], info.len()));
    }
}
