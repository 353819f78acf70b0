//! The short cut past the WebSocket layer, for what a bus hears all day.
//!
//! Reading one message through the layer costs a read of a few KiB, several
//! allocations and two wakers. Nearly all messages of a busy bus are alike: one
//! whole, masked text frame after another, hundreds of them in one read. These
//! are unmasked here, straight out of what was read, and go on together as
//! [`Texts`].
//!
//! Whatever is not that goes to the layer, frame by frame: control frames,
//! fragments, binary frames, frames that are not there as a whole yet, and
//! everything that breaks a rule. So the layer alone judges, answers and
//! closes; this module only has to know where a frame ends.

use std::io::Cursor;

use async_tungstenite::tungstenite::protocol::frame::FrameHeader;
use async_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use super::texts::Texts;

/// Finds whole text frames in what a client sends.
#[derive(Debug)]
pub(super) struct ShortCut {
    max_message: usize,
    /// Between the first and the last fragment of a message: a text frame is
    /// a fault then, and the layer's affair.
    in_fragments: bool,
}

/// What comes first in some bytes that begin with a frame.
#[derive(Debug)]
pub(super) enum Cut {
    /// Whole text frames, in so many bytes.
    Texts(Texts, usize),
    /// A frame for the layer, of so many bytes.
    Layer(u64),
    /// Too little to tell.
    Unknown,
}

/// A text frame: where its payload is in the bytes that begin with it.
struct Frame {
    start: usize,
    end: usize,
    mask: [u8; 4],
}

impl ShortCut {
    pub(super) const fn new(max_message: usize) -> Self {
        Self { max_message, in_fragments: false }
    }

    pub(super) fn cut(&mut self, bytes: &[u8]) -> Cut {
        let Some(frame) = self.text_frame(bytes) else { return self.other(bytes) };
        let mut all = Vec::with_capacity(bytes.len());
        let mut ends = Vec::with_capacity(1 + bytes.len() / (2 * (frame.end - frame.start) + 8));
        let (mut used, mut next) = (0, Some(frame));
        while let Some(Frame { start, end, mask }) = next {
            let rest = &bytes[used..];
            unmask(mask, &rest[start..end], &mut all);
            ends.push(u32::try_from(all.len()).unwrap_or(u32::MAX));
            used += end;
            next = self.text_frame(&bytes[used..]);
        }
        // One of them breaks the rules: let the layer find out which.
        Texts::new(all, ends).map_or(Cut::Layer(u64::MAX), |texts| Cut::Texts(texts, used))
    }

    /// The frame at the beginning, if it is for the short cut.
    fn text_frame(&self, bytes: &[u8]) -> Option<Frame> {
        const FINAL_TEXT: u8 = 0x81;
        const MASKED: u8 = 0x80;
        let (start, length) = match *bytes {
            [FINAL_TEXT, length @ MASKED..=0xfd, ..] => (6, usize::from(length - MASKED)),
            [FINAL_TEXT, 0xfe, high, low, ..] => (8, usize::from(u16::from_be_bytes([high, low]))),
            _ => return None,
        };
        let end = start + length;
        if self.in_fragments || length > self.max_message || bytes.len() < end {
            return None;
        }
        let mask = bytes[start - 4..start].try_into().ok()?;
        Some(Frame { start, end, mask })
    }

    fn other(&mut self, bytes: &[u8]) -> Cut {
        let mut cursor = Cursor::new(bytes);
        match FrameHeader::parse(&mut cursor) {
            Ok(None) => Cut::Unknown,
            Ok(Some((header, length))) => {
                if let OpCode::Data(Data::Text | Data::Binary | Data::Continue) = header.opcode {
                    self.in_fragments = !header.is_final;
                }
                Cut::Layer(cursor.position().saturating_add(length))
            }
            Err(_) => Cut::Layer(u64::MAX),
        }
    }
}

/// Eight bytes at a time, which is what the compiler can do well.
fn unmask(mask: [u8; 4], payload: &[u8], into: &mut Vec<u8>) {
    let start = into.len();
    into.extend_from_slice(payload);
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let mut chunks = into[start..].chunks_exact_mut(8);
    for chunk in &mut chunks {
        if let Ok(eight) = <[u8; 8]>::try_from(&*chunk) {
            chunk.copy_from_slice(&(u64::from_ne_bytes(eight) ^ wide).to_ne_bytes());
        }
    }
    let rest = chunks.into_remainder().iter_mut();
    rest.zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
}

#[cfg(test)]
mod tests {
    use super::super::wire;
    use super::*;
    use async_tungstenite::tungstenite::protocol::Role as Side;

    fn client(text: &str) -> Vec<u8> {
        wire::text(Side::Client, text).to_vec()
    }

    fn texts(cut: Cut) -> (Vec<String>, usize) {
        match cut {
            Cut::Texts(texts, used) => (texts.iter().map(str::to_owned).collect(), used),
            other => panic!("{other:?}"),
        }
    }

    fn layer(bytes: &[u8]) -> u64 {
        match ShortCut::new(70_000).cut(bytes) {
            Cut::Layer(length) => length,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn whole_text_frames_are_cut_and_the_rest_stays() {
        let sent: Vec<_> = [0, 1, 7, 8, 9, 125, 126, 65_535].map(|n| "x".repeat(n)).into();
        let mut bytes: Vec<u8> = sent.iter().flat_map(|text| client(text)).collect();
        let whole = bytes.len();
        bytes.extend(&client("not all of it")[..9]);
        assert_eq!(texts(ShortCut::new(70_000).cut(&bytes)), (sent, whole));
        assert_eq!(layer(&bytes[whole..]), client("not all of it").len() as u64);
    }

    #[test]
    fn what_is_no_whole_text_frame_is_for_the_layer() {
        let whole = client("hello");
        let with = |first: u8| [&[first], &whole[1..]].concat();
        for first in [0x89, 0x8a, 0x88, 0x82, 0x80, 0x01, 0xc1, 0x91] {
            assert_eq!(layer(&with(first)), whole.len() as u64, "{first:x}");
        }
        assert_eq!(layer(&wire::text(Side::Server, "no mask")), 9);
        assert_eq!(layer(&client(&"x".repeat(65_536))[..14]), 65_536 + 14);
        assert_eq!(layer(&[0x83, 0]), u64::MAX);
        assert_eq!(layer(&[0x81, 0x81, 0, 0, 0, 0, 0xff]), u64::MAX);
    }

    #[test]
    fn a_frame_over_the_limit_is_for_the_layer() {
        let cut = ShortCut::new(4).cut(&client("hello"));
        assert!(matches!(cut, Cut::Layer(11)), "{cut:?}");
    }

    #[test]
    fn a_text_frame_amid_fragments_is_for_the_layer() {
        let mut cutter = ShortCut::new(100);
        let (text, ping) = (client("text"), [0x89, 0x80, 0, 0, 0, 0]);
        assert!(matches!(cutter.cut(&[0x01, 0x80, 0, 0, 0, 0]), Cut::Layer(6)));
        assert!(matches!(cutter.cut(&ping), Cut::Layer(6)));
        assert!(matches!(cutter.cut(&text), Cut::Layer(10)));
        let mut cutter = ShortCut::new(100);
        assert!(matches!(cutter.cut(&[0x01, 0x80, 0, 0, 0, 0]), Cut::Layer(6)));
        assert!(matches!(cutter.cut(&[0x80, 0x80, 0, 0, 0, 0]), Cut::Layer(6)));
        assert_eq!(texts(cutter.cut(&text)), (vec!["text".to_owned()], 10));
    }

    #[test]
    fn a_piece_of_a_header_says_nothing() {
        for length in 0..2 {
            assert!(matches!(ShortCut::new(100).cut(&client("x")[..length]), Cut::Unknown));
        }
        assert!(matches!(ShortCut::new(100).cut(&[0x81, 0xfe, 0]), Cut::Unknown));
    }
}
