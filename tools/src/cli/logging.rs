//! The log of a program.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

use super::telling::Log;

/// Writes the log to stderr, for people, and never waits for them: end `main` with
/// [`LastWords`](super::LastWords). `RUST_LOG` says how much, in the
/// syntax of `tracing-subscriber`; without it, `level` and everything louder.
pub fn log_to_stderr(level: &str) {
    let filter = match std::env::var("RUST_LOG") {
        Ok(directives) if !directives.is_empty() => EnvFilter::builder().parse_lossy(directives),
        _ => EnvFilter::builder().parse_lossy(level),
    };
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| Log)
        .with_ansi(io::stderr().is_terminal())
        .with_target(false)
        // It would tell stderr that stderr cannot be written, and panic.
        .log_internal_errors(false);
    // Only a second logger of the same process is refused, and the first one is
    // as good.
    let _installed = subscriber.try_init();
}
