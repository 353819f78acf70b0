//! What the command lines of the programs have in common.
//!
//! - `-h`, `--help` and `--version` everywhere; bad arguments are told on
//!   stderr, with exit status 2.
//! - What is printed for other programs goes to stdout, the log to stderr.
//! - Nobody who has something else to do waits for whoever reads that.
//! - INT and TERM stop gracefully; a second one ends the program at once.

mod logging;
mod parse;
mod rules;
mod shutdown;
mod telling;
mod values;

pub use logging::log_to_stderr;
pub use parse::{Versioned, arguments, print_line, refuse};
pub use rules::{fate, policy};
pub use shutdown::Shutdown;
pub use telling::{LastWords, note_line, tell_line, until_told};
pub use values::{
    AboveZero, AtLeastOne, LONGEST, PriorityRange, Seconds, SecondsRange, ValueError,
};
