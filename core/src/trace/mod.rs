//! What happened, as a trace that Perfetto and Chrome show: a process a
//! scheduler, a track a slot, a bar a run, and an arrow from a victim to the job
//! that it was evicted for.
//!
//! The format is Chrome's "Trace Event Format", its JSON object form. There is
//! one writer of it, and two that tell it what happened: [`BinTrace`] from the
//! events of a bin, [`BusTrace`] from those of a bus. Each appends text to what
//! it is given, so that whoever drives it decides where that goes and how much
//! of it there is at a time; what it remembers itself is the runs that go on,
//! and the jobs that wait for a victim to end.
//!
//! ```
//! use sched_core::trace::BusTrace;
//!
//! let mut text = String::new();
//! let mut trace = BusTrace::begin(&mut text);
//! trace.line(&mut text, r#"{"ev":"job","seq":1,"job":"j1","state":"running","priority":5,
//!     "on":"g1","at":"2026-01-01T00:00:01.000Z"}"#)?;
//! trace.line(&mut text, r#"{"ev":"job","seq":2,"job":"j1","state":"finished","priority":5,
//!     "on":"g1","ran_ms":999,"final":true,"at":"2026-01-01T00:00:02.000Z"}"#)?;
//! trace.end(&mut text, None);
//! assert!(text.contains(r#""ph":"X","name":"j1""#));
//! # Ok::<(), sched_core::trace::TraceError>(())
//! ```

mod entry;
mod of_bin;
mod of_bus;
mod tracks;

pub use of_bin::BinTrace;
pub use of_bus::{BusTrace, TraceError};
