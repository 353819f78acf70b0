//! Frames of WebSocket, by hand: as few instructions as can be, so that what is
//! measured is the other end.

/// A frame's operation codes that matter here.
pub(crate) const TEXT: u8 = 1;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

/// Clients mask what they send; nobody asks that a mask be secret.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// What stands before a frame's payload.
#[derive(Clone, Copy)]
pub(crate) struct Header {
    pub(crate) operation: u8,
    pub(crate) mask: Option<[u8; 4]>,
    /// Where the payload begins and ends, counted from the frame's begin.
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// The header of the frame with which these bytes begin, if it is all there.
/// Its payload may not be.
pub(crate) fn header(bytes: &[u8]) -> Option<Header> {
    let (&operation, &length) = (bytes.first()?, bytes.get(1)?);
    let (after, length) = match length & 127 {
        126 => (4, u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?).into()),
        127 => (10, u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?) as usize),
        short => (2, short.into()),
    };
    let masked = bytes[1] & 128 != 0;
    let mask = if masked { Some(bytes.get(after..after + 4)?.try_into().ok()?) } else { None };
    let start = after + if masked { 4 } else { 0 };
    Some(Header { operation: operation & 15, mask, start, end: start + length })
}

/// Adds a frame as a client sends it.
pub(crate) fn client_frame(operation: u8, payload: &[u8], out: &mut Vec<u8>) {
    push_header(operation, payload.len(), 128, out);
    out.extend_from_slice(&MASK);
    let start = out.len();
    out.extend_from_slice(payload);
    unmask(MASK, &mut out[start..]);
}

/// Adds a frame as a server sends it.
pub(crate) fn server_frame(operation: u8, payload: &[u8], out: &mut Vec<u8>) {
    push_header(operation, payload.len(), 0, out);
    out.extend_from_slice(payload);
}

/// Masks or unmasks, eight bytes at a time.
pub(crate) fn unmask(mask: [u8; 4], payload: &mut [u8]) {
    let [a, b, c, d] = mask;
    let twice = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let mut words = payload.chunks_exact_mut(8);
    for word in &mut words {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(word);
        word.copy_from_slice(&(u64::from_ne_bytes(bytes) ^ twice).to_ne_bytes());
    }
    words
        .into_remainder()
        .iter_mut()
        .zip(mask.into_iter().cycle())
        .for_each(|(byte, mask)| *byte ^= mask);
}

/// What a client says first.
pub(crate) fn handshake(port: u16) -> String {
    format!(
        "GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
}

/// Where the head of an HTTP message ends.
pub(crate) fn head_end(bytes: &[u8]) -> Option<usize> {
    find(bytes, b"\r\n\r\n").map(|at| at + 4)
}

/// Where these bytes stand first in the others.
pub(crate) fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

fn push_header(operation: u8, length: usize, masked: u8, out: &mut Vec<u8>) {
    out.push(0x80 | operation);
    match length {
        0..=125 => out.push(masked | length as u8),
        126..=0xffff => {
            out.push(masked | 126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            out.push(masked | 127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_every_length_come_back() {
        for length in [0, 1, 7, 8, 125, 126, 0xffff, 0x1_0000] {
            let payload: Vec<u8> = (0..length).map(|at| at as u8).collect();
            let (mut masked, mut plain) = (Vec::new(), Vec::new());
            client_frame(TEXT, &payload, &mut masked);
            server_frame(TEXT, &payload, &mut plain);
            for mut frame in [masked, plain] {
                let header = header(&frame).unwrap();
                assert_eq!((header.operation, header.end), (TEXT, frame.len()));
                if let Some(mask) = header.mask {
                    unmask(mask, &mut frame[header.start..]);
                }
                assert_eq!(frame[header.start..], payload);
            }
        }
    }

    #[test]
    fn a_part_of_a_header_is_none() {
        let mut frame = Vec::new();
        client_frame(TEXT, &[b'x'; 300], &mut frame);
        (0..8).for_each(|count| assert!(header(&frame[..count]).is_none(), "{count}"));
    }
}
