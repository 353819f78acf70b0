//! Frames as bytes, and the settings of the WebSocket layer.

use async_tungstenite::tungstenite::Bytes;
use async_tungstenite::tungstenite::protocol::frame::FrameHeader;
use async_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};
use async_tungstenite::tungstenite::protocol::{Role as Side, WebSocketConfig};

/// Of a frame, in bytes.
const LONGEST_HEADER: usize = 14;

/// The whole of a text frame. From the bus it is the same for every client.
pub(super) fn text(side: Side, text: &str) -> Bytes {
    frame(side, OpCode::Data(Data::Text), text.as_bytes())
}

/// The same, behind other frames.
pub(super) fn append_text(side: Side, text: &str, frames: &mut Vec<u8>) {
    append(side, OpCode::Data(Data::Text), text.as_bytes(), frames);
}

/// The whole of a ping frame.
pub(super) fn ping(side: Side) -> Bytes {
    frame(side, OpCode::Control(Control::Ping), b"")
}

/// The whole of a close frame. `reason` must be shorter than 124 bytes.
pub(super) fn close(side: Side, code: CloseCode, reason: &str) -> Bytes {
    let mut payload = u16::from(code).to_be_bytes().to_vec();
    payload.extend_from_slice(reason.as_bytes());
    frame(side, OpCode::Control(Control::Close), &payload)
}

/// What clients send is masked, as the WebSocket protocol demands. The mask
/// protects proxies from scripts in browsers; a native client needs no secret
/// one.
fn frame(side: Side, opcode: OpCode, payload: &[u8]) -> Bytes {
    let mut bytes = Vec::with_capacity(LONGEST_HEADER + payload.len());
    append(side, opcode, payload, &mut bytes);
    bytes.into()
}

fn append(side: Side, opcode: OpCode, payload: &[u8], bytes: &mut Vec<u8>) {
    let mask = (side == Side::Client).then(|| fastrand::u32(..).to_be_bytes());
    let header = FrameHeader { opcode, mask, ..FrameHeader::default() };
    let _infallible = header.format(payload.len() as u64, bytes);
    let start = bytes.len();
    bytes.extend_from_slice(payload);
    if let Some(mask) = mask {
        bytes[start..].iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
    }
}

/// What an encoded frame is: the answers of the WebSocket layer are told
/// apart by it.
pub(super) fn opcode(frame: &[u8]) -> Option<OpCode> {
    frame.first().map(|first| OpCode::from(first & 0x0f))
}

/// The settings of the WebSocket layer.
///
/// - A small read buffer: the default of 128 KiB is paid for by every
///   connection, and filled with zeros at every read. What a bus hears mostly
///   goes past the layer, and the rest comes out of memory.
/// - Nothing is kept for writing: every answer goes to the outbox at once.
pub(super) fn settings(side: Side, max_frame: usize) -> WebSocketConfig {
    const ANSWERS: usize = 64 * 1024;
    let read_buffer = match side {
        Side::Server => 256,
        Side::Client => 4 * 1024,
    };
    WebSocketConfig::default()
        .read_buffer_size(read_buffer)
        .write_buffer_size(0)
        .max_write_buffer_size(ANSWERS)
        .max_message_size(Some(max_frame))
        .max_frame_size(Some(max_frame))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn decoded(frame: &[u8]) -> (FrameHeader, u64, Vec<u8>) {
        let mut cursor = Cursor::new(frame);
        let (header, length) = FrameHeader::parse(&mut cursor).unwrap().unwrap();
        let mut payload = frame[cursor.position() as usize..].to_vec();
        if let Some(mask) = header.mask {
            payload.iter_mut().enumerate().for_each(|(n, byte)| *byte ^= mask[n % 4]);
        }
        (header, length, payload)
    }

    #[test]
    fn frames_decode_to_what_they_were_made_of() {
        for side in [Side::Server, Side::Client] {
            for length in [0, 1, 125, 126, 65_535, 65_536] {
                let payload = "x".repeat(length);
                let (header, told, got) = decoded(&text(side, &payload));
                assert_eq!(header.opcode, OpCode::Data(Data::Text));
                assert_eq!(header.mask.is_some(), side == Side::Client);
                assert_eq!((told as usize, got), (length, payload.into_bytes()));
            }
        }
    }

    #[test]
    fn a_close_frame_carries_its_code_and_reason() {
        let frame = close(Side::Server, CloseCode::Policy, "slow_consumer");
        let (header, _, payload) = decoded(&frame);
        assert_eq!(header.opcode, OpCode::Control(Control::Close));
        assert_eq!(opcode(&frame), Some(OpCode::Control(Control::Close)));
        assert_eq!((&payload[..2], &payload[2..]), (&[3, 240][..], &b"slow_consumer"[..]));
    }
}
