//! What a connection asks for, by the head of its first request.

use std::io;

use smol::io::AsyncReadExt;

use super::super::socket::Socket;
use super::LONGEST_HEAD;

/// What a connection asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in super::super) enum Asked {
    /// A WebSocket; or nothing that could be understood before the connection
    /// ended, which the WebSocket layer has words for.
    WebSocket,
    /// Something else, or too much.
    Http,
}

/// Reads until it is clear what is asked for. Nothing of it is lost: who reads
/// from the socket next reads it again.
pub(in super::super) async fn asked(socket: &mut Socket) -> io::Result<Asked> {
    let mut head = Head::default();
    let asked = loop {
        let mut chunk = [0; 1024];
        let count = socket.read(&mut chunk).await?;
        if count == 0 {
            break Asked::WebSocket;
        }
        if let Some(asked) = head.add(&chunk[..count]) {
            break asked;
        }
    };
    socket.put_back(head.bytes.into());
    Ok(asked)
}

/// The head of a request, as far as it has come in.
#[derive(Debug, Default)]
struct Head {
    bytes: Vec<u8>,
    /// Where the line begins that is not complete.
    line: usize,
    /// Whether there was more than empty lines, which may come first.
    begun: bool,
}

impl Head {
    fn add(&mut self, more: &[u8]) -> Option<Asked> {
        let looked_at = self.bytes.len();
        self.bytes.extend_from_slice(more);
        for at in looked_at..self.bytes.len() {
            if self.bytes[at] != b'\n' {
                continue;
            }
            let line = self.bytes[self.line..at].trim_ascii();
            self.line = at + 1;
            if is_upgrade(line) {
                return Some(Asked::WebSocket);
            }
            if line.is_empty() && self.begun {
                return Some(Asked::Http);
            }
            self.begun |= !line.is_empty();
        }
        (self.bytes.len() > LONGEST_HEAD).then_some(Asked::Http)
    }
}

fn is_upgrade(line: &[u8]) -> bool {
    const WEB_SOCKET: &[u8] = b"websocket";
    let Some(colon) = line.iter().position(|byte| *byte == b':') else { return false };
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    name.eq_ignore_ascii_case(b"upgrade")
        && value.windows(WEB_SOCKET.len()).any(|it| it.eq_ignore_ascii_case(WEB_SOCKET))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_asks_for_an_upgrade_is_a_handshake_however_it_is_cut() {
        let cases = [
            ("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n", Asked::WebSocket),
            ("\r\nGET / HTTP/1.1\nUPGRADE:\tfoo, WebSocket\n\n", Asked::WebSocket),
            ("GET / HTTP/1.1\r\nUpgrade: h2c\r\n\r\n", Asked::Http),
            ("GET / HTTP/1.1\r\nHost: upgrade: websocket\r\n\r\n", Asked::Http),
            ("GET / HTTP/1.1\r\n\r\nUpgrade: websocket\r\n", Asked::Http),
        ];
        for (text, expected) in cases {
            for size in [1, 2, 7, text.len()] {
                let mut head = Head::default();
                let asked = text.as_bytes().chunks(size).find_map(|part| head.add(part));
                assert_eq!(asked, Some(expected), "{text:?} by {size}");
                assert!(text.as_bytes().starts_with(&head.bytes));
            }
        }
    }

    #[test]
    fn a_head_without_end_is_not_read_to_its_end() {
        let mut head = Head::default();
        assert_eq!(head.add(&[b'x'; LONGEST_HEAD]), None);
        assert_eq!(head.add(b"x"), Some(Asked::Http));
    }
}
