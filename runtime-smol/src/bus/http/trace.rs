//! The kept events as a trace.

use std::sync::Arc;

use sched_core::trace::BusTrace;

use crate::clock::Clock;

/// So much of it makes a line of the answer.
const PIECE: usize = 32 * 1024;

/// What has happened as far as these events tell it, until now. It takes a
/// while: it is to be called where nobody waits for the thread.
pub(super) fn of(events: &[Arc<str>]) -> Vec<Arc<str>> {
    let (mut pieces, mut text) = (Vec::new(), String::new());
    let mut trace = BusTrace::begin(&mut text);
    for event in events {
        if let Err(why) = trace.line(&mut text, event) {
            tracing::error!("an event of this bus cannot be read: {why}");
        }
        if text.len() >= PIECE {
            pieces.push(text.as_str().into());
            text.clear();
        }
    }
    trace.end(&mut text, Some(Clock::unix().now()));
    // A line gets its break where it is written.
    pieces.push(text.trim_end().into());
    pieces
}
