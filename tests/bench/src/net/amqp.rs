//! Frames of AMQP 0-9-1, by hand: as few instructions as can be, so that what
//! is measured is the other end.

use crate::trouble::{Result, Trouble};

/// What a client says first.
pub(crate) const GREETING: &[u8] = b"AMQP\0\0\x09\x01";

/// A frame's types.
pub(crate) const METHOD: u8 = 1;
pub(crate) const HEADER: u8 = 2;
pub(crate) const BODY: u8 = 3;
pub(crate) const HEARTBEAT: u8 = 8;

/// With which every frame ends.
const END: u8 = 0xce;

/// A method's class and number.
pub(crate) type Method = (u16, u16);

pub(crate) const CONNECTION_START: Method = (10, 10);
pub(crate) const CONNECTION_START_OK: Method = (10, 11);
pub(crate) const CONNECTION_TUNE: Method = (10, 30);
pub(crate) const CONNECTION_TUNE_OK: Method = (10, 31);
pub(crate) const CONNECTION_OPEN: Method = (10, 40);
pub(crate) const CONNECTION_OPEN_OK: Method = (10, 41);
pub(crate) const CONNECTION_CLOSE: Method = (10, 50);
pub(crate) const CHANNEL_OPEN: Method = (20, 10);
pub(crate) const CHANNEL_OPEN_OK: Method = (20, 11);
pub(crate) const CHANNEL_CLOSE: Method = (20, 40);
pub(crate) const CHANNEL_CLOSE_OK: Method = (20, 41);
pub(crate) const QUEUE_DECLARE: Method = (50, 10);
pub(crate) const QUEUE_DECLARE_OK: Method = (50, 11);
pub(crate) const QUEUE_DELETE: Method = (50, 40);
pub(crate) const QUEUE_DELETE_OK: Method = (50, 41);
pub(crate) const BASIC_CONSUME: Method = (60, 20);
pub(crate) const BASIC_CONSUME_OK: Method = (60, 21);
pub(crate) const BASIC_PUBLISH: Method = (60, 40);
pub(crate) const BASIC_DELIVER: Method = (60, 60);
pub(crate) const BASIC_ACK: Method = (60, 80);
pub(crate) const CONFIRM_SELECT: Method = (85, 10);
pub(crate) const CONFIRM_SELECT_OK: Method = (85, 11);

/// A frame as it was received.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) kind: u8,
    pub(crate) payload: &'a [u8],
    /// Of all of it.
    pub(crate) length: usize,
}

/// The frame with which these bytes begin, if it is all there.
pub(crate) fn frame(bytes: &[u8]) -> Result<Option<Frame<'_>>> {
    let Some((&[kind, _, _, a, b, c, d], rest)) = bytes.split_first_chunk() else {
        return Ok(None);
    };
    // Who is greeted in a wrong version answers with its own, in no frame.
    if !matches!(kind, METHOD | HEADER | BODY | HEARTBEAT) {
        return Err(Trouble::wrong("what is received are no frames of AMQP 0-9-1"));
    }
    let size = u32::from_be_bytes([a, b, c, d]) as usize;
    match rest.get(size) {
        None => Ok(None),
        Some(&END) => Ok(Some(Frame { kind, payload: &rest[..size], length: 7 + size + 1 })),
        Some(_) => Err(Trouble::wrong("a frame of AMQP does not end where it says")),
    }
}

/// What a method's frame carries: which one, and its arguments.
pub(crate) fn method(payload: &[u8]) -> Result<(Method, Fields<'_>)> {
    let mut fields = Fields(payload);
    Ok(((fields.u16()?, fields.u16()?), fields))
}

/// Adds a method with its arguments.
pub(crate) fn push_method(channel: u16, (class, number): Method, fields: &[u8], out: &mut Vec<u8>) {
    push(METHOD, channel, &[&class.to_be_bytes(), &number.to_be_bytes(), fields], out);
}

/// Adds a message that need not outlive the server, as it follows a
/// `basic.publish`.
pub(crate) fn push_transient(channel: u16, body: &[u8], out: &mut Vec<u8>) {
    /// Of the message's properties only this is there: its delivery mode, 1.
    const DELIVERY_MODE: &[u8] = &[0x10, 0, 1];
    let (class, size) = (BASIC_PUBLISH.0.to_be_bytes(), (body.len() as u64).to_be_bytes());
    push(HEADER, channel, &[&class, &[0, 0], &size, DELIVERY_MODE], out);
    push(BODY, channel, &[body], out);
}

fn push(kind: u8, channel: u16, parts: &[&[u8]], out: &mut Vec<u8>) {
    let size: usize = parts.iter().map(|part| part.len()).sum();
    out.push(kind);
    out.extend_from_slice(&channel.to_be_bytes());
    out.extend_from_slice(&(size as u32).to_be_bytes());
    parts.iter().for_each(|part| out.extend_from_slice(part));
    out.push(END);
}

/// A method's arguments, one after the other.
pub(crate) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// Also up to eight single bits.
    pub(crate) fn u8(&mut self) -> Result<u8> {
        self.number().map(u8::from_be_bytes)
    }

    pub(crate) fn u16(&mut self) -> Result<u16> {
        self.number().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32> {
        self.number().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64> {
        self.number().map(u64::from_be_bytes)
    }

    /// A string of 255 bytes at most.
    pub(crate) fn string(&mut self) -> Result<&'a [u8]> {
        let length = self.u8()?.into();
        let (string, rest) = self.0.split_at_checked(length).ok_or_else(too_short)?;
        self.0 = rest;
        Ok(string)
    }

    fn number<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (number, rest) = self.0.split_first_chunk().ok_or_else(too_short)?;
        self.0 = rest;
        Ok(*number)
    }
}

fn too_short() -> Trouble {
    Trouble::wrong("a method of AMQP ends before its arguments do")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_comes_back_and_a_part_of_it_is_none() {
        let mut bytes = Vec::new();
        push_method(1, BASIC_ACK, &[0, 0, 0, 0, 0, 0, 1, 2, 1], &mut bytes);
        (0..bytes.len()).for_each(|count| assert_eq!(frame(&bytes[..count]).unwrap(), None));
        bytes.extend_from_slice(b"more");
        let frame = frame(&bytes).unwrap().unwrap();
        assert_eq!((frame.kind, frame.length), (METHOD, bytes.len() - 4));
        let (method, mut fields) = method(frame.payload).unwrap();
        assert_eq!((method, fields.u64().unwrap(), fields.u8().unwrap()), (BASIC_ACK, 258, 1));
        assert!(fields.u8().is_err());
    }

    #[test]
    fn a_message_is_a_header_that_tells_its_size_and_a_body() {
        let mut bytes = Vec::new();
        push_transient(1, b"body", &mut bytes);
        let header = frame(&bytes).unwrap().unwrap();
        assert_eq!(header.kind, HEADER);
        assert_eq!(header.payload, b"\0\x3c\0\0\0\0\0\0\0\0\0\x04\x10\0\x01");
        let body = frame(&bytes[header.length..]).unwrap().unwrap();
        assert_eq!((body.kind, body.payload), (BODY, &b"body"[..]));
        assert_eq!(header.length + body.length, bytes.len());
    }

    #[test]
    fn strings_end_where_they_say_or_not_at_all() {
        let mut fields = Fields(b"\x02ok\0\x03no");
        assert_eq!(fields.string().unwrap(), b"ok");
        assert_eq!(fields.string().unwrap(), b"");
        assert!(fields.string().is_err());
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        assert!(frame(b"AMQP\0\0\x09\x01").is_err());
        assert!(frame(b"\x01\0\x01\0\0\0\x01xy").is_err());
    }
}
