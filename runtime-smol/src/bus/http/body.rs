//! What is answered, piece by piece.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::vec;

use hyper::body::{Body, Bytes, Frame, SizeHint};
use smol::lock::SemaphoreGuardArc;

/// So much is handed over at a time.
const PIECE: usize = 32 * 1024;

/// Lines of text, which are not copied together before they are written.
#[derive(Debug)]
pub(super) struct Lines {
    lines: vec::IntoIter<Arc<str>>,
    /// In bytes.
    left: u64,
    _leave: Option<SemaphoreGuardArc>,
}

impl Lines {
    /// These lines, each of which gets its line break here.
    pub(super) fn new(lines: Vec<Arc<str>>) -> Self {
        let left = lines.iter().map(|line| line.len() as u64 + 1).sum();
        Self { lines: lines.into_iter(), left, _leave: None }
    }

    /// Holds on to this until the last line is written.
    pub(super) fn holding(self, leave: SemaphoreGuardArc) -> Self {
        Self { _leave: Some(leave), ..self }
    }
}

impl Body for Lines {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let mut piece = Vec::new();
        while piece.len() < PIECE {
            let Some(line) = self.lines.next() else { break };
            piece.extend_from_slice(line.as_bytes());
            piece.push(b'\n');
        }
        self.left -= piece.len() as u64;
        Poll::Ready((!piece.is_empty()).then(|| Ok(Frame::data(piece.into()))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
